import assert from "node:assert/strict";
import { randomSource, systemClock } from "./clock.ts";

Deno.test("systemClock.nowMs() never goes back", () => {
  let last = systemClock.nowMs();
  for (let round = 0; round < 1_000; round++) {
    const now = systemClock.nowMs();
    assert.ok(now >= last);
    last = now;
  }
});

Deno.test("systemClock.after() runs in the order of the delays, and not once disposed", async () => {
  const ran: string[] = [];
  await new Promise<void>((resolve) => {
    systemClock.after(20, resolve);
    systemClock.after(10, () => ran.push("second"));
    systemClock.after(-5, () => ran.push("first"));
    systemClock.after(5, () => ran.push("disposed"))[Symbol.dispose]();
  });
  assert.deepEqual(ran, ["first", "second"]);
});

Deno.test("systemClock.after() does not run at once what is months away", async () => {
  let ran = false;
  using _timer = systemClock.after(2 ** 32, () => ran = true);
  await new Promise<void>((resolve) => systemClock.after(5, resolve));
  assert.equal(ran, false);
});

Deno.test("systemClock.after() refuses a delay that is not a number", () => {
  assert.throws(() => systemClock.after(NaN, () => {}), RangeError);
});

Deno.test("randomSource() stays in [0, 1) and varies", () => {
  const values = Array.from({ length: 100 }, () => randomSource());
  assert.ok(values.every((value) => value >= 0 && value < 1));
  assert.ok(new Set(values).size > 90);
});
