import assert from "node:assert/strict";
import { COMMANDS, optionsOf } from "./commands.ts";
import { main } from "./main.ts";
import { VERSION } from "../version.ts";

/** Runs a command line and returns what it wrote. */
async function run(line: string): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const words = line.split(" ").filter((word) => word !== "");
  const code = await main(words, {
    print: (text) => out.push(text),
    complain: (text) => err.push(text),
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

/** Writes a file that lives as long as the test. */
function temporaryFile(text: string): { path: string } & Disposable {
  const path = Deno.makeTempFileSync({ suffix: ".yaml" });
  Deno.writeTextFileSync(path, text);
  return { path, [Symbol.dispose]: () => Deno.removeSync(path) };
}

/** A backend that answers one list of models. */
function modelServer(list: unknown): { url: string; seen: Headers[] } & AsyncDisposable {
  const seen: Headers[] = [];
  const server = Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen: () => {},
  }, (request) => {
    seen.push(request.headers);
    return Response.json(list);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/v1`,
    seen,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function configFor(url: string, credential = ""): string {
  return `backends: [{ name: one, protocol: openai, baseUrl: "${url}"${credential} }]
models: [{ name: chat, targets: [{ backend: one, model: m1 }] }]`;
}

Deno.test("--help lists every command, and each command's help every flag", async () => {
  const program = await run("--help");
  assert.equal(program.code, 0);
  for (const command of COMMANDS) {
    assert.match(program.out, new RegExp(`^ {2}${command.name} `, "m"));
    const { code, out } = await run(`${command.name} --help`);
    assert.equal(code, 0);
    for (const name of Object.keys(optionsOf(command))) {
      assert.ok(out.includes(`--${name}`), name);
    }
    assert.ok(
      out.split("\n").every((line) => line.length <= 100),
      `${command.name}: long line`,
    );
  }
});

Deno.test("--version says what deno.json says", async () => {
  const config = JSON.parse(
    Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
  );
  const { code, out } = await run("--version");
  assert.equal(code, 0);
  assert.equal(out, `weir ${config.version} (deno ${Deno.version.deno})`);
  assert.equal(VERSION, config.version);
});

Deno.test("main() ends with 2 and a pointer to help where the line makes no sense", async () => {
  assert.deepEqual(await run("demo --prot 1"), {
    code: 2,
    out: "",
    err: "Cannot start: unknown flag --prot (did you mean --port?)\nTry: mod.ts demo --help",
  });
  assert.equal((await run("")).code, 2);
  assert.equal((await run("demo --port x")).code, 2);
  assert.equal((await run("health --url x")).code, 2);
  assert.match(
    (await run("simulate --profile swfit")).err,
    /no profile swfit \(did you mean swift\?\)/,
  );
  assert.match((await run("simulate --port 0 --fault nonsense")).err, /no such directive/);
});

Deno.test("check ends with 0 and the command that serves the file", async () => {
  using file = temporaryFile(configFor("http://127.0.0.1:9001/v1"));
  const { code, out, err } = await run(`check --config ${file.path}`);
  assert.equal(code, 0, err);
  assert.match(out, /is valid: 1 backend, 1 model\n/);
  assert.match(
    out,
    /deno run --no-prompt --allow-net=.*127\.0\.0\.1:9001 --allow-read=.* mod\.ts serve/,
  );
});

Deno.test("check --flags prints nothing but permissions, for the addresses given", async () => {
  using file = temporaryFile(configFor("http://127.0.0.1:9001/v1"));
  const { out } = await run(
    `check --flags --host 0.0.0.0 --port 80 --config ${file.path}`,
  );
  assert.deepEqual(out.split("\n"), [
    "--no-prompt",
    "--allow-net=0.0.0.0:80,127.0.0.1:8081,127.0.0.1:9001",
    `--allow-read=${file.path}`,
  ]);
  assert.match(
    (await run(`check --host 0.0.0.0 --config ${file.path}`)).out,
    / mod\.ts serve --config \S+ --host=0\.0\.0\.0$/,
  );
});

Deno.test("check ends with 1 and every problem", async () => {
  using file = temporaryFile("backends: []\nmodels: 3\n");
  const { code, err } = await run(`check --config ${file.path}`);
  assert.equal(code, 1);
  assert.match(err, /2 problems\n.*:1:1: backends: must be .*\n.*:2:1: models: must be /);
  const missing = await run("check --config /nowhere/weir.yaml");
  assert.equal(missing.code, 1);
  assert.equal(missing.err, "Cannot read /nowhere/weir.yaml: there is no such file");
});

Deno.test("check --live asks each backend for its models, with its key", async () => {
  await using server = modelServer({ data: [{ id: "m0" }, { id: "m1" }] });
  using key = temporaryFile("the-key\n");
  using file = temporaryFile(
    configFor(server.url, `, credential: "file:${key.path}"`),
  );
  const { code, out, err } = await run(`check --live --config ${file.path}`);
  assert.equal(code, 0, err);
  assert.match(out, /^one: answers, with 2 models$/m);
  assert.equal(server.seen[0]?.get("authorization"), "Bearer the-key");
});

Deno.test("check --live ends with 1 where a model or a backend is missing", async () => {
  await using server = modelServer({ data: [{ id: "m0" }] });
  using file = temporaryFile(configFor(server.url));
  const { code, err } = await run(`check --live --config ${file.path}`);
  assert.equal(code, 1);
  assert.equal(err, "one: does not list m1");

  await using other = modelServer(["no list"]);
  using odd = temporaryFile(configFor(other.url));
  assert.match(
    (await run(`check --live --config ${odd.path}`)).err,
    /not with a list of models/,
  );

  const closed = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  closed.close();
  using gone = temporaryFile(
    configFor(`http://127.0.0.1:${closed.addr.port}/v1`),
  );
  const refused = await run(`check --live --config ${gone.path}`);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /^one: Cannot connect/);
});

Deno.test("simulate says which address it cannot have, and why", async () => {
  using taken = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { code, err } = await run(`simulate --port ${taken.addr.port}`);
  assert.equal(code, 1);
  assert.equal(err, `Cannot listen on 127.0.0.1:${taken.addr.port}: the port is in use already`);
});

Deno.test("health ends with 0 on 200, and 1 on anything else", async () => {
  await using server = modelServer({});
  assert.equal((await run(`health --url ${server.url}`)).code, 0);
  const closed = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  closed.close();
  const { code, err } = await run(
    `health --url http://127.0.0.1:${closed.addr.port}/healthz`,
  );
  assert.equal(code, 1);
  assert.match(err, /^Cannot ask http:/);
});
