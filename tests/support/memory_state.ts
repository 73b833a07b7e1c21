/**
 * The applied state of a group in memory, with snapshots on a disk: a double of
 * the one in SQLite, for simulations.
 *
 * It forgets on a crash what the real one may forget: all that was applied after
 * the last checkpoint.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import {
  type AppliedPosition,
  type Disk,
  DiskError,
  type State,
  type StateSize,
  type StateWriter,
} from "../../kv_node/ports.ts";
import {
  type Encoding,
  type LogPosition,
  type ReadRange,
  type Row,
  STAMP_BYTES,
} from "../../kv_node/types.ts";

const HEADER_BYTES = 28 + 1 + STAMP_BYTES;
const ROW_BYTES = 4 + 4 + 1 + STAMP_BYTES + 8;

const NOTHING: AppliedPosition = { term: 0, index: 0, stamp: null };

/** An ordered map in memory. */
export class MemoryState implements State {
  readonly #disk: Disk;
  readonly #name: string;
  #rows: Row[];
  #applied: AppliedPosition;
  #durable: LogPosition;
  #checkpointing: Promise<LogPosition> | null = null;
  /** Whether every change is refused for want of room. */
  isFull = false;

  /** A state with these rows, sorted by key. */
  constructor(disk: Disk, name: string, rows: Row[], applied: AppliedPosition) {
    this.#disk = disk;
    this.#name = name;
    this.#rows = rows;
    this.#applied = applied;
    this.#durable = applied;
  }

  get applied(): AppliedPosition {
    return this.#applied;
  }

  /** The last checkpoint. */
  get durable(): LogPosition {
    return this.#durable;
  }

  get(key: Uint8Array): Row | null {
    const row = this.#rows[this.#placeOf(key)];
    return row !== undefined && Buffer.compare(row.key, key) === 0 ? row : null;
  }

  scan(range: ReadRange, nowMs: number): readonly Row[] {
    const found: Row[] = [];
    const [start, end] = [this.#placeOf(range.start), this.#placeOf(range.end)];
    for (let i = 0; i < end - start && found.length < range.limit; i++) {
      const row = this.#rows[range.reverse ? end - 1 - i : start + i];
      if (row !== undefined && !hasExpired(row, nowMs)) found.push(row);
    }
    return found;
  }

  expired(nowMs: number, limit: number): readonly Uint8Array[] {
    return this.#rows
      .filter((row) => hasExpired(row, nowMs))
      .sort((one, other) => (one.expiresMs ?? 0) - (other.expiresMs ?? 0))
      .slice(0, limit)
      .map(({ key }) => key);
  }

  transact(position: AppliedPosition, run: (writer: StateWriter) => void): void {
    /** What was under each key that was changed, oldest first. */
    const before: { readonly key: Uint8Array; readonly row: Row | null }[] = [];
    const writer: StateWriter = {
      get: (key) => this.get(key),
      put: (row) => {
        before.push({ key: row.key, row: this.get(row.key) });
        this.#put(row);
      },
      remove: (key) => {
        const row = this.get(key);
        if (row === null) return;
        before.push({ key, row });
        this.#rows.splice(this.#placeOf(key), 1);
      },
    };
    try {
      run(writer);
      if (this.isFull) throw new DiskError("full", "Cannot change state: no space left on device");
    } catch (error) {
      for (const { key, row } of before.reverse()) {
        if (row !== null) this.#put(row);
        else this.#rows.splice(this.#placeOf(key), 1);
      }
      throw error;
    }
    this.#applied = position;
  }

  /** Joins a checkpoint under way, which may be behind. */
  checkpoint(): Promise<LogPosition> {
    this.#checkpointing ??= this.#save().finally(() => {
      this.#checkpointing = null;
    });
    return this.#checkpointing;
  }

  size(): StateSize {
    let bytes = 0;
    for (const row of this.#rows) bytes += ROW_BYTES + row.key.length + row.data.length;
    return { rows: this.#rows.length, bytes };
  }

  /** All rows in order, expired ones too. */
  rows(): readonly Row[] {
    return this.#rows;
  }

  async close(): Promise<void> {
    await this.#checkpointing;
  }

  async #save(): Promise<LogPosition> {
    const position = this.#applied;
    const bytes = encodeSnapshot(position, this.#rows);
    const temporary = `${this.#name}.new`;
    if (this.#disk.list().includes(temporary)) this.#disk.remove(temporary);
    const file = this.#disk.open(temporary, "create");
    try {
      file.write(0, bytes);
      await file.sync();
    } finally {
      file.close();
    }
    this.#disk.rename(temporary, this.#name);
    await this.#disk.sync();
    this.#durable = position;
    return position;
  }

  #put(row: Row): void {
    const place = this.#placeOf(row.key);
    const there = this.#rows[place];
    const isThere = there !== undefined && Buffer.compare(there.key, row.key) === 0;
    this.#rows.splice(place, isThere ? 1 : 0, row);
  }

  /** Where the key is, or would be. */
  #placeOf(key: Uint8Array): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = this.#rows[middle];
      if (row !== undefined && Buffer.compare(row.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Opens the last checkpoint, or an empty state where there is none.
 *
 * @throws {DiskError} `io`, with its name, if its checksum does not fit.
 */
export function openMemoryState(disk: Disk, name = "state"): MemoryState {
  if (!disk.list().includes(name)) return new MemoryState(disk, name, [], NOTHING);
  const file = disk.open(name, "read");
  const bytes = new Uint8Array(file.size());
  file.read(0, bytes);
  file.close();
  const snapshot = decodeSnapshot(bytes);
  if (snapshot !== null) return new MemoryState(disk, name, snapshot.rows, snapshot.position);
  throw new DiskError("io", `Cannot open ${name}: its checksum does not fit`);
}

function hasExpired(row: Row, nowMs: number): boolean {
  return row.expiresMs !== null && row.expiresMs <= nowMs;
}

/** `crc32 · length · term · index · count · stamp`, then the rows. */
function encodeSnapshot(position: AppliedPosition, rows: readonly Row[]): Uint8Array {
  let sizeBytes = HEADER_BYTES;
  for (const { key, data } of rows) sizeBytes += ROW_BYTES + key.length + data.length;
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, sizeBytes);
  view.setFloat64(8, position.term);
  view.setFloat64(16, position.index);
  view.setUint32(24, rows.length);
  if (position.stamp !== null) {
    bytes[28] = 1;
    bytes.set(position.stamp, 29);
  }
  let at = HEADER_BYTES;
  for (const { key, data, encoding, stamp, expiresMs } of rows) {
    view.setUint32(at, key.length);
    view.setUint32(at + 4, data.length);
    view.setUint8(at + 8, encoding);
    bytes.set(stamp, at + 9);
    view.setFloat64(at + 19, expiresMs ?? NaN);
    bytes.set(key, at + ROW_BYTES);
    bytes.set(data, at + ROW_BYTES + key.length);
    at += ROW_BYTES + key.length + data.length;
  }
  view.setUint32(0, crc32(bytes.subarray(4)));
  return bytes;
}

function decodeSnapshot(bytes: Uint8Array): { rows: Row[]; position: AppliedPosition } | null {
  const view = new DataView(bytes.buffer);
  if (bytes.length < HEADER_BYTES || view.getUint32(4) !== bytes.length) return null;
  if (view.getUint32(0) !== crc32(bytes.subarray(4))) return null;
  const rows: Row[] = [];
  let at = HEADER_BYTES;
  for (let count = view.getUint32(24); count > 0; count--) {
    const dataAt = at + ROW_BYTES + view.getUint32(at);
    const end = dataAt + view.getUint32(at + 4);
    const expiresMs = view.getFloat64(at + 19);
    rows.push({
      key: bytes.slice(at + ROW_BYTES, dataAt),
      data: bytes.slice(dataAt, end),
      encoding: view.getUint8(at + 8) as Encoding,
      stamp: bytes.slice(at + 9, at + 9 + STAMP_BYTES),
      expiresMs: Number.isNaN(expiresMs) ? null : expiresMs,
    });
    at = end;
  }
  const stamp = bytes[28] === 1 ? bytes.slice(29, 29 + STAMP_BYTES) : null;
  return { rows, position: { term: view.getFloat64(8), index: view.getFloat64(16), stamp } };
}
