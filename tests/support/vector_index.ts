/**
 * An index in real workers whose ends a test holds in its hand.
 *
 * @module
 */
import assert from "node:assert/strict";
import { EmbedError } from "../../src/ports.ts";
import { randomSource, systemClock } from "../../src/runtime/clock.ts";
import { VectorClient } from "../../src/vectors/client.ts";
import type { WorkerPort } from "../../src/vectors/link.ts";
import type { ToWorker } from "../../src/vectors/messages.ts";
import {
  VECTOR_DEFAULTS,
  type VectorEvent,
  type VectorIndexOptions,
} from "../../src/vectors/types.ts";
import { libraryPath } from "../../src/vectors/usearch.ts";
import { workerSpawn } from "../../src/vectors/workers.ts";

/** An index and its insides. */
export interface OpenIndex {
  /** The index. */
  readonly index: VectorClient;
  /** What it has told. */
  readonly events: readonly VectorEvent[];
  /** Its workers, in the order they were started. */
  readonly workers: readonly WorkerPort[];
  /** Settles when there have been so many events of a kind, with the last of them. */
  seen<Type extends VectorEvent["type"]>(
    type: Type,
    count?: number,
  ): Promise<Extract<VectorEvent, { type: Type }>>;
  /** Ends it. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Far enough away for a search whose time does not matter. */
export const SOME_TIME_MS = 30_000;

/** A deadline that is not meant to be missed. */
export function soon(): number {
  return systemClock.nowMs() + SOME_TIME_MS;
}

/** Opens an index with graphs from 64 vectors on, and waits until it is ready. */
export async function openIndex(options: Partial<VectorIndexOptions> = {}): Promise<OpenIndex> {
  const events: VectorEvent[] = [];
  const workers: WorkerPort[] = [];
  let listeners: ((event: VectorEvent) => void)[] = [];
  const native = options.native === "never" ? null : libraryPath();
  assert.ok(options.native === "never" || native !== null, "the native library is missing");
  const spawn = workerSpawn(native, options.directory ?? null);
  const index = new VectorClient({
    ...VECTOR_DEFAULTS,
    dims: 512,
    embedderId: "test",
    builtin: true,
    clock: systemClock,
    random: randomSource,
    graphFrom: 64,
    ...options,
    onEvent(event) {
      events.push(event);
      const called = listeners;
      listeners = [];
      for (const listener of called) listener(event);
    },
  }, {
    native,
    spawn(listener) {
      const port = spawn(listener);
      workers.push(port);
      return port;
    },
  });
  await index.ready;
  return {
    index,
    events,
    workers,
    async seen<Type extends VectorEvent["type"]>(type: Type, count = 1) {
      for (;;) {
        const found = events.filter((event) => event.type === type)[count - 1];
        if (found !== undefined) return found as Extract<VectorEvent, { type: Type }>;
        await new Promise<VectorEvent>((resolve) => listeners.push(resolve));
      }
    },
    [Symbol.asyncDispose]: () => index.close(),
  };
}

/** Ends a worker as a crash would, by a message it cannot understand. */
export function crash(worker: WorkerPort | undefined): void {
  worker?.post({ type: "nonsense" } as unknown as ToWorker, []);
}

/** How a search ended: `found`, or the kind of its error. */
export async function kindOf(search: Promise<unknown>): Promise<string> {
  try {
    await search;
    return "found";
  } catch (error) {
    if (error instanceof EmbedError) return error.kind;
    throw error;
  }
}

/** All ids of an index by scope, sorted. */
export async function idsOf(index: VectorClient): Promise<Record<string, number[]>> {
  const ids = await index.ids();
  return Object.fromEntries(
    [...ids].map(([scope, list]) => [scope, list.toSorted((a, b) => a - b)]),
  );
}
