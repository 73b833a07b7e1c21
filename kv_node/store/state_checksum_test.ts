import assert from "node:assert/strict";
import type { AppliedPosition } from "../ports.ts";
import { ENCODING_BYTES, ENCODING_V8, type Row } from "../types.ts";
import type { SqlValue } from "./sql_connection.ts";
import {
  checksumOf,
  identitySeed,
  intactRow,
  metaChecksum,
  type RowTuple,
} from "./state_checksum.ts";

const ROWS: readonly Row[] = [
  {
    key: Uint8Array.of(0, 0, 0, 4, 2, 97, 98, 0),
    stamp: Uint8Array.of(0, 1, 157, 200, 3, 4, 0, 1, 255, 0),
    encoding: ENCODING_V8,
    expiresMs: 1_795_000_000_123,
    data: new TextEncoder().encode("a value of some length"),
  },
  {
    key: new Uint8Array(0),
    stamp: new Uint8Array(10),
    encoding: ENCODING_BYTES,
    expiresMs: null,
    data: new Uint8Array(0),
  },
];

/** Places in a tuple. */
const [KEY, STAMP, ENCODING, EXPIRES, CHECKSUM, VALUE] = [0, 1, 2, 3, 4, 5] as const;

Deno.test("intactRow gives back the row of a checksum", () => {
  for (const row of ROWS) assert.deepEqual(intactRow(tupleOf(row)), row);
});

Deno.test("intactRow refuses a row with any bit of any column turned", () => {
  for (const row of ROWS) {
    const tuple = tupleOf(row);
    let count = 0;
    for (const [place, value] of tuple.entries()) {
      for (const turned of turnedOf(value)) {
        count++;
        assert.equal(intactRow(tuple.with(place, turned) as unknown as RowTuple), null);
      }
    }
    const bytes = row.key.length + row.stamp.length + row.data.length;
    const numbers = row.expiresMs === null ? 2 : 3;
    assert.equal(count, 8 * bytes + 53 * numbers);
  }
});

Deno.test("intactRow refuses columns of another kind, and those that bytes moved between", () => {
  const [row] = ROWS;
  assert.ok(row !== undefined);
  const { key, stamp, data } = row;
  const tuple = tupleOf(row);
  const changes: readonly (readonly [number, SqlValue][])[] = [
    [[KEY, null]],
    [[KEY, "\0\0\0\x04\x02ab\0"]],
    [[STAMP, 5]],
    [[VALUE, "a value of some length"]],
    [[VALUE, null]],
    [[ENCODING, null]],
    [[ENCODING, 1.5]],
    [[ENCODING, 1n]],
    [[EXPIRES, null]],
    [[EXPIRES, 0]],
    [[EXPIRES, 1_795_000_000_123.5]],
    [[EXPIRES, Uint8Array.of(1)]],
    [[CHECKSUM, null]],
    [[CHECKSUM, BigInt(checksumOf(row))]],
    // The same bytes in a row, cut in other places.
    [[KEY, key.subarray(0, -1)], [STAMP, Uint8Array.of(0, ...stamp)]],
    [[KEY, Uint8Array.of(...key, ...stamp.subarray(0, 1))], [STAMP, stamp.subarray(1)]],
    [[KEY, Uint8Array.of(...key, ...data.subarray(0, 1))], [VALUE, data.subarray(1)]],
    [[KEY, key.subarray(0, -1)], [VALUE, Uint8Array.of(0, ...data)]],
  ];
  for (const [number, change] of changes.entries()) {
    let changed: readonly SqlValue[] = tuple;
    for (const [place, value] of change) changed = changed.with(place, value);
    assert.equal(intactRow(changed as unknown as RowTuple), null, `change ${number}`);
  }
  const never = tupleOf({ ...row, expiresMs: null });
  assert.equal(intactRow(never.with(EXPIRES, 0) as unknown as RowTuple), null);
});

Deno.test("metaChecksum differs with any bit of what it covers", () => {
  const applied = { term: 3, index: 70_000_000_001, stamp: Uint8Array.from(ROWS[0]?.stamp ?? []) };
  const sums = new Set([metaChecksum(identitySeed("cluster", 1), applied, 12)]);
  let count = 1;
  const add = (cluster: string, group: number, position: AppliedPosition, rows: number): void => {
    sums.add(metaChecksum(identitySeed(cluster, group), position, rows));
    count++;
  };
  for (const text of ["dluster", "cluster\0", "cluste", ""]) add(text, 1, applied, 12);
  for (const group of turnedNumbers(1)) add("cluster", group, applied, 12);
  for (const term of turnedNumbers(applied.term)) add("cluster", 1, { ...applied, term }, 12);
  for (const index of turnedNumbers(applied.index)) add("cluster", 1, { ...applied, index }, 12);
  for (const stamp of turnedBytes(applied.stamp)) add("cluster", 1, { ...applied, stamp }, 12);
  for (const rows of turnedNumbers(12)) add("cluster", 1, applied, rows);
  add("cluster", 1, { ...applied, stamp: null }, 12);
  add("cluster", 1, { ...applied, stamp: new Uint8Array(0) }, 12);
  assert.equal(sums.size, count);
});

function tupleOf(row: Row): RowTuple {
  return [row.key, row.stamp, row.encoding, row.expiresMs, checksumOf(row), row.data];
}

function turnedOf(value: SqlValue): readonly SqlValue[] {
  if (value instanceof Uint8Array) return turnedBytes(value);
  return typeof value === "number" ? turnedNumbers(value) : [];
}

/** The bytes with each of their bits turned. */
function turnedBytes(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: 8 * bytes.length }, (_, bit) => {
    const place = bit >> 3;
    return bytes.with(place, (bytes[place] ?? 0) ^ (1 << (bit & 7)));
  });
}

/** A whole number from 0 with each of the bits turned that JavaScript has for one. */
function turnedNumbers(value: number): readonly number[] {
  return Array.from({ length: 53 }, (_, bit) => Number(BigInt(value) ^ (1n << BigInt(bit))));
}
