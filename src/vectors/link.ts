/**
 * The client's end of one worker.
 *
 * A worker that ends without an error says nothing, so silence has to tell: one
 * that owes an answer and has not been heard for a while counts as dead.
 *
 * @module
 */
import type { Clock } from "../ports.ts";
import type { Counts, FromWorker, ToWorker } from "./messages.ts";

/** A worker as the client needs it. */
export interface WorkerPort {
  /** Sends a message. */
  post(message: ToWorker, transfer: Transferable[]): void;
  /** Ends it at once; nothing is heard of it afterwards. */
  end(): void;
}

/** What a worker is heard by. */
export interface WorkerListener {
  /** A message came. */
  readonly message: (message: FromWorker) => void;
  /** It broke down. */
  readonly died: (message: string) => void;
}

/**
 * Starts a worker.
 *
 * @throws {Error} If it may not be started.
 */
export type Spawn = (listener: WorkerListener) => WorkerPort;

/** Messages that are owed an answer of their own; changes are owed a confirmation. */
const ANSWERED: ReadonlySet<ToWorker["type"]> = new Set([
  "open",
  "search",
  "compare",
  "read",
  "feed",
  "save",
  "list",
  "census",
]);
const ANSWERS: ReadonlySet<FromWorker["type"]> = new Set([
  "opened",
  "found",
  "unfit",
  "piece",
  "fed",
  "saved",
  "listed",
  "census",
]);

/** A worker, what it owes, and what it has told. */
export class Link {
  /** Its number. */
  readonly number: number;
  /** What it was started for; a builder becomes the index by a switch. */
  readonly role: "index" | "builder";
  /** Its memory, which outlives it. */
  readonly segments: SharedArrayBuffer[];
  /** What it counted last. */
  counts: Counts | null = null;
  /** Whether it uses the native library. */
  isNative = false;
  /** Whether it is reading a kept index, which takes longer than any other work. */
  isLoading = false;
  /** When it had its vectors, on the clock, or `null`. */
  openedMs: number | null = null;
  readonly #clock: Clock;
  readonly #port: WorkerPort;
  #owed = 0;
  #sent = 0;
  #confirmed = 0;
  #heardMs: number;

  /** Wraps a worker that has just been started. */
  constructor(
    worker: {
      readonly number: number;
      readonly role: "index" | "builder";
      readonly segments: readonly SharedArrayBuffer[];
      readonly port: WorkerPort;
    },
    clock: Clock,
  ) {
    this.number = worker.number;
    this.role = worker.role;
    this.segments = [...worker.segments];
    this.#port = worker.port;
    this.#clock = clock;
    this.#heardMs = clock.nowMs();
  }

  /** Whether it owes anything. */
  get isInDebt(): boolean {
    return this.#owed > 0 || this.#sent > this.#confirmed;
  }

  /** How long it has owed something without a word, in milliseconds. */
  get silentMs(): number {
    return this.isInDebt ? this.#clock.nowMs() - this.#heardMs : 0;
  }

  /** Sends a message. */
  post(message: ToWorker, transfer: Transferable[] = []): void {
    if (!this.isInDebt) this.#heardMs = this.#clock.nowMs();
    if (ANSWERED.has(message.type)) this.#owed++;
    if (message.type === "open") this.isLoading = message.load && message.directory !== null;
    if (message.type === "changes") this.#sent = message.changes.at(-1)?.sequence ?? this.#sent;
    this.#port.post(message, transfer);
  }

  /** Notes a message. */
  hear(message: FromWorker): void {
    this.#heardMs = this.#clock.nowMs();
    if (ANSWERS.has(message.type)) this.#owed--;
    if (message.type === "segment") this.segments.push(message.buffer);
    if (message.type === "confirmed") this.#confirmed = message.sequence;
    if (message.type === "opened") this.isLoading = false;
    if ("counts" in message) this.counts = message.counts;
  }

  /** Ends the worker. */
  end(): void {
    this.#port.end();
  }
}
