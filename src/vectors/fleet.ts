/**
 * The workers of an index: started, listened to, missed, and replaced.
 *
 * @module
 */
import { Link, type Spawn } from "./link.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import type { VectorIndexOptions } from "./types.ts";

/** Deaths one after another, after which the native library is no longer loaded. */
const DEATHS_NATIVE = 3;
/** Deaths one after another, after which the memory itself is no longer trusted. */
const DEATHS_MEMORY = 5;
/** A worker that lived so long did not die of what killed the one before. */
const HEALTHY_MS = 60_000;
const RESTART_MS = 1_000;
const RESTART_MAX_MS = 30_000;
/** Silence allowed while a kept index is read, in milliseconds. */
const LOADING_MS = 30_000;

/** What a fleet is made of, and whom it tells. */
export interface FleetParts {
  /** Starts a worker. */
  readonly spawn: Spawn;
  /** Path of the native library, or `null` to scan. */
  readonly native: string | null;
  /** A worker said something. */
  readonly hear: (link: Link, message: FromWorker) => void;
  /** A worker is gone; its link, if it ever had one. */
  readonly died: (worker: number, link: Link | null, message: string) => void;
}

/** What a new index goes on with. */
export interface Inheritance {
  /** Last change known to be in the memory of the index before it. */
  readonly sequence: number;
  /** Whether to read the directory first. */
  readonly load: boolean;
}

/** Links by number. */
export class Fleet {
  readonly #options: VectorIndexOptions;
  readonly #parts: FleetParts;
  readonly #links = new Map<number, Link>();
  readonly #timers = new Set<Disposable>();
  /** Memory of the index that died last. */
  #segments: readonly SharedArrayBuffer[] = [];
  #deaths = 0;
  #watch: Disposable | null = null;
  #isEnded = false;

  /** No workers yet. */
  constructor(options: VectorIndexOptions, parts: FleetParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Index workers that died one after another. */
  get deaths(): number {
    return this.#deaths;
  }

  /** A worker's link, or `null` if it was not started yet or is gone. */
  link(worker: number): Link | null {
    return this.#links.get(worker) ?? null;
  }

  /** Starts an index; later, if the ones before it died early. */
  openIndex(worker: number, inheritance: Inheritance): void {
    const start = (): void => this.#start(worker, "index", inheritance);
    if (this.#deaths < 2) return start();
    this.later(Math.min(RESTART_MAX_MS, RESTART_MS * 2 ** (this.#deaths - 2)), start);
  }

  /** Starts a builder. */
  openBuilder(worker: number): void {
    this.#start(worker, "builder", { sequence: 0, load: false });
  }

  /** Sends a message; nothing happens if the worker is gone. */
  post(worker: number, message: ToWorker, transfer: Transferable[] = []): void {
    const link = this.#links.get(worker);
    if (link === undefined) return;
    link.post(message, transfer);
    this.#watch ??= this.#options.clock.after(this.#options.silentMs, () => this.#look());
  }

  /** Ends a worker. */
  end(worker: number): void {
    this.#links.get(worker)?.end();
    this.#links.delete(worker);
  }

  /** Ends all of them. */
  endAll(): void {
    this.#isEnded = true;
    for (const worker of [...this.#links.keys()]) this.end(worker);
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#watch?.[Symbol.dispose]();
  }

  /**
   * Keeps the memory of an index that died, for the next one. After some deaths
   * in a row it is let go, since it may be what kills them.
   *
   * @returns Whether it was let go just now.
   */
  mourn(link: Link | null): boolean {
    const openedMs = link?.openedMs ?? null;
    const isHealthy = openedMs !== null && this.#options.clock.nowMs() - openedMs > HEALTHY_MS;
    this.#deaths = isHealthy ? 1 : this.#deaths + 1;
    if (link !== null) this.#segments = link.segments;
    if (this.#deaths !== DEATHS_MEMORY) return false;
    this.#segments = [];
    return true;
  }

  /** Runs something after a while, unless all has ended. */
  later(delayMs: number, run: () => void): void {
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      if (!this.#isEnded) run();
    });
    this.#timers.add(timer);
  }

  #start(worker: number, role: "index" | "builder", inheritance: Inheritance): void {
    const options = this.#options;
    // Files that were being read when their reader died are read again.
    const segments = role === "index" && !inheritance.load ? this.#segments : [];
    try {
      const port = this.#parts.spawn({
        message: (message) => this.#hear(worker, message),
        died: (message) => this.#died(worker, message),
      });
      this.#links.set(worker, new Link({ number: worker, role, segments, port }, options.clock));
    } catch (error) {
      // Told later, like any death, so that nobody is called back from within a call.
      const message = error instanceof Error ? error.message : String(error);
      return this.later(0, () => this.#parts.died(worker, null, message));
    }
    this.post(worker, {
      type: "open",
      dims: options.dims,
      graphFrom: options.graphFrom,
      embedderId: options.embedderId,
      builtin: options.builtin,
      native: this.#deaths < DEATHS_NATIVE ? this.#parts.native : null,
      directory: options.directory,
      segments,
      sequence: inheritance.sequence,
      load: inheritance.load,
    });
  }

  #hear(worker: number, message: FromWorker): void {
    const link = this.#links.get(worker);
    if (link === undefined) return;
    link.hear(message);
    this.#parts.hear(link, message);
  }

  #died(worker: number, message: string): void {
    const link = this.#links.get(worker);
    // The same end may be heard of in several ways.
    if (link === undefined) return;
    this.end(worker);
    this.#parts.died(worker, link, message);
  }

  /** Looks for workers that owe something and are silent. */
  #look(): void {
    this.#watch = null;
    const { silentMs, clock } = this.#options;
    for (const link of [...this.#links.values()]) {
      const limitMs = link.isLoading ? Math.max(LOADING_MS, silentMs) : silentMs;
      if (link.silentMs >= limitMs) this.#died(link.number, `Silent for ${limitMs} ms`);
    }
    if (this.#isEnded || ![...this.#links.values()].some((link) => link.isInDebt)) return;
    this.#watch ??= clock.after(silentMs, () => this.#look());
  }
}
