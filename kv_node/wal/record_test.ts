import assert from "node:assert/strict";
import fc from "fast-check";
import type { LogRecord, RecordType } from "../ports.ts";
import {
  batchAt,
  checkRecord,
  decodeRecord,
  encodeRecord,
  isValid,
  plausibleBytes,
  recordBytes,
  seedOf,
} from "./record.ts";

const TYPES: readonly RecordType[] = ["entry", "vote", "truncate", "snapshot", "config"];

const records: fc.Arbitrary<LogRecord> = fc.record({
  type: fc.constantFrom(...TYPES),
  group: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  term: fc.maxSafeNat(),
  index: fc.maxSafeNat(),
  payload: fc.uint8Array({ maxLength: 200 }),
}, { noNullPrototype: true });

const places = fc.record({
  sequence: fc.maxSafeNat(),
  batch: fc.integer({ min: 0, max: 100 }).map((at) => at * 8),
  further: fc.integer({ min: 0, max: 100 }).map((at) => at * 8),
});

function encoded(record: LogRecord, sequence: number, batch: number, offset: number) {
  // A buffer that was used before.
  const bytes = new Uint8Array(400).fill(0xee);
  const view = new DataView(bytes.buffer);
  const place = { seed: seedOf(sequence), batch, offset };
  const size = encodeRecord(bytes, view, 8, place, record);
  return { bytes, view, size };
}

Deno.test("a record comes back as it was written, padded with zeros to 8 bytes", () => {
  fc.assert(fc.property(records, places, (record, { sequence, batch, further }) => {
    const offset = batch + further;
    const { bytes, view, size } = encoded(record, sequence, batch, offset);
    assert.equal(size, recordBytes(record.payload.length));
    assert.equal(size % 8, 0);
    assert.equal(plausibleBytes(view, 8, offset, size), size);
    assert.equal(isValid(view, 8, seedOf(sequence), offset), true);
    assert.deepEqual(decodeRecord(view, 8), record);
    assert.equal(batchAt(view, 8), batch);
    const padding = bytes.subarray(8 + 33 + record.payload.length, 8 + size);
    assert.equal(padding.every((byte) => byte === 0), true);
    assert.equal(bytes.subarray(0, 8).every((byte) => byte === 0xee), true);
    assert.equal(bytes[8 + size], 0xee);
  }));
});

Deno.test("a record is not valid in another place or segment, nor with any bit flipped", () => {
  fc.assert(fc.property(records, places, fc.nat(), (record, place, choice) => {
    const { sequence, batch, further } = place;
    const offset = batch + further;
    const { bytes, view } = encoded(record, sequence, batch, offset);
    const seed = seedOf(sequence);
    assert.equal(isValid(view, 8, seed, offset + 8), false);
    const other = sequence === Number.MAX_SAFE_INTEGER ? 1 : sequence + 1;
    assert.equal(isValid(view, 8, seedOf(other), offset), false);
    const bit = choice % ((33 + record.payload.length) * 8);
    const at = 8 + (bit >> 3);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    const isPlausible = plausibleBytes(view, 8, offset, 392) > 0;
    assert.equal(isPlausible && isValid(view, 8, seed, offset), false);
  }));
});

Deno.test("isValid leaves the bytes as they were", () => {
  const { bytes, view } = encoded(
    { type: "entry", group: 1, term: 2, index: 3, payload: new Uint8Array(5) },
    7,
    64,
    128,
  );
  const before = bytes.slice();
  isValid(view, 8, seedOf(7), 136);
  assert.deepEqual(bytes, before);
});

Deno.test("plausibleBytes sees no record in zeros, nor one that the segment cannot hold", () => {
  const view = new DataView(new ArrayBuffer(64));
  assert.equal(plausibleBytes(view, 0, 64, 4096), 0);
  const { view: full, size } = encoded(
    { type: "vote", group: 0, term: 0, index: 0, payload: new Uint8Array(9) },
    1,
    64,
    64,
  );
  assert.equal(plausibleBytes(full, 8, 64, size), size);
  assert.equal(plausibleBytes(full, 8, 64, size - 1), 0);
  assert.equal(plausibleBytes(full, 8, 56, size), 0, "a batch cannot begin behind its record");
});

Deno.test("checkRecord refuses numbers that cannot be stored", () => {
  const good: LogRecord = { type: "entry", group: 1, term: 1, index: 1, payload: new Uint8Array() };
  checkRecord(good);
  for (
    const wrong of [
      { group: -1 },
      { group: 2 ** 32 },
      { group: 0.5 },
      { term: 2 ** 53 },
      { term: -1 },
      { index: NaN },
      { index: 1.5 },
    ]
  ) {
    assert.throws(() => checkRecord({ ...good, ...wrong }), RangeError, JSON.stringify(wrong));
  }
});
