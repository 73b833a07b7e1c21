import assert from "node:assert/strict";
import { VirtualTime } from "../../tests/sim/harness.ts";
import { Deadlines } from "./deadlines.ts";

function setUp(): { time: VirtualTime; deadlines: Deadlines } {
  const time = new VirtualTime();
  return { time, deadlines: new Deadlines({ ...clockOf(time) }, 100) };
}

function clockOf(time: VirtualTime): ConstructorParameters<typeof Deadlines>[0] {
  return {
    nowMs: () => time.nowMs(),
    wallMs: () => time.nowMs(),
    after: (delayMs, run) => time.after(delayMs, run),
  };
}

Deno.test("Deadlines looks at what is watched until it is not", () => {
  const { time, deadlines } = setUp();
  const seen: number[] = [];
  const item = { rosterPlace: -1, checkLimits: (nowMs: number) => void seen.push(nowMs) };
  deadlines.watch(item);
  time.runUntil(350);
  deadlines.unwatch(item);
  time.runUntil(1_000);
  assert.deepEqual(seen, [100, 200, 300]);

  deadlines.watch(item);
  time.runUntil(1_100);
  assert.deepEqual(seen, [100, 200, 300, 1_100], "it begins again");
});

Deno.test("Deadlines.after() runs once, to within a sweep, unless disposed", () => {
  const { time, deadlines } = setUp();
  const ran: string[] = [];
  deadlines.after(250, () => ran.push("kept"));
  const disposed = deadlines.after(250, () => ran.push("disposed"));
  time.runUntil(200);
  assert.deepEqual(ran, []);
  disposed[Symbol.dispose]();
  time.runUntil(1_000);
  assert.deepEqual(ran, ["kept"]);
  assert.equal(deadlines.size, 0);
});

Deno.test("Deadlines.close() ends the sweep", () => {
  const { time, deadlines } = setUp();
  deadlines.after(100, () => assert.fail("it was closed"));
  deadlines.close();
  time.runUntil(1_000);
});
