import assert from "node:assert/strict";
import fc from "fast-check";
import { compareStamps, stampHex, stampMs, stampOfHex, StampOracle } from "./stamps.ts";

const MS_MAX = 2 ** 46 - 1;

/** The same number as an independent reading of the format has it. */
function stampOf(ms: number, counter: number, arc: number): Uint8Array {
  const stamp = new Uint8Array(10);
  const view = new DataView(stamp.buffer);
  view.setBigUint64(0, BigInt(ms) << 18n | BigInt(counter));
  view.setUint16(8, arc);
  return stamp;
}

Deno.test("StampOracle lays out milliseconds, counter and arc", () => {
  const oracle = new StampOracle(0xabcd, null);
  assert.deepEqual(oracle.next(1_790_000_000_123), stampOf(1_790_000_000_123, 0, 0xabcd));
  assert.deepEqual(oracle.next(1_790_000_000_123.9), stampOf(1_790_000_000_123, 1, 0xabcd));
  assert.deepEqual(oracle.next(MS_MAX), stampOf(MS_MAX, 0, 0xabcd));
});

Deno.test("StampOracle never gives the stamp that is all zeros", () => {
  assert.deepEqual(new StampOracle(0, null).next(0), stampOf(0, 1, 0));
});

Deno.test("StampOracle rises strictly over any clock, and observed stamps too", () => {
  const wall = fc.oneof(
    fc.integer({ min: 0, max: 3 }),
    fc.double({ min: -1e15, max: 1e15 }),
    fc.constantFrom(NaN, Infinity, -Infinity, MS_MAX + 1, 1_790_000_000_000),
  );
  const seen = fc.record({
    ms: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2 ** 45 })),
    counter: fc.oneof(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 262_140, max: 262_143 })),
    arc: fc.integer({ min: 0, max: 0xffff }),
  }).map(({ ms, counter, arc }) => stampOf(ms, counter, arc));
  fc.assert(
    fc.property(
      fc.option(seen),
      fc.integer({ min: 0, max: 0xffff }),
      fc.array(fc.oneof(wall, seen), { maxLength: 40 }),
      (floor, arc, steps) => {
        const oracle = new StampOracle(arc, floor);
        let highest = floor ?? new Uint8Array(10);
        for (const step of steps) {
          if (typeof step !== "number") {
            oracle.observe(step);
            if (compareStamps(step, highest) > 0) highest = step;
            continue;
          }
          const stamp = oracle.next(step);
          assert.ok(compareStamps(stamp, highest) > 0, `${stampHex(stamp)} after ${highest}`);
          assert.equal(new DataView(stamp.buffer).getUint16(8), arc);
          highest = stamp;
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("StampOracle carries a full millisecond into the next, and follows the clock again", () => {
  const oracle = new StampOracle(1, null);
  let last = oracle.next(7_000);
  for (let count = 1; count < 2 ** 18 + 3; count++) {
    const stamp = oracle.next(7_000);
    if (compareStamps(stamp, last) <= 0) assert.fail(`not above: ${count}`);
    last = stamp;
  }
  assert.deepEqual(last, stampOf(7_001, 2, 1));
  assert.deepEqual(oracle.next(6_000), stampOf(7_001, 3, 1));
  assert.deepEqual(oracle.next(7_001), stampOf(7_001, 4, 1));
  assert.deepEqual(oracle.next(7_002), stampOf(7_002, 0, 1));
});

Deno.test("StampOracle starts above its floor, whichever arc gave it", () => {
  assert.deepEqual(new StampOracle(0, stampOf(500, 9, 0xffff)).next(100), stampOf(500, 10, 0));
  assert.deepEqual(new StampOracle(0, stampOf(500, 9, 3)).next(501), stampOf(501, 0, 0));
});

Deno.test("StampOracle ignores an observed stamp that is not above its own", () => {
  const oracle = new StampOracle(0, stampOf(500, 9, 0));
  oracle.observe(stampOf(499, 2 ** 18 - 1, 0));
  oracle.observe(stampOf(500, 8, 0));
  assert.deepEqual(oracle.next(0), stampOf(500, 10, 0));
});

Deno.test("StampOracle refuses what cannot be a stamp, and to go beyond the last one", () => {
  assert.throws(() => new StampOracle(-1, null), RangeError);
  assert.throws(() => new StampOracle(0x10000, null), RangeError);
  assert.throws(() => new StampOracle(0, new Uint8Array(9)), RangeError);
  const oracle = new StampOracle(0, stampOf(MS_MAX, 2 ** 18 - 2, 0));
  assert.deepEqual(oracle.next(0), stampOf(MS_MAX, 2 ** 18 - 1, 0));
  assert.throws(() => oracle.next(0), RangeError);
});

Deno.test("stampMs, stampHex and stampOfHex read what they should", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: MS_MAX }),
    fc.integer({ min: 0, max: 2 ** 18 - 1 }),
    fc.integer({ min: 0, max: 0xffff }),
    (ms, counter, arc) => {
      const stamp = stampOf(ms, counter, arc);
      assert.equal(stampMs(stamp), ms);
      assert.equal(stampHex(stamp), stamp.toHex());
      assert.deepEqual(stampOfHex(stampHex(stamp)), stamp);
    },
  ));
  assert.throws(() => stampMs(new Uint8Array(11)), RangeError);
  for (const text of ["", "0".repeat(19), "0".repeat(21), "A".repeat(20), "g".repeat(20)]) {
    assert.equal(stampOfHex(text), null);
  }
});

Deno.test("compareStamps orders as the bytes do", () => {
  const stamp = fc.record({
    ms: fc.constantFrom(0, 1, 2 ** 20, 2 ** 40),
    counter: fc.constantFrom(0, 1, 2 ** 17),
    arc: fc.constantFrom(0, 1, 0x100),
  }).map(({ ms, counter, arc }) => stampOf(ms, counter, arc));
  const sign = (one: string, other: string): number => one < other ? -1 : one > other ? 1 : 0;
  fc.assert(
    fc.property(stamp, stamp, (one, other) => {
      assert.equal(Math.sign(compareStamps(one, other)), sign(one.toHex(), other.toHex()));
    }),
    { numRuns: 1_000 },
  );
});
