import assert from "node:assert/strict";
import { randomFrom, VirtualTime } from "./harness.ts";

Deno.test("VirtualTime runs tasks in order of time, then in the order asked for", () => {
  const time = new VirtualTime();
  const random = randomFrom(1);
  const ran: string[] = [];
  const asked: { readonly dueMs: number; readonly name: string }[] = [];
  for (let i = 0; i < 500; i++) {
    const dueMs = Math.floor(random() * 50);
    asked.push({ dueMs, name: `${dueMs}-${i}` });
    time.after(dueMs, () => {
      assert.equal(time.nowMs(), dueMs);
      ran.push(`${dueMs}-${i}`);
    });
  }
  time.runUntil(100);
  const expected = asked.toSorted((a, b) => a.dueMs - b.dueMs).map(({ name }) => name);
  assert.deepEqual(ran, expected);
  assert.equal(time.nowMs(), 100);
});

Deno.test("VirtualTime does not run what was disposed, nor what is due later", () => {
  const time = new VirtualTime();
  const ran: number[] = [];
  const dropped = time.after(10, () => ran.push(10));
  time.after(5, () => {
    ran.push(5);
    dropped[Symbol.dispose]();
    time.after(2, () => ran.push(7));
  });
  time.after(20, () => ran.push(20));
  time.runUntil(19);
  assert.deepEqual(ran, [5, 7]);
  time.runUntil(20);
  assert.deepEqual(ran, [5, 7, 20]);
});

Deno.test("randomFrom is even and the same for the same seed", () => {
  const draw = (seed: number) => {
    const random = randomFrom(seed);
    return Array.from({ length: 10_000 }, random);
  };
  assert.deepEqual(draw(3), draw(3));
  const mean = draw(3).reduce((sum, value) => sum + value, 0) / 10_000;
  assert.ok(Math.abs(mean - 0.5) < 0.01, `mean ${mean}`);
});
