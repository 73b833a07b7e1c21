import assert from "node:assert/strict";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import type { Encoding, Row } from "../types.ts";
import { SnapshotDecoder } from "./snapshot_decoder.ts";
import { encodeSnapshot } from "./snapshot_encoder.ts";
import { SnapshotError, type SnapshotHeader } from "./snapshot_format.ts";

Deno.test("SnapshotDecoder gives back what encodeSnapshot took, in pieces of any length", () => {
  const row = fc.record({
    key: fc.uint8Array({ maxLength: 60 }),
    data: fc.uint8Array({ maxLength: 400 }),
    encoding: fc.constantFrom<Encoding>(1, 2, 3),
    stamp: fc.uint8Array({ minLength: 10, maxLength: 10 }),
    expiresMs: fc.option(fc.maxSafeNat()),
  });
  const header = fc.record({
    cluster: fc.string({ unit: "grapheme" }),
    group: fc.nat(),
    applied: fc.record({
      term: fc.maxSafeNat(),
      index: fc.maxSafeNat(),
      stamp: fc.option(fc.uint8Array({ minLength: 10, maxLength: 10 })),
    }),
  });
  fc.assert(fc.property(
    header,
    fc.uniqueArray(row, { maxLength: 50, selector: ({ key }) => Buffer.from(key).toString("hex") }),
    fc.integer({ min: 1, max: 700 }),
    (about, unsorted, step) => {
      const rows = unsorted.toSorted((one, other) => Buffer.compare(one.key, other.key));
      const bytes = encoded({ ...about, rows: rows.length }, rows);
      const decoder = new SnapshotDecoder();
      const found: Row[] = [];
      for (let at = 0; at < bytes.length; at += step) {
        found.push(...decoder.push(bytes.subarray(at, at + step)));
      }
      assert.deepEqual(plain(decoder.end()), plain({ ...about, rows: rows.length }));
      assert.deepEqual(found.map(plain), rows.map(plain));
    },
  ));
});

Deno.test("SnapshotDecoder refuses a snapshot cut off anywhere", () => {
  const bytes = sample(40);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decode(bytes.subarray(0, length)), (error) => {
      assert.ok(error instanceof SnapshotError);
      assert.match(error.message, /^Cannot read snapshot: chunk \d at byte \d+: it ends before/);
      return true;
    });
  }
  assert.equal(decode(bytes).length, 40);
});

Deno.test("SnapshotDecoder refuses a flip of any bit, and names chunk and byte", () => {
  const bytes = sample(40);
  const starts = startsOf(bytes);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const flipped = Uint8Array.from(bytes);
    const at = bit >> 3;
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => decode(flipped), (error) => {
      assert.ok(error instanceof SnapshotError, String(error));
      const chunk = starts.findLastIndex((start) => start <= at);
      assert.equal(error.chunk, chunk);
      assert.equal(error.offset, starts[chunk]);
      return true;
    });
  }
});

Deno.test("SnapshotDecoder refuses chunks that were swapped, left out, repeated or added", () => {
  const chunks = chunksOf(rowsUpTo(3_000, 400));
  assert.equal(chunks.length, 7);
  const join = (order: number[]) => Buffer.concat(order.map((place) => chunks[place] ?? EMPTY));
  assert.equal(decode(join([0, 1, 2, 3, 4, 5, 6])).length, 3_000);
  assert.throws(() => decode(join([0, 2, 1, 3, 4, 5, 6])), /chunk 1 .* chunk 2 is in its place/);
  assert.throws(() => decode(join([0, 1, 3, 4, 5, 6])), /chunk 3 is in its place/);
  assert.throws(() => decode(join([0, 1, 1, 2, 3, 4, 5, 6])), /chunk 1 is in its place/);
  assert.throws(() => decode(join([0, 1, 2, 3, 4, 5])), /ends before its trailer/);
  assert.throws(() => decode(join([0, 1, 2, 3, 4, 5, 6, 6])), /bytes behind its trailer/);
  assert.throws(() => decode(join([1, 2, 3])), /this is no snapshot/);
});

Deno.test("SnapshotDecoder refuses what was not written by its encoder", () => {
  assert.throws(() => decode(new TextEncoder().encode("SQLite format 3\0")), /this is no snapshot/);
  const rows = rowsUpTo(3, 10);
  const reversed = encoded(headerOf(3), rows.toReversed());
  assert.throws(() => decode(reversed), /its keys do not rise/);
  assert.throws(() => encoded(headerOf(4), rows), /3 rows came, not 4/);
  const long = sample(1);
  new DataView(long.buffer).setUint32(8, 0xffffffff);
  assert.throws(() => decode(long), /its length of 4294967295 cannot be right/);
});

Deno.test("SnapshotDecoder goes on at the chunk it was cut off in", () => {
  const chunks = chunksOf(rowsUpTo(3_000, 400));
  const decoder = new SnapshotDecoder();
  let count = 0;
  for (const chunk of chunks.slice(0, 4)) count += decoder.push(chunk).length;
  for (const chunk of chunks.slice(4, 5)) count += decoder.push(chunk.subarray(0, 1_000)).length;
  assert.equal(decoder.chunk, 4);
  decoder.resume();
  for (const chunk of chunks.slice(decoder.chunk)) count += decoder.push(chunk).length;
  assert.equal(decoder.end().rows, 3_000);
  assert.equal(count, 3_000);
});

Deno.test("encodeSnapshot gives a long value a chunk of its own, and others at most 256 KiB", () => {
  const rows = rowsUpTo(100, 9_000);
  const long = rowsUpTo(1, 1_000_000).map((row) => ({ ...row, key: Uint8Array.of(0xff) }));
  const chunks = [...encodeSnapshot(headerOf(101), [...rows, ...long])];
  const sizes = chunks.map(({ bytes }) => bytes.length);
  assert.equal(sizes.filter((size) => size > 256 * 1_024).length, 1);
  assert.deepEqual(chunks.map(({ number }) => number), [...chunks.keys()]);
  assert.equal(chunks.at(-1)?.rows, 101);
  assert.equal(
    decode(Buffer.concat(chunks.map(({ bytes }) => bytes))).at(-1)?.data.length,
    1_000_000,
  );
});

const EMPTY = new Uint8Array(0);

function headerOf(rows: number): SnapshotHeader {
  const applied = { term: 3, index: 2 ** 40 + 5, stamp: new Uint8Array(10).fill(9) };
  return { cluster: "a cluster", group: 7, applied, rows };
}

function rowsUpTo(count: number, valueBytes: number): Row[] {
  return Array.from({ length: count }, (_, place) => {
    const key = new Uint8Array(6);
    new DataView(key.buffer).setUint32(2, place);
    return {
      key,
      data: new Uint8Array(valueBytes).fill(place),
      encoding: 1,
      stamp: new Uint8Array(10).fill(place),
      expiresMs: place % 2 === 0 ? null : 1e12 + place,
    };
  });
}

function sample(rows: number): Uint8Array<ArrayBuffer> {
  return encoded(headerOf(rows), rowsUpTo(rows, 3));
}

function chunksOf(rows: readonly Row[]): Uint8Array[] {
  return [...encodeSnapshot(headerOf(rows.length), rows)].map(({ bytes }) => bytes);
}

function encoded(header: SnapshotHeader, rows: readonly Row[]): Uint8Array<ArrayBuffer> {
  const chunks = [...encodeSnapshot(header, rows)].map(({ bytes }) => bytes);
  return Uint8Array.from(Buffer.concat(chunks));
}

function decode(bytes: Uint8Array): Row[] {
  const decoder = new SnapshotDecoder();
  const rows = decoder.push(bytes);
  decoder.end();
  return rows;
}

/** Where the chunks of a sample start: the magic number belongs to the first. */
function startsOf(bytes: Uint8Array): number[] {
  const starts = [0];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = 8; at < bytes.length;) {
    at += 13 + view.getUint32(at);
    if (at < bytes.length) starts.push(at);
  }
  return starts;
}

/** Without prototypes and backing buffers, for comparison. */
function plain(value: object): unknown {
  return JSON.parse(
    JSON.stringify(
      value,
      (_, part) => part instanceof Uint8Array ? Buffer.from(part).toString("hex") : part,
    ),
  );
}
