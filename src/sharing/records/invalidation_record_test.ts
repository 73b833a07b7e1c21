import assert from "node:assert/strict";
import fc from "fast-check";
import type { Selector } from "../../cache/types.ts";
import {
  appended,
  decodeInvalidations,
  encodeCounter,
  encodeInvalidations,
  type InvalidationRecord,
  missed,
  numberInCounter,
} from "./invalidation_record.ts";

const EMPTY: InvalidationRecord = { lineage: "l", number: 0, floor: 0, recent: [] };

const tag = (name: string): Selector => ({ type: "tag", tag: name });
const selectors: fc.Arbitrary<Selector> = fc.oneof(
  { weight: 8, arbitrary: fc.string({ maxLength: 3 }).map(tag) },
  { weight: 8, arbitrary: fc.nat(20).map((id): Selector => ({ type: "id", id: id + 1 })) },
  { weight: 1, arbitrary: fc.constant<Selector>({ type: "all" }) },
);

Deno.test("missed tells a gateway everything that it had not seen, in order", () => {
  const batches = fc.array(fc.array(selectors, { minLength: 1, maxLength: 4 }), { maxLength: 30 });
  fc.assert(fc.property(batches, fc.nat(60), (made, seen) => {
    let record = EMPTY;
    const all: Selector[] = [];
    for (const batch of made) {
      record = appended(record, batch, 0);
      all.push(...batch);
    }
    assert.equal(record.number, all.length);
    const told = missed(record, seen);
    const numbers = told.map(({ number }) => number);
    assert.deepEqual(numbers, numbers.toSorted((one, other) => one - other));
    assert.ok(numbers.every((number) => number > seen && number <= record.number));
    // Whoever began at `seen` has to be told of each later one, under its last number.
    for (const [i, selector] of all.entries()) {
      if (i + 1 <= seen) continue;
      const covering = told.filter((item) =>
        item.number >= i + 1 &&
        (item.selector.type === "all" || sameAs(item.selector, selector))
      );
      assert.ok(covering.length > 0, `number ${i + 1} is lost`);
    }
    // And of nothing else: no tag that was not invalidated since.
    for (const { number, selector } of told) {
      const made = all[number - 1];
      assert.ok(made !== undefined && sameAs(made, selector));
    }
  }));
});

Deno.test("appended numbers on from the highest number anybody has seen", () => {
  const record = appended(appended(EMPTY, [tag("a")], 0), [tag("b")], 41);
  assert.equal(record.number, 42);
  assert.deepEqual(missed(record, 41), [{ number: 42, selector: tag("b") }]);
});

Deno.test("appended folds the oldest into the floor and stays within one value", () => {
  let record = EMPTY;
  for (let i = 0; i < 2_000; i++) record = appended(record, [tag(`ü${i}`.repeat(8))], 0);
  assert.ok(encodeInvalidations(record).length <= 65_536);
  assert.ok(record.recent.length > 100 && record.recent.length <= 512);
  assert.equal(record.number, 2_000);
  assert.equal(record.floor, 2_000 - record.recent.length);
  assert.deepEqual(missed(record, 7)[0], { number: record.floor, selector: { type: "all" } });
  assert.equal(missed(record, record.floor).length, record.recent.length);

  const long = appended(record, [tag("x".repeat(100_000))], 0);
  assert.deepEqual(missed(long, 0), [{ number: 2_001, selector: { type: "all" } }]);
});

Deno.test("decodeInvalidations gives back what was written, and nothing else", () => {
  const record = appended(EMPTY, [tag("a"), { type: "id", id: 7 }, tag("")], 9);
  assert.deepEqual(decodeInvalidations(encodeInvalidations(record)), record);
  const written = new TextDecoder().decode(encodeInvalidations(record));
  const wrong = [
    written.slice(0, -1),
    written.replace('"floor":0', '"floor":13'),
    written.replace('"number":12', '"number":13'),
    written.replace('[10,"a"]', '[11,"a"]'),
    written.replace("[11,7]", "[11,7.5]"),
    written.replace('"lineage":"l"', '"lineage":1'),
    "[]",
    "null",
  ];
  for (const text of wrong) {
    assert.notEqual(text, written);
    assert.equal(decodeInvalidations(new TextEncoder().encode(text)), null, text);
  }
  assert.equal(decodeInvalidations(written), null);
});

Deno.test("numberInCounter reads what encodeCounter writes and takes nothing else for a number", () => {
  assert.equal(numberInCounter(encodeCounter({ lineage: "l", number: 12 })), 12);
  for (const value of [null, 12, "l", "l x", "l -1", "l 1.5", "l 1e300"]) {
    assert.equal(numberInCounter(value), 0);
  }
});

function sameAs(one: Selector, other: Selector): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
