/**
 * Rows and values inside the messages of KV Connect: `KvEntry`, `KvValue`.
 *
 * @module
 */
import { type Encoding, ENCODING_BYTES, ENCODING_LE64, ENCODING_V8, type Row } from "../types.ts";
import { STAMP_BYTES } from "../types.ts";
import type { ProtoReader } from "./proto_reader.ts";
import { type ProtoWriter, sizeOfBytes } from "./proto_writer.ts";

const KEY = 1 << 3 | 2;
const VALUE = 2 << 3 | 2;
const ENCODING = 3 << 3;
const STAMP = 4 << 3 | 2;
const FIELDS = ["", "entry.key", "entry.value", "entry.encoding", "entry.versionstamp"];

const NOTHING: Uint8Array = new Uint8Array();

/** Bytes of an unsigned 64-bit number. */
const LE64_BYTES = 8;

/** Checks how a value says that it is encoded; `name` is that of its message. */
export function encodingOf(
  reader: ProtoReader,
  encoding: number,
  data: Uint8Array,
  name: string,
): Encoding {
  if (encoding !== ENCODING_V8 && encoding !== ENCODING_LE64 && encoding !== ENCODING_BYTES) {
    return reader.refuse(`${name}.encoding is unknown`);
  }
  if (encoding === ENCODING_LE64 && data.length !== LE64_BYTES) {
    return reader.refuse(`${name} is said to be a 64-bit number, but has not ${LE64_BYTES} bytes`);
  }
  return encoding;
}

/** Bytes of a `KvEntry`, without the first `skip` bytes of the key. */
export function sizeOfEntry(row: Row, skip: number): number {
  return sizeOfBytes(row.key.length - skip) + sizeOfBytes(row.data.length) + 2 +
    sizeOfBytes(row.stamp.length);
}

/** Writes the fields of a `KvEntry`, without the first `skip` bytes of the key. */
export function putEntry(writer: ProtoWriter, row: Row, skip: number): void {
  writer.field(KEY, row.key, skip);
  writer.field(VALUE, row.data, 0);
  writer.number(ENCODING, row.encoding);
  writer.field(STAMP, row.stamp, 0);
}

/** Reads a `KvEntry` in the message `name`; its bytes are views. It tells no expiry. */
export function takeEntry(reader: ProtoReader, name: string): Row {
  let key = NOTHING;
  let data = NOTHING;
  let encoding = 0;
  let stamp = NOTHING;
  const outer = reader.enter(name);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === KEY) key = reader.view("entry.key");
    else if (tag === VALUE) data = reader.view("entry.value");
    else if (tag === ENCODING) encoding = reader.number("entry.encoding", 0x7fff_ffff);
    else if (tag === STAMP) stamp = reader.view("entry.versionstamp");
    else reader.skip(tag, FIELDS);
  }
  reader.leave(outer);
  if (key.length === 0) reader.refuse("entry.key is missing");
  if (stamp.length !== STAMP_BYTES) {
    reader.refuse(`entry.versionstamp has not ${STAMP_BYTES} bytes`);
  }
  return {
    key,
    data,
    encoding: encodingOf(reader, encoding, data, "entry"),
    stamp,
    expiresMs: null,
  };
}
