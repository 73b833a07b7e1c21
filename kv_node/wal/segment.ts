/**
 * One file of the log: its name, its header, and what may be wrong with it.
 *
 *     header = magic (8) · u32 format · u32 length of the segment · cluster (16)
 *            · node (16) · u64 sequence · zeros (4) · u32 crc32 of all before it
 *
 * A file gets its name only after its header and the zeros behind it are on disk,
 * so no crash leaves a bad header under that name.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { DiskFile } from "../ports.ts";
import { numberAt, putNumber } from "./record.ts";

/** Whose log it is. */
export interface LogIdentity {
  /** The cluster, 16 bytes. */
  readonly clusterId: Uint8Array;
  /** The node, 16 bytes. */
  readonly nodeId: Uint8Array;
}

/** What the header of a segment says. */
export interface SegmentHeader extends LogIdentity {
  /** The segment's place in the log. */
  readonly sequence: number;
  /** Its length in bytes, header included. */
  readonly sizeBytes: number;
}

/** Length of a segment's header; the first record stands here. */
export const HEADER_BYTES = 64;

/** The format that is written, and the only one that is read. */
export const FORMAT_VERSION = 1;

const MAGIC = new TextEncoder().encode("WEIR-WAL");
const ID_BYTES = 16;
const FORMAT_AT = 8;
const SIZE_AT = 12;
const CLUSTER_AT = 16;
const NODE_AT = 32;
const SEQUENCE_AT = 48;
const CRC_AT = 60;
const NAME = /^(\d{16})\.wal$/;

/** A log that cannot be what was written: somebody has to look at it. */
export class LogCorruptError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "LogCorruptError";
  /** The file. */
  readonly file: string;
  /** Where in it, in bytes. */
  readonly offset: number;
  /** What is wrong there. */
  readonly reason: string;

  /** Names the place and what is wrong with it. */
  constructor(file: string, offset: number, reason: string) {
    super(`Cannot read the log: ${file} at byte ${offset}: ${reason}`);
    this.file = file;
    this.offset = offset;
    this.reason = reason;
  }
}

/** The name of the segment with this sequence. */
export function segmentName(sequence: number): string {
  return `${String(sequence).padStart(16, "0")}.wal`;
}

/** Sequences of the segments among these files, rising. */
export function sequencesOf(names: readonly string[]): number[] {
  const sequences: number[] = [];
  for (const name of names) {
    const digits = NAME.exec(name)?.[1];
    if (digits === undefined) continue;
    const sequence = Number(digits);
    if (Number.isSafeInteger(sequence)) sequences.push(sequence);
  }
  return sequences.sort((one, other) => one - other);
}

/** A header as bytes. */
export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(FORMAT_AT, FORMAT_VERSION, true);
  view.setUint32(SIZE_AT, header.sizeBytes, true);
  bytes.set(header.clusterId, CLUSTER_AT);
  bytes.set(header.nodeId, NODE_AT);
  putNumber(view, SEQUENCE_AT, header.sequence);
  view.setUint32(CRC_AT, crc32(bytes.subarray(0, CRC_AT)), true);
  return bytes;
}

/**
 * Reads the header of the segment with this sequence.
 *
 * @throws {LogCorruptError} If there is none, or one of another format or place.
 */
export function readHeader(file: DiskFile, sequence: number): SegmentHeader {
  const name = segmentName(sequence);
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  if (file.read(0, bytes) < HEADER_BYTES) {
    throw damage(name, 0, "the file is shorter than a header");
  }
  if (!isSame(bytes.subarray(0, MAGIC.length), MAGIC)) {
    throw damage(name, 0, "the file does not begin like a segment of the log");
  }
  const format = view.getUint32(FORMAT_AT, true);
  if (format !== FORMAT_VERSION) {
    throw damage(
      name,
      FORMAT_AT,
      `format version ${format} is not known to this program, which reads ${FORMAT_VERSION}`,
    );
  }
  if (view.getUint32(CRC_AT, true) !== crc32(bytes.subarray(0, CRC_AT))) {
    throw damage(name, 0, "the checksum of the header is wrong");
  }
  const stated = numberAt(view, SEQUENCE_AT);
  if (stated !== sequence) {
    throw damage(name, SEQUENCE_AT, `the header is that of segment ${stated}`);
  }
  return {
    sequence,
    sizeBytes: view.getUint32(SIZE_AT, true),
    clusterId: bytes.slice(CLUSTER_AT, CLUSTER_AT + ID_BYTES),
    nodeId: bytes.slice(NODE_AT, NODE_AT + ID_BYTES),
  };
}

/**
 * Sees to it that a segment belongs here.
 *
 * @throws {LogCorruptError} If it is another cluster's or another node's.
 */
export function checkOwner(header: SegmentHeader, owner: LogIdentity): void {
  const name = segmentName(header.sequence);
  if (!isSame(header.clusterId, owner.clusterId)) {
    const [found, expected] = [hexOf(header.clusterId), hexOf(owner.clusterId)];
    const reason = `the segment belongs to cluster ${found}, not to ${expected}`;
    throw damage(name, CLUSTER_AT, reason);
  }
  if (!isSame(header.nodeId, owner.nodeId)) {
    const [found, expected] = [hexOf(header.nodeId), hexOf(owner.nodeId)];
    const reason = `the segment belongs to node ${found}, not to ${expected}`;
    throw damage(name, NODE_AT, reason);
  }
}

/**
 * Sees to it that these are identifiers.
 *
 * @throws {RangeError} If one of them has not 16 bytes.
 */
export function checkIdentity(identity: LogIdentity): void {
  for (const [what, id] of [["cluster", identity.clusterId], ["node", identity.nodeId]] as const) {
    if (id.length !== ID_BYTES) {
      throw new RangeError(`Cannot open the log: the id of the ${what} has not ${ID_BYTES} bytes`);
    }
  }
}

/** Says what is wrong in a file. */
export function damage(file: string, offset: number, reason: string): LogCorruptError {
  return new LogCorruptError(file, offset, reason);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
