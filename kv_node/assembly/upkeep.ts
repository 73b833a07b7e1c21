/**
 * What a node does by itself, beside answering: expiry, checkpoints, key rotation.
 *
 * @module
 */
import type { Clock } from "../../src/ports.ts";
import type { KvMetrics } from "../telemetry/kv_metrics.ts";
import { SWEEP_KEYS_MAX } from "../group/engine.ts";
import { DiskError } from "../ports.ts";
import type { Registry } from "../registry/registry.ts";
import type { Storage } from "./storage.ts";

/** What upkeep needs. */
export interface UpkeepParts {
  /** Time. */
  readonly clock: Clock;
  /** What is kept up. */
  readonly storage: Storage;
  /** Whose keys are rotated. */
  readonly registry: Registry;
  /** Told what was done. */
  readonly metrics: KvMetrics;
  /** Size of a log segment in bytes. */
  readonly segmentBytes: number;
  /** Told of what failed. */
  readonly onProblem: (what: string, error: unknown) => void;
  /** Called when a disk failed: what of the state is on it is unknown then. */
  readonly onFatal: (error: unknown) => void;
}

const SWEEP_MS = 1_000;
const LOOK_MS = 1_000;
/** A checkpoint is made this often if anything was written at all. */
const KEEP_MS = 60_000;
/** … and as soon as so many segments of the log wait for one. */
const SEGMENTS_KEPT = 2;
/** … or the state, whose own log takes whole pages for small rows, has grown by so much. */
const STATE_BYTES = 48 * 1_048_576;
const ROTATE_MS = 86_400_000;

/** Runs until it is disposed. */
export class Upkeep implements Disposable {
  readonly #parts: UpkeepParts;
  readonly #timers = new Map<string, Disposable>();
  #keptMs: number;
  #keptBytes = 0;
  #keptStateBytes = 0;
  #isOver = false;

  /** Starts. */
  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#keptMs = parts.clock.nowMs();
    this.#noteSizes();
    this.#later("sweep", SWEEP_MS, () => this.#sweep());
    this.#later("keep", LOOK_MS, () => this.#keep());
    this.#later("rotate", ROTATE_MS, () => this.#rotate());
  }

  /** Ends; what is under way goes on by itself. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const timer of this.#timers.values()) timer[Symbol.dispose]();
    this.#timers.clear();
  }

  #later(name: string, delayMs: number, run: () => Promise<number>): void {
    if (this.#isOver) return;
    const timer = this.#parts.clock.after(delayMs, () => {
      run().catch((error: unknown) => {
        this.#parts.onProblem(name, error);
        return delayMs;
      }).then((nextMs) => this.#later(name, nextMs, run));
    });
    this.#timers.set(name, timer);
  }

  async #sweep(): Promise<number> {
    const { storage, metrics } = this.#parts;
    const swept = await storage.data.sweep();
    if (swept > 0) metrics.expired(swept);
    return swept === SWEEP_KEYS_MAX ? 0 : SWEEP_MS;
  }

  async #keep(): Promise<number> {
    const { clock, storage, metrics, segmentBytes } = this.#parts;
    const { bytes } = storage.log.size();
    const grownBytes = bytes - this.#keptBytes;
    const nowMs = clock.nowMs();
    const isDue = grownBytes > 0 && nowMs - this.#keptMs >= KEEP_MS;
    const grownStateBytes = storage.data.state.size().bytes - this.#keptStateBytes;
    const isLarge = grownBytes >= SEGMENTS_KEPT * segmentBytes || grownStateBytes >= STATE_BYTES;
    if (!isDue && !isLarge) return LOOK_MS;
    this.#keptMs = nowMs;
    try {
      await storage.keeper.keep();
      metrics.checkpointed("done", (clock.nowMs() - nowMs) / 1_000);
    } catch (error) {
      metrics.checkpointed("failed", (clock.nowMs() - nowMs) / 1_000);
      if (error instanceof DiskError && error.kind === "io") this.#parts.onFatal(error);
      throw error;
    }
    this.#noteSizes();
    return LOOK_MS;
  }

  #noteSizes(): void {
    const { log, data } = this.#parts.storage;
    this.#keptBytes = log.size().bytes;
    this.#keptStateBytes = data.state.size().bytes;
  }

  async #rotate(): Promise<number> {
    await this.#parts.registry.rotateSigningKeys();
    return ROTATE_MS;
  }
}
