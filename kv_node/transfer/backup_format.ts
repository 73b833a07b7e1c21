/**
 * What a backup is made of: the bytes that its encoder and decoder agree on.
 *
 * ```
 * backup   = "WEIRBKUP" · u32 format · frame(manifest) · frame(snapshot)… · frame(trailer)
 * frame    = u32 length · u32 crc32(rest of the frame) · u32 number · u8 type · u32 group
 *            · payload
 * manifest = JSON: whose it is, when it was made, and what of each group is in it
 * snapshot = the next chunk of the snapshot of a group, as `store/snapshot_format.ts` has it
 * trailer  = u64 bytes before this frame · SHA-256 of them
 * ```
 *
 * Numbers are big-endian; `length` is that of the payload. Groups come one after
 * the other, in the order of the manifest. A frame's checksum covers its number,
 * so none passes in another's place, and says where a damaged file is damaged; the
 * trailer says that nothing is missing.
 *
 * @module
 */
import { stampHex, stampOfHex } from "../clock/stamps.ts";

/** First bytes of a backup. */
export const BACKUP_MAGIC: Uint8Array = new TextEncoder().encode("WEIRBKUP");
/** Version of the format. */
export const BACKUP_FORMAT = 1;
/** Bytes before the first frame. */
export const PREAMBLE_BYTES = 12;

/** Types of frames. */
export const FRAME_MANIFEST = 1;
/** A chunk of a snapshot. */
export const FRAME_SNAPSHOT = 2;
/** The end. */
export const FRAME_TRAILER = 3;

/** Bytes of a frame before its payload. */
export const FRAME_OVERHEAD_BYTES = 17;
/** Where what the checksum covers begins, in bytes. */
export const FRAME_CHECKED_FROM = 8;
/** The longest payload that is read: one chunk of a snapshot, in bytes. */
export const FRAME_BYTES_MAX = 33 * 1_048_576;
/** Payload of the trailer, in bytes. */
export const TRAILER_BYTES = 40;

/** What of one group is in a backup. */
export interface BackupGroup {
  /** Its number. */
  readonly group: number;
  /** Term of the last entry in it. */
  readonly term: number;
  /** Index of the last entry in it. */
  readonly index: number;
  /** The last versionstamp that was given up to there, 10 bytes; `null` before the first. */
  readonly stamp: Uint8Array | null;
  /** Rows. */
  readonly rows: number;
}

/** What a backup says of itself. */
export interface BackupManifest {
  /** Identity of the cluster, or of the lone node. */
  readonly cluster: string;
  /** Identity of the node that wrote it. */
  readonly node: string;
  /** Version of the program that wrote it. */
  readonly program: string;
  /** When it was begun, in milliseconds since the Unix epoch. */
  readonly createdMs: number;
  /** Its groups, in the order in which they come. */
  readonly groups: readonly BackupGroup[];
}

/** A backup that cannot be read, with the place where that was found. */
export class BackupError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "BackupError";
  /** Where the damaged frame starts, in bytes. */
  readonly offset: number;
  /** What is wrong there. */
  readonly reason: string;

  /** Says where and why; `reason` never holds a key or a value. */
  constructor(offset: number, reason: string) {
    super(`Cannot read backup: at byte ${offset}: ${reason}`);
    this.offset = offset;
    this.reason = reason;
  }
}

/** Says what is wrong at a place. */
export function backupDamage(offset: number, reason: string): BackupError {
  return new BackupError(offset, reason);
}

/** A manifest as it stands in the file. */
export function encodeManifest(manifest: BackupManifest): Uint8Array {
  const { cluster, node, program, createdMs, groups } = manifest;
  const shown = groups.map(({ stamp, ...group }) => ({
    ...group,
    stamp: stamp === null ? null : stampHex(stamp),
  }));
  const created = new Date(createdMs).toISOString();
  return new TextEncoder().encode(
    JSON.stringify({ cluster, node, program, created, groups: shown }),
  );
}

/** Reads a manifest. @returns `null` if it is none. */
export function decodeManifest(bytes: Uint8Array): BackupManifest | null {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const { cluster, node, program, created, groups } = value;
  const createdMs = typeof created === "string" ? Date.parse(created) : NaN;
  if (typeof cluster !== "string" || typeof node !== "string" || typeof program !== "string") {
    return null;
  }
  if (Number.isNaN(createdMs) || !Array.isArray(groups)) return null;
  const read = groups.map(groupOf);
  const whole = read.filter((group) => group !== null);
  return whole.length === read.length ? { cluster, node, program, createdMs, groups: whole } : null;
}

function groupOf(value: unknown): BackupGroup | null {
  if (!isRecord(value)) return null;
  const { group, term, index, rows, stamp } = value;
  if (!isCount(group) || !isCount(term) || !isCount(index) || !isCount(rows)) return null;
  if (stamp === null) return { group, term, index, rows, stamp };
  const bytes = typeof stamp === "string" ? stampOfHex(stamp) : null;
  return bytes === null ? null : { group, term, index, rows, stamp: bytes };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
