/**
 * Watches: streams that tell a client what its keys hold, as long as it listens.
 *
 *     pull --something changed--> read, compare with what was sent --> frame
 *      |                                     |
 *      |                                same stamps
 *      +--nothing new: wait for a commit, an expiry, 5 s of silence (empty frame), the end
 *
 * A frame is built when the client can take it, out of what is there then. So a
 * slow client has nothing waiting for it here but one bit, and gets the newest
 * values next; how many commits lay between does not matter.
 *
 * Rows that expire change without a commit: the wait ends at the earliest expiry
 * of what was sent.
 *
 * @module
 */
import type { Clock, Departure, StreamSource } from "../../src/ports.ts";
import { KvError } from "../errors.ts";
import type { Database, ReadRange, Row } from "../types.ts";
import { encodeFrame, keepAliveFrame } from "../wire/frame.ts";
import { encodeWatchDisabled, encodeWatchOutput } from "../wire/watch.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a watch is made of. */
export interface WatchParts {
  /** Whose keys. */
  readonly database: Database;
  /** Complete keys, in the client's order. */
  readonly keys: readonly Uint8Array[];
  /** Timers and the present. */
  readonly clock: Clock;
  /** Tells when the client has gone. */
  readonly signal: Departure;
  /** Counts bytes that go out. */
  readonly sent: (sizeBytes: number) => void;
  /** Is told of what ends a watch and should not have. */
  readonly fault: (error: unknown) => void;
}

/** A silent watch sends an empty frame this often. */
const KEEP_ALIVE_MS = 5_000;
/** A row whose time is over may be seen a moment longer where clocks differ; look again then. */
const RECHECK_MS = 100;

/** All watches that are open. */
export class Watches {
  readonly #open = new Set<WatchStream>();
  readonly #openMax: number;
  readonly #counted: (open: number) => void;

  /** None at first; `counted` is told whenever their number changes. */
  constructor(openMax: number, counted: (open: number) => void) {
    this.#openMax = openMax;
    this.#counted = counted;
  }

  /** How many there are. */
  get open(): number {
    return this.#open.size;
  }

  /**
   * Starts a watch.
   *
   * @throws {KvError} `overloaded` if there are too many.
   */
  start(parts: WatchParts): StreamSource {
    if (this.#open.size >= this.#openMax) {
      throw new KvError(
        "overloaded",
        `Cannot watch: ${this.#openMax} watches are open on this node, which is the most`,
      );
    }
    const stream = new WatchStream(parts, () => {
      if (this.#open.delete(stream)) this.#counted(this.#open.size);
    });
    this.#open.add(stream);
    this.#counted(this.#open.size);
    if (parts.signal.aborted) stream.cancel();
    return stream;
  }

  /** Ends all of them properly; their clients will ask again, elsewhere. */
  stop(): void {
    for (const stream of [...this.#open]) stream.cancel();
  }
}

/** What was sent of one key. */
interface Sent {
  readonly stamp: Uint8Array | null;
  readonly expiresMs: number | null;
}

class WatchStream implements StreamSource {
  readonly #parts: WatchParts;
  readonly #ranges: readonly ReadRange[];
  readonly #onEnd: () => void;
  readonly #onDeparture = (): void => this.cancel();
  readonly #subscription: Disposable;
  /** By key; `null` before the first frame. */
  #sent: readonly Sent[] | null = null;
  /** Whether something may have changed since the last look. */
  #dirty = true;
  #ended = false;
  #silentUntilMs: number;
  #wake: (() => void) | null = null;

  constructor(parts: WatchParts, onEnd: () => void) {
    const { database, keys, clock, signal } = parts;
    this.#parts = parts;
    this.#onEnd = onEnd;
    this.#ranges = keys.map(rangeOf);
    this.#silentUntilMs = clock.nowMs() + KEEP_ALIVE_MS;
    this.#subscription = database.watch(keys, () => this.#touch());
    signal.addEventListener("abort", this.#onDeparture);
  }

  /** See {@linkcode StreamSource.pull}. */
  async pull(): Promise<readonly Bytes[] | null> {
    for (;;) {
      if (this.#ended) return null;
      const frame = this.#next();
      if (frame !== null) {
        this.#silentUntilMs = this.#parts.clock.nowMs() + KEEP_ALIVE_MS;
        this.#parts.sent(frame.length);
        return [frame];
      }
      await this.#wait();
    }
  }

  /** Ends it, whoever asks. */
  cancel(): void {
    this.#ended = true;
    this.#subscription[Symbol.dispose]();
    this.#parts.signal.removeEventListener("abort", this.#onDeparture);
    this.#onEnd();
    this.#wake?.();
  }

  #touch(): void {
    this.#dirty = true;
    this.#wake?.();
  }

  /** The frame that is due now, or `null`. */
  #next(): Bytes | null {
    if (this.#parts.database.readDisabled) {
      this.cancel();
      return encodeFrame(encodeWatchDisabled());
    }
    if (this.#dirty) {
      // First this: a commit may come while rows are read.
      this.#dirty = false;
      const frame = this.#changes();
      if (frame !== null) return frame;
    }
    return this.#parts.clock.nowMs() >= this.#silentUntilMs ? keepAliveFrame() : null;
  }

  /** What differs from what was sent, or `null` if nothing does. */
  #changes(): Bytes | null {
    const { database, fault } = this.#parts;
    let rows: readonly (Row | null)[];
    try {
      rows = database.read(this.#ranges).map((found) => found[0] ?? null);
    } catch (error) {
      // It cannot be read any more: the client will ask again and be told why.
      if (!(error instanceof KvError)) fault(error);
      this.cancel();
      return null;
    }
    const before = this.#sent;
    const isChanged = before === null ||
      rows.some((row, at) => !sameStamp(row?.stamp ?? null, before[at]?.stamp ?? null));
    this.#sent = rows.map(sentOf);
    // All rows, not only those that changed: Deno 2.9.6 takes a key that is marked as
    // unchanged for one without a value, and looks for itself which stamps are new.
    return isChanged ? encodeFrame(encodeWatchOutput(rows)) : null;
  }

  /** Settles when there may be something to send. */
  async #wait(): Promise<void> {
    if (this.#ended) return;
    const { clock } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const silentMs = this.#silentUntilMs - clock.nowMs();
    const expiryMs = this.#untilExpiry();
    using _timer = clock.after(Math.max(0, Math.min(silentMs, expiryMs)), () => {
      if (expiryMs <= silentMs) this.#dirty = true;
      resolve();
    });
    await promise;
    this.#wake = null;
  }

  #untilExpiry(): number {
    let earliestMs = Infinity;
    for (const { expiresMs } of this.#sent ?? []) {
      if (expiresMs !== null && expiresMs < earliestMs) earliestMs = expiresMs;
    }
    return Math.max(RECHECK_MS, earliestMs - this.#parts.clock.wallMs());
  }
}

/** Copies: a row's bytes may lie in something far larger. */
function sentOf(row: Row | null): Sent {
  return { stamp: row?.stamp.slice() ?? null, expiresMs: row?.expiresMs ?? null };
}

function sameStamp(one: Uint8Array | null, other: Uint8Array | null): boolean {
  if (one === null || other === null) return one === other;
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** The row under one key: nothing lies between a key and the same with a zero behind it. */
function rangeOf(start: Uint8Array): ReadRange {
  const end = new Uint8Array(start.length + 1);
  end.set(start);
  return { start, end, limit: 1, reverse: false };
}
