import assert from "node:assert/strict";
import { ChangeLog } from "./change_log.ts";

function logOf(count: number): ChangeLog {
  const log = new ChangeLog();
  for (let id = 1; id <= count; id++) log.push({ type: "remove", scope: "s", id });
  return log;
}

Deno.test("ChangeLog keeps what was not dropped under its sequence", () => {
  const log = logOf(100);
  for (let trimmed = 0; trimmed <= 100; trimmed += 7) {
    log.trim(trimmed);
    log.trim(trimmed - 3); // An older confirmation changes nothing.
    assert.equal(log.trimmed, trimmed);
    assert.equal(log.size, 100 - trimmed);
    const rest = [...log.slice(trimmed, 100)];
    assert.deepEqual(rest.map(([sequence]) => sequence), rest.map(([, change]) => change.id));
    assert.equal(rest.length, 100 - trimmed);
  }
});

Deno.test("ChangeLog refuses to skip what is not there", () => {
  const log = logOf(10);
  log.trim(4);
  assert.throws(() => [...log.slice(3, 5)], RangeError);
  assert.throws(() => [...log.slice(9, 11)], RangeError);
  assert.deepEqual([...log.slice(10, 10)], []);
});
