/**
 * Reading: `SnapshotRead` and `SnapshotReadOutput` of KV Connect, both ways.
 *
 * A server speaks of complete keys: its decoder puts the space in front of every
 * key, its encoder takes it off. A client speaks of keys as it wrote them.
 *
 * Source: denokv, `proto/schema/datapath.proto`.
 *
 * @module
 */
import { type ReadRange, type Row, SPACE_BYTES } from "../types.ts";
import { putEntry, sizeOfEntry, takeEntry } from "./entry.ts";
import { ProtoReader } from "./proto_reader.ts";
import { ProtoWriter, sizeOfBytes, sizeOfNumber, sizeOfPart } from "./proto_writer.ts";

const RANGES = 1 << 3 | 2;
const START = 1 << 3 | 2;
const END = 2 << 3 | 2;
const LIMIT = 3 << 3;
const REVERSE = 4 << 3;

const OUTPUT_RANGES = 1 << 3 | 2;
const READ_DISABLED = 2 << 3;
const IS_STRONG = 4 << 3;
const STATUS = 8 << 3;
const VALUES = 1 << 3 | 2;

const READ_FIELDS = ["", "ranges"];
const RANGE_FIELDS = ["", "ranges.start", "ranges.end", "ranges.limit", "ranges.reverse"];
const OUTPUT_FIELDS = [
  ...["", "ranges", "read_disabled", "", "read_is_strongly_consistent", "", "", ""],
  "status",
];
const OUTPUT_RANGE_FIELDS = ["", "ranges.values"];

/** `SnapshotReadStatus`: it went well. */
export const READ_SUCCESS = 1;
/** `SnapshotReadStatus`: the database is closed for reading. */
export const READ_CLOSED = 2;

const INT32_MAX = 0x7fff_ffff;

/** What came of a read, as a client is told. */
export interface ReadOutput {
  /** `unspecified` is all that a server of version 2 says when it went well. */
  readonly status: "success" | "disabled" | "unspecified";
  /** Whether the rows are those of the latest commit. */
  readonly isStrong: boolean;
  /** The rows of every range, in the order of the request. */
  readonly ranges: readonly (readonly Row[])[];
}

/**
 * Server: the ranges of a `SnapshotRead`, all inside the space `prefix`.
 *
 * An empty end, like any other at or before the start, makes a range without rows.
 *
 * @throws {KvError} `bad_request` if it is malformed.
 */
export function decodeSnapshotRead(bytes: Uint8Array, prefix: Uint8Array): ReadRange[] {
  const reader = new ProtoReader(bytes, "SnapshotRead", "bad_request");
  const ranges: ReadRange[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === RANGES) reader.add(ranges, takeRange(reader, prefix), "ranges");
    else reader.skip(tag, READ_FIELDS);
  }
  return ranges;
}

/** Server: a `SnapshotReadOutput` with the rows of every range; spaces are taken off the keys. */
export function encodeSnapshotReadOutput(
  ranges: readonly (readonly Row[])[],
  options: { readonly isStrong: boolean },
): Uint8Array<ArrayBuffer> {
  let size = sizeOfNumber(READ_SUCCESS) + (options.isStrong ? 2 : 0);
  const sizes: number[] = [];
  for (const rows of ranges) {
    const inner = sizeOfRows(rows);
    sizes.push(inner);
    size += sizeOfPart(inner);
  }
  const writer = new ProtoWriter(size);
  for (let index = 0; index < ranges.length; index++) {
    writer.open(OUTPUT_RANGES, sizes[index] ?? 0);
    for (const row of ranges[index] ?? []) {
      writer.open(VALUES, sizeOfEntry(row, SPACE_BYTES));
      putEntry(writer, row, SPACE_BYTES);
    }
  }
  writer.number(IS_STRONG, options.isStrong ? 1 : 0);
  writer.number(STATUS, READ_SUCCESS);
  return writer.bytes;
}

/** Server: a `SnapshotReadOutput` that says that the database is closed for reading. */
export function encodeReadDisabled(): Uint8Array<ArrayBuffer> {
  const writer = new ProtoWriter(2 * sizeOfNumber(1));
  writer.number(READ_DISABLED, 1);
  writer.number(STATUS, READ_CLOSED);
  return writer.bytes;
}

/** Client: a `SnapshotRead`; keys as the client wrote them. */
export function encodeSnapshotRead(ranges: readonly ReadRange[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const range of ranges) size += sizeOfPart(sizeOfRange(range));
  const writer = new ProtoWriter(size);
  for (const range of ranges) {
    writer.open(RANGES, sizeOfRange(range));
    writer.field(START, range.start, 0);
    writer.field(END, range.end, 0);
    writer.number(LIMIT, range.limit);
    writer.number(REVERSE, range.reverse ? 1 : 0);
  }
  return writer.bytes;
}

/**
 * Client: what a `SnapshotReadOutput` says. Keys are as the client wrote them, rows are views
 * of `bytes` and tell no expiry.
 *
 * @throws {KvError} `internal` if it is malformed.
 */
export function decodeSnapshotReadOutput(bytes: Uint8Array): ReadOutput {
  const reader = new ProtoReader(bytes, "SnapshotReadOutput", "internal");
  const ranges: Row[][] = [];
  let isDisabled = false;
  let isStrong = false;
  let status = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === OUTPUT_RANGES) reader.add(ranges, takeRows(reader), "ranges");
    else if (tag === READ_DISABLED) isDisabled = reader.flag("read_disabled");
    else if (tag === IS_STRONG) isStrong = reader.flag("read_is_strongly_consistent");
    else if (tag === STATUS) status = reader.number("status", INT32_MAX);
    else reader.skip(tag, OUTPUT_FIELDS);
  }
  if (isDisabled || status === READ_CLOSED) return { status: "disabled", isStrong, ranges };
  return { status: status === READ_SUCCESS ? "success" : "unspecified", isStrong, ranges };
}

function takeRange(reader: ProtoReader, prefix: Uint8Array): ReadRange {
  let start: Uint8Array | null = null;
  let end: Uint8Array | null = null;
  let limit = 0;
  let reverse = false;
  const outer = reader.enter("ranges");
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === START) start = reader.prefixed(prefix, "ranges.start");
    else if (tag === END) end = reader.prefixed(prefix, "ranges.end");
    else if (tag === LIMIT) limit = reader.number("ranges.limit", INT32_MAX);
    else if (tag === REVERSE) reverse = reader.flag("ranges.reverse");
    else reader.skip(tag, RANGE_FIELDS);
  }
  reader.leave(outer);
  if (limit === 0) reader.refuse("ranges.limit is not above 0");
  return { start: start ?? prefix.slice(), end: end ?? prefix.slice(), limit, reverse };
}

function takeRows(reader: ProtoReader): Row[] {
  const rows: Row[] = [];
  const outer = reader.enter("ranges");
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === VALUES) reader.add(rows, takeEntry(reader, "ranges.values"), "ranges.values");
    else reader.skip(tag, OUTPUT_RANGE_FIELDS);
  }
  reader.leave(outer);
  return rows;
}

function sizeOfRows(rows: readonly Row[]): number {
  let size = 0;
  for (const row of rows) size += sizeOfPart(sizeOfEntry(row, SPACE_BYTES));
  return size;
}

function sizeOfRange(range: ReadRange): number {
  return sizeOfBytes(range.start.length) + sizeOfBytes(range.end.length) +
    sizeOfNumber(range.limit) + (range.reverse ? 2 : 0);
}
