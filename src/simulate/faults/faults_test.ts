import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { Refusal } from "../refusal.ts";
import { DIRECTIVE_NAMES, looksOf, parseFaults, splitModel } from "./faults.ts";

Deno.test("parseFaults() reads flags, numbers, pairs and defaults", () => {
  assert.deepEqual(parseFaults(""), {});
  assert.deepEqual(parseFaults("status=429, retry-after=2,times=1"), {
    status: 429,
    retryAfterSeconds: 2,
    times: 1,
  });
  assert.deepEqual(parseFaults("stall=20:0.5"), { stallTokens: 20, stallSeconds: 0.5 });
  assert.deepEqual(parseFaults("stall=20"), { stallTokens: 20, stallSeconds: 30 });
  assert.deepEqual(parseFaults("silence"), { silenceSeconds: 120 });
  assert.deepEqual(parseFaults("flap=3"), { flapDownSeconds: 3 });
  assert.deepEqual(parseFaults("flap=3:4"), { flapDownSeconds: 3, flapUpSeconds: 4 });
  assert.deepEqual(parseFaults("crlf,bom"), { lineEnding: "\r\n", bom: true });
});

Deno.test("parseFaults() refuses what it cannot read, and says why", () => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ["bogus", /"bogus": no such directive \(known: times, status/],
    ["status=200", /"200" is not a whole number from 400 to 599/],
    ["status=abc", /"abc" is not a whole number/],
    ["status", /"status": it needs a number/],
    ["cut=1.5", /"1\.5" is not a whole number/],
    ["cut=", /"" is not a whole number/],
    ["cut=1:2", /at most 1 number/],
    ["reset=1", /"reset": it takes no value but "1" was given/],
    ["slow=-1", /"-1" is not a number/],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => parseFaults(text),
      (error) => error instanceof Refusal && error.status === 400 && message.test(error.message),
      text,
    );
  }
});

Deno.test("splitModel() splits at the first exclamation mark", () => {
  assert.deepEqual(splitModel("openai/m!cut=1!x"), { base: "openai/m", fault: "cut=1!x" });
  assert.deepEqual(splitModel("m"), { base: "m", fault: "" });
});

Deno.test("looksOf() keeps length and pace and drops what goes wrong", () => {
  assert.deepEqual(looksOf(parseFaults("words=5,token-ms=1,status=500,cut=3,crlf")), {
    words: 5,
    interTokenMs: 1,
  });
});

Deno.test("docs/simulator.md describes every directive", async () => {
  const page = await readFile(new URL("../../../docs/simulator.md", import.meta.url), "utf8");
  const missing = DIRECTIVE_NAMES.filter((name) => !new RegExp(`\`${name}[\`=]`).test(page));
  assert.deepEqual(missing, []);
});
