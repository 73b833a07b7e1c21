import assert from "node:assert/strict";
import { createLog, type LogFields, type LogLevel } from "./log.ts";

interface Play {
  readonly level?: LogLevel;
  readonly secrets?: ReadonlySet<string>;
  readonly event?: string;
}

/** Logs one event at level "info" and parses what was written. */
function play(fields: LogFields, options: Play = {}): { line: string; record: LogFields } {
  const lines: string[] = [];
  const log = createLog({
    write: (line) => lines.push(line),
    clock: { wallMs: () => 1_700_000_000_123 },
    level: options.level ?? "info",
    secrets: options.secrets ?? new Set(),
  });
  log.info(options.event ?? "request.finished", fields);
  assert.equal(lines.length, 1);
  const line = lines[0] ?? "";
  return { line, record: JSON.parse(line) };
}

Deno.test("createLog() writes time, level and event first, one object a line", () => {
  const { line } = play({ "http.request.method": "POST", text: "two\nlines" });
  assert.equal(
    line,
    '{"time":"2023-11-14T22:13:20.123Z","level":"info","event":"request.finished",' +
      '"http.request.method":"POST","text":"two\\nlines"}',
  );
});

Deno.test("createLog() leaves out levels below its own", () => {
  const lines: string[] = [];
  const log = createLog({
    write: (line) => lines.push(line),
    clock: { wallMs: () => 0 },
    level: "warn",
  });
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  assert.deepEqual(lines.map((line) => JSON.parse(line).event), ["c", "d"]);
});

Deno.test("createLog() does not let a field replace time, level or event", () => {
  const { record } = play({ time: "x", level: "y", event: "z" });
  assert.equal(record["level"], "info");
  assert.equal(record["event"], "request.finished");
  assert.equal(record["field.time"], "x");
});

Deno.test("createLog() redacts a secret wherever it is: value, key, error, url, event", () => {
  const secrets = new Set(["sk-live-1234"]);
  const cause = new TypeError("bad key sk-live-1234");
  const fields = {
    text: "Bearer sk-live-1234!",
    "sk-live-1234": 1,
    nested: { list: ["sk-live-1234", new Map([["sk-live-1234", new Set(["sk-live-1234"])]])] },
    error: new Error("Cannot send: sk-live-1234", { cause }),
    url: new URL("http://user:sk-live-1234@127.0.0.1/"),
    symbol: Symbol("sk-live-1234"),
  };
  const { line, record } = play(fields, { secrets, level: "debug", event: "sk-live-1234" });
  assert.ok(!line.includes("1234"), line);
  assert.equal(record["text"], "Bearer [redacted]!");
  assert.equal(record["event"], "[redacted]");
});

Deno.test("createLog() redacts secrets that JSON escapes, and the longer of two first", () => {
  const secrets = new Set(['pa"ss\\word', "abcd", "abcdefgh"]);
  const { record } = play({ one: 'is pa"ss\\word', two: "abcdefgh" }, { secrets });
  assert.equal(record["one"], "is [redacted]");
  assert.equal(record["two"], "[redacted]");
});

Deno.test("createLog() leaves no half of a secret where it cuts long text", () => {
  const secrets = new Set(["topsecretvalue"]);
  const { line } = play({ text: "x".repeat(8_185) + "topsecretvalue" + "y".repeat(50) }, {
    secrets,
  });
  assert.ok(!line.includes("tops"), line.slice(-60));
});

Deno.test("createLog() gives the line up rather than a secret made of a number", () => {
  const { line, record } = play({ amount: 12345678 }, { secrets: new Set(["12345678"]) });
  assert.ok(!line.includes("12345678"));
  assert.equal(record["event"], "[redacted]");
});

Deno.test("createLog() heeds a secret added after it was created", () => {
  const lines: string[] = [];
  const secrets = new Set<string>();
  const log = createLog({
    write: (line) => lines.push(line),
    clock: { wallMs: () => 0 },
    level: "info",
    secrets,
  });
  secrets.add("rotated-key");
  log.info("a", { text: "rotated-key" });
  assert.equal(JSON.parse(lines[0] ?? "").text, "[redacted]");
});

Deno.test("createLog() writes errors as name, code and message, with a stack at debug only", () => {
  const error = Object.assign(new RangeError("Cannot read: too far"), { code: "too_far" });
  const { record } = play({ error });
  assert.deepEqual(record["error"], {
    name: "RangeError",
    code: "too_far",
    message: "Cannot read: too far",
  });
  const debugged = play({ error }, { level: "debug" }).record["error"];
  assert.match(JSON.stringify(debugged), /log_test\.ts/);
});

Deno.test("createLog() never throws: circles, BigInt, getters, depth, a broken writer", () => {
  const circle: Record<string, unknown> = { big: 12n, nan: NaN, none: undefined };
  circle["self"] = circle;
  const trap = {
    get boom(): string {
      throw new Error("boom");
    },
  };
  let deep: unknown = "end";
  for (let i = 0; i < 10_000; i++) deep = { deep };
  const { record } = play({ circle, trap, deep, date: new Date(NaN), bytes: new Uint8Array(3) });
  assert.deepEqual(record["circle"], { big: "12", nan: "NaN", self: "[circular]" });
  assert.equal(record["trap"], "[unreadable]");
  assert.equal(record["bytes"], "[3 bytes]");
  assert.equal(record["date"], null);
  assert.match(JSON.stringify(record["deep"]), /too deep/);

  const log = createLog({
    write() {
      throw new Error("broken pipe");
    },
    clock: { wallMs: () => 0 },
    level: "info",
  });
  log.error("a");
});

Deno.test("createLog() shows the same object twice where it is no circle", () => {
  const shared = { a: 1 };
  assert.deepEqual(play({ list: [shared, shared] }).record["list"], [{ a: 1 }, { a: 1 }]);
});
