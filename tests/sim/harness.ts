/**
 * Deterministic simulation: virtual time and seeded chance.
 *
 * A run is a pure function of its seed. A minute of virtual time costs
 * milliseconds, and a failing seed fails again, in the same way, until fixed:
 *
 *     SEED=17 deno test --allow-env=SEED tests/sim
 *
 * @module
 */
import type { Clock, Random } from "../../src/ports.ts";

interface Task {
  readonly dueMs: number;
  /** Order of tasks that are due at the same time: first asked, first run. */
  readonly order: number;
  run: (() => void) | null;
}

/** A clock that jumps from one task to the next. */
export class VirtualTime implements Clock {
  #nowMs = 0;
  #asked = 0;
  /** Binary heap: each task is due no later than its children, at `2i + 1` and `2i + 2`. */
  readonly #heap: Task[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  /** Starts at the Unix epoch. */
  wallMs(): number {
    return this.#nowMs;
  }

  /** The present in seconds, as the balancer takes it. */
  nowSeconds(): number {
    return this.#nowMs / 1000;
  }

  after(delayMs: number, run: () => void): Disposable {
    const task: Task = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#asked++, run };
    this.#push(task);
    return {
      [Symbol.dispose]: () => {
        task.run = null;
      },
    };
  }

  /** Runs every task due up to `endMs`, in order, then stands at `endMs`. */
  runUntil(endMs: number): void {
    for (let task = this.#heap[0]; task && task.dueMs <= endMs; task = this.#heap[0]) {
      this.#pop();
      if (task.run === null) continue;
      this.#nowMs = task.dueMs;
      task.run();
    }
    this.#nowMs = endMs;
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let i = heap.length;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, task)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = task;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, left)) child++;
      const next = heap[child];
      if (next === undefined || isBefore(last, next)) break;
      heap[i] = next;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/** A seeded generator (mulberry32): fast, good enough, the same everywhere. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Seeds 1 to `count`, or only `$SEED` where it is set and may be read. */
export function seeds(count: number): number[] {
  const readable = Deno.permissions.querySync({ name: "env", variable: "SEED" });
  const replay = readable.state === "granted" ? Deno.env.get("SEED") : undefined;
  return replay ? [Number(replay)] : Array.from({ length: count }, (_, i) => i + 1);
}

/** Runs `body` once a seed. */
export function forEachSeed(count: number, body: (seed: number) => void): void {
  for (const seed of seeds(count)) {
    try {
      body(seed);
    } catch (cause) {
      throw new Error(`Seed ${seed} fails: replay it with SEED=${seed}`, { cause });
    }
  }
}
