/**
 * Watches of a soak: keys that beat, quickly or seldom, and clients that watch them
 * for as long as the soak lasts, through restarts of the node too.
 *
 * A watch may leave out values, but not the last, and never goes back.
 *
 * @module
 */
import type { Store, StoreEntryMaybe } from "../../kv_node/compat/mod.ts";
import { complaintAboutValue, numberOf, soakValue } from "./kv_soak_values.ts";
import { pause, type SoakWorld } from "./kv_soak_world.ts";

/** A watch that does not tell for so long of what was acknowledged is dead, in milliseconds. */
const DEAD_MS = 30_000;
const REOPEN_MS = 200;
const VALUE_BYTES = 64;

/** A key whose number rises. */
export class Beat {
  /** Its key. */
  readonly key: readonly [string, number];
  /** Last number that was acknowledged. */
  acked = 0;
  /** Last number that was begun. */
  begun = 0;
  readonly #world: SoakWorld;
  readonly #store: Store;

  /** Written by that client alone. */
  constructor(world: SoakWorld, store: Store, number: number) {
    this.#world = world;
    this.#store = store;
    this.key = ["beat", number];
  }

  /** What its values say that they were written under. */
  get name(): string {
    return this.key.join(" ");
  }

  /** Writes the next number; whether that was acknowledged. */
  async beat(): Promise<boolean> {
    const { floor } = this.#world;
    const n = ++this.begun;
    const value = soakValue(n, this.name, VALUE_BYTES);
    const done = await this.#world.attempt("beat", () => this.#store.set(this.key, value));
    if (done === null) return false;
    this.#world.committed(floor, done.value.versionstamp);
    this.acked = n;
    return true;
  }
}

/** How a watcher watches. */
export interface WatcherOptions {
  /** For complaints. */
  readonly name: string;
  /** Keys. */
  readonly beats: readonly Beat[];
  /**
   * How long it takes over each frame, in milliseconds. What lies in buffers on the way
   * comes first, so that one that takes long sees what is long past.
   */
  readonly slowMs: number;
  /** Whether it has to see every number, because nobody goes on before it has. */
  readonly seesAll: boolean;
}

interface Seen {
  n: number;
  stamp: string;
  /** A number that it has to see, and since when. */
  missing: number;
  missingSinceMs: number;
}

/** One watch. */
export class Watcher {
  /** Frames so far. */
  frames = 0;
  /** How often it was opened again: a client may give up in an outage. */
  reopened = 0;
  readonly #world: SoakWorld;
  readonly #store: Store;
  readonly #options: WatcherOptions;
  readonly #seen: readonly Seen[];
  #reader: ReadableStreamDefaultReader<readonly StoreEntryMaybe[]> | null = null;
  #running: Promise<void> = Promise.resolve();
  #isOver = false;
  #isDead = false;
  #isHurried = false;

  /** Does not begin yet. */
  constructor(world: SoakWorld, store: Store, options: WatcherOptions) {
    this.#world = world;
    this.#store = store;
    this.#options = options;
    this.#seen = options.beats.map(() => ({ n: 0, stamp: "", missing: 0, missingSinceMs: 0 }));
  }

  /** For complaints. */
  get name(): string {
    return this.#options.name;
  }

  /** Whether it has seen all that was acknowledged. */
  get isUpToDate(): boolean {
    return this.#options.beats.every(({ acked }, at) => (this.#seen[at]?.n ?? 0) >= acked);
  }

  /** Whether it has seen what was acknowledged of keys of which it has to see every number. */
  get isComplete(): boolean {
    return !this.#options.seesAll || this.isUpToDate;
  }

  /** Begins, or begins again. */
  start(): void {
    this.#isOver = false;
    this.#running = this.#run();
  }

  /** Takes no time over frames from now on, or again as much as it should. */
  hurry(isHurried: boolean): void {
    this.#isHurried = isHurried;
  }

  /** Looks whether it lives; to be called every second or so. */
  check(): void {
    if (this.#options.slowMs > 0) return;
    const nowMs = performance.now();
    for (const [at, { acked }] of this.#options.beats.entries()) {
      const seen = this.#seen[at];
      if (seen === undefined) continue;
      if (this.#world.isOutage || seen.n >= seen.missing) {
        seen.missing = acked > seen.n ? acked : 0;
        seen.missingSinceMs = nowMs;
      } else if (nowMs - seen.missingSinceMs > DEAD_MS && !this.#isDead) {
        this.#isDead = true;
        this.#world.complain(
          `watch ${this.name} is dead: ${seen.missing} was acknowledged ${
            DEAD_MS / 1_000
          } s ago, ` +
            `it has seen ${seen.n}, in ${this.frames} frames`,
        );
      }
    }
  }

  /** Ends it. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#reader?.cancel().catch(() => {});
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const { outages, isOutage } = this.#world;
      let why = "ended by itself";
      try {
        const reader = this.#store.watch(this.#options.beats.map(({ key }) => key)).getReader();
        this.#reader = reader;
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          this.#take(value);
          if (!this.#isHurried) await this.#dawdle();
        }
      } catch (error) {
        why = `failed: ${String(error)}`;
      }
      if (this.#isOver) return;
      const isExcused = isOutage || this.#world.isOutage || outages !== this.#world.outages;
      if (!isExcused) this.#world.complain(`watch ${this.name} ${why}`);
      this.reopened++;
      await pause(REOPEN_MS);
    }
  }

  async #dawdle(): Promise<void> {
    if (this.#options.slowMs > 0) await pause(this.#options.slowMs);
  }

  #take(entries: readonly StoreEntryMaybe[]): void {
    this.frames++;
    for (const [at, entry] of entries.entries()) {
      const complaint = this.#complaint(at, entry);
      if (complaint !== null) this.#world.complain(`watch ${this.name} ${complaint}`);
    }
  }

  #complaint(at: number, entry: StoreEntryMaybe): string | null {
    const [seen, beat] = [this.#seen[at], this.#options.beats[at]];
    if (seen === undefined || beat === undefined) return "tells of a key that it does not watch";
    if (entry.versionstamp === null) return seen.n > 0 ? `lost ${beat.name}` : null;
    const n = numberOf(entry.value);
    if (n < seen.n || entry.versionstamp < seen.stamp) return `went back from ${seen.n} to ${n}`;
    if (n > beat.begun) return `tells of ${n}, and ${beat.begun} was the last`;
    const isLeftOut = this.#options.seesAll && n > seen.n + 1 && this.#world.outages === 0;
    const before = seen.n;
    seen.n = n;
    seen.stamp = entry.versionstamp;
    if (isLeftOut) return `left out what lies between ${before} and ${n}`;
    return complaintAboutValue(entry.value, beat.name);
  }
}

/** Opens a watch, reads a few frames and leaves: what most clients on the way do. */
export async function lookIn(
  world: SoakWorld,
  store: Store,
  beats: readonly Beat[],
  framesMax: number,
): Promise<void> {
  await world.attempt("short watch", async () => {
    const floors = beats.map(({ acked }) => acked);
    const reader = store.watch(beats.map(({ key }) => key)).getReader();
    try {
      for (let frame = 0; frame < framesMax; frame++) {
        const read = await Promise.race([reader.read(), world.unloaded]);
        // Nothing beats any more, so nothing would come.
        if (read === undefined) return;
        if (read.done) throw new Error("Cannot go on: the watch ended by itself");
        for (const [at, { value: found }] of read.value.entries()) {
          const floor = floors[at] ?? 0;
          if (floor === 0 || numberOf(found) >= floor) continue;
          world.complain(`a new watch tells of ${numberOf(found)}, and ${floor} was acknowledged`);
        }
      }
    } finally {
      await reader.cancel();
    }
  });
}
