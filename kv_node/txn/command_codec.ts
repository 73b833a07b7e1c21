/**
 * The payload of a log entry: a command with its versionstamp, or nothing at all.
 *
 * ```
 * payload  = version (1) · kind (0 no-op, 1 command) · for a command:
 *            stamp (10) · count · checks · count · mutations
 * check    = key length × 2 + (1 if it has a stamp) · key · stamp (10) if it has one
 * mutation = head · key length · key · what its type needs:
 *   set, set_suffixed    value length · value · expiry if the head says so
 *   sum                  value length · value · two bounds if the head says so
 *   min, max, append     value length · value
 *   delete, expire       nothing
 * bound    = length + 1 · bytes; 0 for none
 * head     = type (bits 0-3) · encoding (bits 4-5) · expiry or clamp (bit 6) · bounds (bit 7)
 * ```
 *
 * Numbers are little-endian base-128 in the fewest bytes. Each command has exactly
 * one form: what decodes encodes to the same bytes again, so copies can be compared.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import {
  type Check,
  type Command,
  type Encoding,
  type KvValue,
  type Mutation,
  STAMP_BYTES,
  type SumBounds,
} from "../types.ts";

const VERSION = 1;
const KIND_NOOP = 0;
const KIND_COMMAND = 1;

const TYPE_SET = 1;
const TYPE_DELETE = 2;
const TYPE_SUM = 3;
const TYPE_MIN = 4;
const TYPE_MAX = 5;
const TYPE_SET_SUFFIXED = 6;
const TYPE_APPEND = 7;
const TYPE_EXPIRE = 8;

const TYPES: Readonly<Record<Mutation["type"], number>> = {
  set: TYPE_SET,
  delete: TYPE_DELETE,
  sum: TYPE_SUM,
  min: TYPE_MIN,
  max: TYPE_MAX,
  set_suffixed: TYPE_SET_SUFFIXED,
  append: TYPE_APPEND,
  expire: TYPE_EXPIRE,
};

const TYPE_MASK = 0x0f;
const ENCODING_SHIFT = 4;
const ENCODING_MASK = 0x03;
const FLAG_EXPIRY = 0x40;
const FLAG_CLAMP = 0x40;
const FLAG_BOUNDS = 0x80;

/** An `append` writes its place into two bytes. */
const MUTATIONS_MAX = 0x10000;

/** More bytes than a whole number of JavaScript needs. */
const VARINT_BYTES_MAX = 8;

/**
 * A command and the stamp it is to be applied with, as the payload of a log entry.
 *
 * @throws {RangeError} If there is no form for it: a stamp is none, an encoding is unknown,
 * an expiry is not a whole number from 0, or there are more than 65,536 mutations.
 */
export function encodeCommand(stamp: Uint8Array, command: Command): Uint8Array {
  if (command.mutations.length > MUTATIONS_MAX) {
    throw new RangeError(`Cannot write a command: it has more than ${MUTATIONS_MAX} mutations`);
  }
  const writer = new PayloadWriter(sizeOf(command));
  writer.byte(VERSION);
  writer.byte(KIND_COMMAND);
  writer.stamp(stamp);
  writer.varint(command.checks.length);
  for (const check of command.checks) {
    writer.varint(check.key.length * 2 + (check.stamp === null ? 0 : 1));
    writer.raw(check.key);
    if (check.stamp !== null) writer.stamp(check.stamp);
  }
  writer.varint(command.mutations.length);
  for (const mutation of command.mutations) writeMutation(writer, mutation);
  return writer.bytes;
}

/**
 * What `encodeCommand` wrote. All bytes in it are parts of `payload`, not copies.
 *
 * @throws {KvError} `internal` if the payload is anything else, with the place.
 */
export function decodeCommand(payload: Uint8Array): { stamp: Uint8Array; command: Command } {
  const reader = new PayloadReader(payload);
  if (reader.kind() !== KIND_COMMAND) reader.refuse("it holds no command", 1);
  const stamp = reader.raw(STAMP_BYTES);
  const checks: Check[] = [];
  for (let left = reader.varint(); left > 0; left--) checks.push(readCheck(reader));
  const countPlace = reader.place;
  const count = reader.varint();
  if (count > MUTATIONS_MAX) reader.refuse("it has too many mutations", countPlace);
  const mutations: Mutation[] = [];
  for (let left = count; left > 0; left--) mutations.push(readMutation(reader));
  reader.end();
  return { stamp, command: { checks, mutations } };
}

/** A payload that changes nothing: with it a new leader makes its term's first entry. */
export function encodeNoop(): Uint8Array {
  return Uint8Array.of(VERSION, KIND_NOOP);
}

/**
 * Whether a payload is a no-op; otherwise it is for `decodeCommand`.
 *
 * @throws {KvError} `internal` if it starts like neither, or goes on after a no-op.
 */
export function isNoop(payload: Uint8Array): boolean {
  const reader = new PayloadReader(payload);
  if (reader.kind() !== KIND_NOOP) return false;
  reader.end();
  return true;
}

function sizeOf(command: Command): number {
  let size = 2 + STAMP_BYTES + varintSize(command.checks.length) +
    varintSize(command.mutations.length);
  for (const check of command.checks) {
    size += varintSize(check.key.length * 2) + check.key.length;
    if (check.stamp !== null) size += STAMP_BYTES;
  }
  for (const mutation of command.mutations) {
    size += 1 + partSize(mutation.key);
    if (mutation.type === "delete" || mutation.type === "expire") continue;
    size += partSize(mutation.value.data);
    if (mutation.type === "sum") size += boundsSize(mutation.bounds);
    if (mutation.type === "set" || mutation.type === "set_suffixed") {
      if (mutation.expiresMs !== null) size += varintSize(mutation.expiresMs);
    }
  }
  return size;
}

function partSize(bytes: Uint8Array): number {
  return varintSize(bytes.length) + bytes.length;
}

function boundsSize(bounds: SumBounds): number {
  if (bounds.min === null && bounds.max === null) return 0;
  return boundSize(bounds.min) + boundSize(bounds.max);
}

function boundSize(bound: Uint8Array | null): number {
  return bound === null ? 1 : varintSize(bound.length + 1) + bound.length;
}

function varintSize(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError("Cannot write a command: a number in it is not a whole number from 0");
  }
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

function writeMutation(writer: PayloadWriter, mutation: Mutation): void {
  const type = TYPES[mutation.type];
  if (mutation.type === "delete" || mutation.type === "expire") {
    writer.byte(type);
    writer.part(mutation.key);
    return;
  }
  const { encoding } = mutation.value;
  // A type alone does not keep a number from the wire in its range, and what the
  // log once holds must be readable for good.
  if (encoding !== 1 && encoding !== 2 && encoding !== 3) {
    throw new RangeError("Cannot write a command: a value has an unknown encoding");
  }
  const head = type | encoding << ENCODING_SHIFT;
  switch (mutation.type) {
    case "set":
    case "set_suffixed":
      writer.byte(mutation.expiresMs === null ? head : head | FLAG_EXPIRY);
      writer.part(mutation.key);
      writer.part(mutation.value.data);
      if (mutation.expiresMs !== null) writer.varint(mutation.expiresMs);
      return;
    case "sum": {
      const { min, max, clamp } = mutation.bounds;
      const bounded = min !== null || max !== null;
      writer.byte(head | (clamp ? FLAG_CLAMP : 0) | (bounded ? FLAG_BOUNDS : 0));
      writer.part(mutation.key);
      writer.part(mutation.value.data);
      if (!bounded) return;
      writer.bound(min);
      writer.bound(max);
      return;
    }
    default:
      writer.byte(head);
      writer.part(mutation.key);
      writer.part(mutation.value.data);
  }
}

function readCheck(reader: PayloadReader): Check {
  const head = reader.varint();
  const key = reader.raw(Math.floor(head / 2));
  return { key, stamp: head % 2 === 0 ? null : reader.raw(STAMP_BYTES) };
}

function readMutation(reader: PayloadReader): Mutation {
  const place = reader.place;
  const head = reader.byte();
  const type = head & TYPE_MASK;
  const allowed = type === TYPE_SUM
    ? FLAG_CLAMP | FLAG_BOUNDS
    : type === TYPE_SET || type === TYPE_SET_SUFFIXED
    ? FLAG_EXPIRY
    : 0;
  if ((head & (FLAG_EXPIRY | FLAG_BOUNDS) & ~allowed) !== 0) {
    reader.refuse("a mutation has a flag that does not go with its type", place);
  }
  const encoding = head >>> ENCODING_SHIFT & ENCODING_MASK;
  const key = reader.part();
  if (type === TYPE_DELETE || type === TYPE_EXPIRE) {
    if (encoding !== 0) {
      reader.refuse("a mutation has a value that does not go with its type", place);
    }
    return { type: type === TYPE_DELETE ? "delete" : "expire", key };
  }
  if (encoding === 0) reader.refuse("a value has an unknown encoding", place);
  const value: KvValue = { data: reader.part(), encoding: encoding as Encoding };
  switch (type) {
    case TYPE_SET:
    case TYPE_SET_SUFFIXED: {
      const expiresMs = (head & FLAG_EXPIRY) === 0 ? null : reader.varint();
      return { type: type === TYPE_SET ? "set" : "set_suffixed", key, value, expiresMs };
    }
    case TYPE_SUM:
      return { type: "sum", key, value, bounds: readBounds(reader, head) };
    case TYPE_MIN:
      return { type: "min", key, value };
    case TYPE_MAX:
      return { type: "max", key, value };
    case TYPE_APPEND:
      return { type: "append", key, value };
    default:
      return reader.refuse("a mutation has an unknown type", place);
  }
}

function readBounds(reader: PayloadReader, head: number): SumBounds {
  const clamp = (head & FLAG_CLAMP) !== 0;
  if ((head & FLAG_BOUNDS) === 0) return { min: null, max: null, clamp };
  const place = reader.place;
  const min = reader.bound();
  const max = reader.bound();
  if (min === null && max === null) reader.refuse("a sum has bounds that are none", place);
  return { min, max, clamp };
}

/** Fills a payload of known size from front to back. */
class PayloadWriter {
  readonly bytes: Uint8Array;
  #place = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  byte(value: number): void {
    this.bytes[this.#place++] = value;
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte(rest % 0x80 | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#place);
    this.#place += bytes.length;
  }

  stamp(stamp: Uint8Array): void {
    if (stamp.length !== STAMP_BYTES) {
      throw new RangeError(
        `Cannot write a command: a versionstamp has ${stamp.length} bytes, not ${STAMP_BYTES}`,
      );
    }
    this.raw(stamp);
  }

  part(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  bound(bound: Uint8Array | null): void {
    this.varint(bound === null ? 0 : bound.length + 1);
    if (bound !== null) this.raw(bound);
  }
}

/** Takes a payload apart from front to back; refuses what is not there. */
class PayloadReader {
  readonly #bytes: Uint8Array;
  /** How many bytes were taken. */
  place = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The kind of the payload, once its version is known to be ours. */
  kind(): number {
    if (this.byte() !== VERSION) this.refuse("its version is unknown", 0);
    const kind = this.byte();
    if (kind > KIND_COMMAND) this.refuse("its kind is unknown", 1);
    return kind;
  }

  byte(): number {
    const value = this.#bytes[this.place];
    if (value === undefined) this.refuse("it ends too early", this.place);
    this.place++;
    return value;
  }

  varint(): number {
    const start = this.place;
    let value = 0;
    let scale = 1;
    for (let size = 1; size <= VARINT_BYTES_MAX; size++, scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte >= 0x80) continue;
      if (byte === 0 && size > 1) this.refuse("a number is longer than it needs to be", start);
      if (value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    return this.refuse("a number is too large", start);
  }

  raw(size: number): Uint8Array {
    const end = this.place + size;
    if (end > this.#bytes.length) this.refuse("it ends too early", this.place);
    const part = this.#bytes.subarray(this.place, end);
    this.place = end;
    return part;
  }

  part(): Uint8Array {
    return this.raw(this.varint());
  }

  bound(): Uint8Array | null {
    const head = this.varint();
    return head === 0 ? null : this.raw(head - 1);
  }

  end(): void {
    if (this.place !== this.#bytes.length) this.refuse("it goes on after its end", this.place);
  }

  refuse(reason: string, place: number): never {
    throw new KvError("internal", `Cannot read a log entry: ${reason}, at byte ${place}`);
  }
}
