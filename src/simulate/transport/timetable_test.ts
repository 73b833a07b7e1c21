import assert from "node:assert/strict";
import { Timetable } from "./timetable.ts";

/** A clock that is turned by hand and counts the timers set on it. */
class HandClock {
  time = 0;
  timersSet = 0;
  readonly timers = new Set<{ readonly dueMs: number; readonly run: () => void }>();

  nowMs(): number {
    return this.time;
  }

  after(delayMs: number, run: () => void): Disposable {
    const timer = { dueMs: this.time + delayMs, run };
    this.timersSet++;
    this.timers.add(timer);
    return { [Symbol.dispose]: () => void this.timers.delete(timer) };
  }

  turnTo(time: number): void {
    this.time = time;
    for (const timer of [...this.timers]) {
      if (timer.dueMs > time || !this.timers.delete(timer)) continue;
      timer.run();
    }
  }
}

Deno.test("Timetable runs waits in order of their due times, on one timer", () => {
  const clock = new HandClock();
  const table = new Timetable(clock);
  const ran: string[] = [];
  let state = 1;
  const due = Array.from({ length: 200 }, () => (state = (state * 48_271) % 2_147_483_647) % 100);
  due.forEach((dueMs, i) => table.at(dueMs, () => ran.push(`${dueMs}.${i}`)));
  assert.equal(clock.timers.size, 1);
  for (let time = 0; time <= 100; time++) {
    clock.turnTo(time);
    assert.ok(clock.timers.size <= 1);
  }
  const sorted = due.map((dueMs, i) => ({ dueMs, i }))
    .sort((a, b) => a.dueMs - b.dueMs || a.i - b.i).map(({ dueMs, i }) => `${dueMs}.${i}`);
  assert.deepEqual(ran, sorted);
  assert.equal(clock.timers.size, 0);
});

Deno.test("Timetable lets waits add and cancel waits while it fires", () => {
  const clock = new HandClock();
  const table = new Timetable(clock);
  const ran: string[] = [];
  const later = table.at(5, () => ran.push("cancelled"));
  table.at(1, () => {
    ran.push("first");
    later[Symbol.dispose]();
    table.at(3, () => ran.push("second"));
  });
  clock.turnTo(1);
  assert.equal(clock.timers.size, 1);
  clock.turnTo(9);
  assert.deepEqual(ran, ["first", "second"]);
  assert.equal(clock.timers.size, 0);
});

Deno.test("Timetable keeps no timer once its last wait is disposed or cleared", () => {
  const clock = new HandClock();
  const table = new Timetable(clock);
  const wait = table.at(1_000, () => assert.fail("ran though disposed"));
  wait[Symbol.dispose]();
  wait[Symbol.dispose]();
  assert.equal(clock.timers.size, 0);
  table.at(1_000, () => assert.fail("ran though cleared"));
  table.clear();
  assert.equal(clock.timers.size, 0);
  clock.turnTo(2_000);
});
