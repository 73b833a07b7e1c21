/**
 * Segments made ahead of use, and the reserve for a full disk.
 *
 * A new segment is written with zeros under another name, slice by slice, each
 * synced, so that neither the event loop nor the syncs of the log wait long; then
 * it gets its name, and the folder is synced. Only then may it be used. Writing
 * where zeros stand needs no space and no change of metadata, so a sync there
 * costs about half of one that makes the file grow, and cannot meet a full disk.
 *
 * The reserve is a file of one segment's length. It is given back when the disk
 * is full, so that the state can be checkpointed (after which the log can be cut)
 * and a vote be written, and is made again only together with a spare segment:
 * until there is room for both, entries find no new segment.
 *
 * @module
 */
import { type Disk, DiskError, type DiskFile } from "../ports.ts";
import { encodeHeader, type LogIdentity, segmentName } from "./segment.ts";
import { eraseFrom } from "./zeros.ts";

/** How spares are made. */
export interface SpareOptions {
  /** Whose log it is. */
  readonly identity: LogIdentity;
  /** Length of a segment. */
  readonly segmentBytes: number;
  /** Whether a reserve is kept. */
  readonly isReserved: boolean;
  /** A monotonic clock. */
  nowMs(): number;
  /** How long a failed attempt is not repeated. */
  readonly retryMs: number;
}

/** Name of a segment while it is made. */
export const UNFINISHED_NAME = "spare.tmp";

/** Name of the reserve. */
export const RESERVE_NAME = "reserve";

const SLICE_BYTES = 1 << 20;
const AHEAD = 1;

/**
 * Makes a segment, ready for use.
 *
 * @param isStopped Asked between slices; once it says so the work is given up.
 * @returns Whether it was made.
 * @throws {DiskError} If not; nothing of it is left then, as far as the disk allows.
 */
export async function makeSegment(
  disk: Disk,
  sequence: number,
  options: Pick<SpareOptions, "identity" | "segmentBytes">,
  isStopped: () => boolean,
): Promise<boolean> {
  const { identity, segmentBytes } = options;
  const header = encodeHeader({ ...identity, sequence, sizeBytes: segmentBytes });
  if (!await fill(disk, UNFINISHED_NAME, header, segmentBytes, isStopped)) return false;
  disk.rename(UNFINISHED_NAME, segmentName(sequence));
  await disk.sync();
  return true;
}

/** Spares and reserve of one log. */
export class SpareSegments {
  readonly #disk: Disk;
  readonly #options: SpareOptions;
  readonly #ready: number[];
  #nextSequence: number;
  #hasReserve: boolean;
  #attempt: Promise<void> | null = null;
  #failure: DiskError | null = null;
  #failedMs = 0;
  #isStopped = false;

  /** Takes over what was found at the start: the spares' sequences, and whether there is a reserve. */
  constructor(
    disk: Disk,
    options: SpareOptions,
    found: {
      readonly spares: readonly number[];
      readonly nextSequence: number;
      readonly hasReserve: boolean;
    },
  ) {
    this.#disk = disk;
    this.#options = options;
    this.#ready = [...found.spares];
    this.#nextSequence = found.nextSequence;
    this.#hasReserve = found.hasReserve;
  }

  /** How many are ready. */
  get count(): number {
    return this.#ready.length;
  }

  /** Whether the last attempt failed for want of space. */
  get isFull(): boolean {
    return this.#failure?.kind === "full";
  }

  /** The sequence of the next one, which is no spare any more. */
  take(): number | undefined {
    return this.#ready.shift();
  }

  /** Makes what is missing, in the background; failures are kept for {@linkcode ensure}. */
  refill(): void {
    const isComplete = this.count >= AHEAD && (this.#hasReserve || !this.#options.isReserved);
    if (isComplete || this.#attempt !== null || this.#isWaiting()) return;
    this.#start(AHEAD, false);
  }

  /**
   * Sees to it that so many are ready.
   *
   * @param isUrgent Whether the reserve may be spent on them, and no pause is kept.
   * @returns `false` if the disk is full; the reserve is given back then.
   * @throws {DiskError} If it fails otherwise.
   */
  async ensure(count: number, isUrgent: boolean): Promise<boolean> {
    if (this.#attempt !== null) await this.#attempt;
    while (this.count < count) {
      if (this.#isStopped) return false;
      if (isUrgent || !this.#isWaiting()) await this.#start(count, isUrgent);
      if (this.count >= count) break;
      if (this.#failure !== null && this.#failure.kind !== "full") throw this.#failure;
      const isReleased = await this.#release();
      if (!(isUrgent && isReleased)) return false;
    }
    return true;
  }

  /** Tries again at the next occasion: there may be room now. */
  retry(): void {
    this.#failedMs = -Infinity;
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#attempt;
  }

  #isWaiting(): boolean {
    return this.#failure !== null &&
      this.#options.nowMs() - this.#failedMs < this.#options.retryMs;
  }

  #start(count: number, isUrgent: boolean): Promise<void> {
    this.#attempt = this.#make(count, isUrgent).finally(() => this.#attempt = null);
    return this.#attempt;
  }

  async #make(count: number, isUrgent: boolean): Promise<void> {
    const isReserveMissing = this.#options.isReserved && !this.#hasReserve && !isUrgent;
    const isStopped = () => this.#isStopped;
    try {
      if (isReserveMissing) await this.#reserve(isStopped);
      while (this.count < count && !this.#isStopped) {
        if (!await makeSegment(this.#disk, this.#nextSequence, this.#options, isStopped)) return;
        this.#ready.push(this.#nextSequence++);
      }
      this.#failure = null;
    } catch (error) {
      this.#failure = asDiskError(error);
      this.#failedMs = this.#options.nowMs();
      // Half of both is worth nothing, and the state may need the room.
      if (isReserveMissing && this.isFull) await this.#release().catch(() => false);
    }
  }

  async #reserve(isStopped: () => boolean): Promise<void> {
    const { segmentBytes } = this.#options;
    removeIfThere(this.#disk, RESERVE_NAME);
    const nothing = new Uint8Array(0);
    this.#hasReserve = await fill(this.#disk, RESERVE_NAME, nothing, segmentBytes, isStopped);
  }

  /** Gives the reserve back; returns whether there was one. The sync makes the space free. */
  async #release(): Promise<boolean> {
    if (!this.#hasReserve) return false;
    this.#hasReserve = false;
    removeIfThere(this.#disk, RESERVE_NAME);
    await this.#disk.sync();
    return true;
  }
}

/** Removes a file, if it is there. */
export function removeIfThere(disk: Disk, name: string): void {
  try {
    disk.remove(name);
  } catch (error) {
    if (!(error instanceof DiskError) || error.kind !== "missing") throw error;
  }
}

/** Makes a file of `head` and zeros, slice by slice, each synced. */
async function fill(
  disk: Disk,
  name: string,
  head: Uint8Array,
  sizeBytes: number,
  isStopped: () => boolean,
): Promise<boolean> {
  removeIfThere(disk, name);
  // Nothing of an earlier try may come back after a crash and be taken for this one.
  await disk.sync();
  const file = disk.open(name, "create");
  let isFilled = false;
  try {
    isFilled = await fillOpen(file, head, sizeBytes, isStopped);
  } finally {
    file.close();
    if (!isFilled) removeIfThere(disk, name);
  }
  return isFilled;
}

async function fillOpen(
  file: DiskFile,
  head: Uint8Array,
  sizeBytes: number,
  isStopped: () => boolean,
): Promise<boolean> {
  for (let offset = 0; offset < sizeBytes; offset += SLICE_BYTES) {
    if (isStopped()) return false;
    eraseFrom(file, offset, Math.min(offset + SLICE_BYTES, sizeBytes));
    if (offset === 0 && head.length > 0) file.write(0, head);
    await file.sync();
  }
  return true;
}

function asDiskError(error: unknown): DiskError {
  if (error instanceof DiskError) return error;
  throw error;
}
