/**
 * A watch that outlives its connection: keeps the newest rows until they are read.
 *
 * @module
 */
import type { KvError } from "../errors.ts";
import type { Row } from "../types.ts";
import { decodeWatchOutput, encodeWatch } from "../wire/watch.ts";
import { StoreOperationError } from "./operation_error.ts";
import type { StoreEntryMaybe } from "./store.ts";
import type { WatchEvents, WeirConnection } from "./weir_connection.ts";
import { errorOf, isPassing } from "./weir_failure.ts";
import type { Operation } from "./weir_operation.ts";

/** What a watch needs of the store. */
export interface WatchParts {
  /** The keys' bytes. */
  readonly keys: readonly Uint8Array[];
  /** Makes an entry of a row, by the key's place. */
  readonly entryOf: (place: number, row: Row | null) => StoreEntryMaybe;
  /** The token of this connection does not count any more. */
  readonly onStale: (connection: WeirConnection) => void;
  /** The watch has ended. */
  readonly onEnd: (watch: WeirWatch) => void;
}

/** How long after a refusal it is tried again, in milliseconds. */
const AGAIN_MS = 200;
/** How often a token may be turned away before that is believed. */
const REFUSALS_MAX = 2;

/** Keys, and what is known of them. */
export class WeirWatch implements WatchEvents {
  /** Their entries, now and after every change. */
  readonly stream: ReadableStream<readonly StoreEntryMaybe[]>;
  readonly #parts: WatchParts;
  readonly #body: Uint8Array;
  readonly #rows: (Row | null)[];
  /** Stamps that were delivered, or `null` before the first time. */
  #delivered: readonly string[] | null = null;
  #controller: ReadableStreamDefaultController<readonly StoreEntryMaybe[]> | null = null;
  #connection: WeirConnection | null = null;
  #cancel: (() => void) | null = null;
  #hasRows = false;
  #refusals = 0;
  #wake: (() => void) | null = null;
  #again: ReturnType<typeof setTimeout> | null = null;
  #isOver = false;

  /** Waits to be attached to a connection. */
  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#body = encodeWatch(parts.keys);
    this.#rows = parts.keys.map(() => null);
    this.stream = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#deliver(),
      cancel: () => this.#stop(),
    }, { highWaterMark: 0 });
  }

  /** Goes on over this connection. */
  attach(connection: WeirConnection): void {
    this.detach();
    this.#connection = connection;
    this.#cancel = connection.watch(this.#body, this);
  }

  /** Leaves its connection. */
  detach(): void {
    if (this.#again !== null) clearTimeout(this.#again);
    this.#again = null;
    this.#cancel?.();
    this.#cancel = null;
    this.#connection = null;
  }

  /** See {@linkcode WatchEvents.changed}. */
  changed(body: Uint8Array): void {
    const { status, keys } = decodeWatchOutput(body.slice());
    if (status === "disabled") {
      const text = "Cannot watch: the database is closed for reading";
      return this.fail(new StoreOperationError("refused", text));
    }
    for (const [place, key] of keys.entries()) {
      if (key !== "unchanged" && place < this.#rows.length) this.#rows[place] = key;
    }
    this.#hasRows = true;
    this.#refusals = 0;
    this.#wake?.();
  }

  /** See {@linkcode WatchEvents.failed}. */
  failed(error: KvError): void {
    const connection = this.#connection;
    if (error.code === "unauthorized" && connection !== null && ++this.#refusals < REFUSALS_MAX) {
      this.detach();
      return this.#parts.onStale(connection);
    }
    if (!isPassing(error, WATCH)) return this.fail(errorOf(error, WATCH));
    this.#again = setTimeout(() => {
      if (connection !== null && connection === this.#connection) this.attach(connection);
    }, AGAIN_MS);
  }

  /** Ends it with an error. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#controller?.error(error);
    this.#stop();
  }

  /** Ends it. */
  end(): void {
    if (this.#isOver) return;
    this.#controller?.close();
    this.#stop();
  }

  #stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.detach();
    this.#wake?.();
    this.#parts.onEnd(this);
  }

  async #deliver(): Promise<void> {
    // After a new connection everything comes again, changed or not.
    while (!this.#isOver && !this.#isNew()) {
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = null;
    }
    if (this.#isOver) return;
    this.#delivered = this.#rows.map(stampOf);
    try {
      this.#controller?.enqueue(this.#rows.map((row, place) => this.#parts.entryOf(place, row)));
    } catch (error) {
      // A value that this program cannot read.
      this.fail(error);
    }
  }

  #isNew(): boolean {
    const delivered = this.#delivered;
    if (!this.#hasRows) return false;
    return delivered === null || this.#rows.some((row, i) => stampOf(row) !== delivered[i]);
  }
}

/** A watch may be begun again like any read. */
const WATCH: Pick<Operation, "isRepeatable"> = { isRepeatable: true };

function stampOf(row: Row | null): string {
  return row === null ? "" : row.stamp.toHex();
}
