import assert from "node:assert/strict";
import { type Options, parseInvocation, portOption, UsageError } from "./arguments.ts";
import { COMMANDS, GATEWAY } from "./commands.ts";

/** What a command line comes to, in one line. */
function reading(line: string): string {
  try {
    const invocation = parseInvocation(
      line.split(" ").filter((word) => word !== ""),
      GATEWAY,
    );
    switch (invocation.type) {
      case "help":
        return `help ${invocation.command?.name ?? "all"}`;
      case "version":
        return "version";
      case "run":
        return `${invocation.command.name} ${JSON.stringify(invocation.options)}`;
    }
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
}

Deno.test("parseInvocation() reads commands and flags in every spelling", () => {
  assert.equal(reading("demo"), "demo {}");
  assert.equal(
    reading("demo --port 9000 --admin-port=9001"),
    `demo {"port":"9000","admin-port":"9001"}`,
  );
  assert.equal(reading("serve -c a.yaml"), `serve {"config":"a.yaml"}`);
  assert.equal(
    reading("check --live --config a.yaml"),
    `check {"live":true,"config":"a.yaml"}`,
  );
});

Deno.test("parseInvocation() understands help and version before and after every command", () => {
  assert.equal(reading("--help"), "help all");
  assert.equal(reading("-h"), "help all");
  assert.equal(reading("help"), "help all");
  assert.equal(reading("help serve"), "help serve");
  assert.equal(reading("--version"), "version");
  assert.equal(reading("-V"), "version");
  for (const { name } of COMMANDS) {
    assert.equal(reading(`${name} --help`), `help ${name}`);
    assert.equal(reading(`${name} -h`), `help ${name}`);
    assert.equal(reading(`${name} --version`), "version");
  }
});

Deno.test("parseInvocation() suggests the command or flag that was meant", () => {
  assert.equal(
    reading("sevre"),
    "Cannot start: there is no command sevre (did you mean serve?)",
  );
  assert.match(
    reading("frobnicate"),
    /there is no command frobnicate; there are demo, serve/,
  );
  assert.equal(
    reading("demo --prot 80"),
    "Cannot start: unknown flag --prot (did you mean --port?)",
  );
  assert.equal(
    reading("demo --admin_port 80"),
    "Cannot start: unknown flag --admin_port (did you mean --admin-port?)",
  );
  assert.equal(reading("serve --live"), "Cannot start: unknown flag --live");
  assert.equal(
    reading("--hlep"),
    "Cannot start: unknown flag --hlep (did you mean --help?)",
  );
  assert.equal(reading("demo -x"), "Cannot start: unknown flag -x");
  assert.equal(
    reading("demo --constructor"),
    "Cannot start: unknown flag --constructor",
  );
});

Deno.test("parseInvocation() refuses values that are missing or too many", () => {
  assert.equal(reading("demo --port"), "Cannot start: --port needs a value, N");
  assert.equal(
    reading("demo --port --admin-port 1"),
    "Cannot start: --port needs a value, N",
  );
  assert.equal(
    reading("serve --config="),
    "Cannot start: --config needs a value, FILE",
  );
  assert.equal(
    reading("check --live=yes"),
    "Cannot start: --live takes no value",
  );
  assert.equal(
    reading("demo extra"),
    "Cannot start: extra is one word too many",
  );
  assert.match(
    reading(""),
    /no command is given; there are demo, serve, check, calibrate, simulate, health/,
  );
});

Deno.test("portOption() takes whole numbers from 0 to 65535", () => {
  const port = (text: string) => portOption({ port: text }, "port");
  assert.equal(port("0"), 0);
  assert.equal(port("65535"), 65_535);
  assert.equal(portOption({} as Options, "port"), undefined);
  for (const text of ["65536", "-1", "80a", "8e3", "", "1.5", " 80"]) {
    assert.throws(
      () => port(text),
      /must be a whole number from 0 to 65535/,
      text,
    );
  }
});
