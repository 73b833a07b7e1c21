import assert from "node:assert/strict";
import { SteppedTime } from "./stepped_time.ts";

Deno.test("SteppedTime runs tasks by time, then by the order in which they were asked for", async () => {
  const time = new SteppedTime(1_000);
  const seen: string[] = [];
  const note = (name: string) => () => void seen.push(`${name} ${time.nowMs()} ${time.wallMs()}`);
  time.after(5, note("c"));
  time.after(1, note("a"));
  time.after(5, note("d"));
  time.after(1, note("b"));
  time.after(3, note("never"))[Symbol.dispose]();
  time.after(-1, note("at once"));
  while (await time.step());
  assert.deepEqual(seen, ["at once 0 1000", "a 1 1001", "b 1 1001", "c 5 1005", "d 5 1005"]);
});

Deno.test("SteppedTime lets everything that follows from a task happen before the next", async () => {
  const time = new SteppedTime(0);
  const seen: string[] = [];
  time.sleep(1).then(async () => {
    for (let i = 0; i < 200; i++) await Promise.resolve();
    seen.push("first");
  });
  time.after(1, () => void seen.push("second"));
  await time.settle(time.sleep(2), 10);
  assert.deepEqual(seen, ["first", "second"]);
  await assert.rejects(time.runUntil(() => false, 10), /nothing is left to wait for/);
  time.sleep(1);
  await assert.rejects(time.runUntil(() => false, 0), /not done after 0 steps/);
});

Deno.test("SteppedTime remembers the latest time that was shown when its clock is set back", () => {
  const time = new SteppedTime(5_000);
  assert.equal(time.wallMs(), 5_000);
  time.wallOffsetMs -= 4_000;
  assert.equal(time.wallMs(), 1_000);
  assert.equal(time.wallMsMax, 5_000);
});
