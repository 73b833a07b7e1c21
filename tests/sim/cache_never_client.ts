/**
 * One client of the simulation.
 *
 * @module
 */
import type { StreamSource } from "../../src/ports.ts";
import type { Run } from "./cache_never_oracle.ts";
import type { Ask } from "./cache_never_universe.ts";

/** A client, and where it stands. */
export interface Client extends Run {
  /** Its connection. */
  readonly departure: Departure;
  /** Reads again as soon as it can. */
  readonly isKeen: boolean;
  /** What it reads. */
  source: StreamSource | null;
  /** What it has read. */
  chunks: Uint8Array[];
  /** Whether it waits for the next piece. */
  isPulling: boolean;
  /** Whether it is gone. */
  isLeft: boolean;
  /** Whether its part is over. */
  isOver: boolean;
  /** What it was refused with. */
  error: unknown;
}

/** A client's connection. */
export class Departure {
  aborted = false;
  readonly #listeners = new Set<() => void>();

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.delete(listener);
  }

  abort(): void {
    this.aborted = true;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** A client that has asked and has no answer yet. */
export function newClient(ask: Ask, startedAt: number, isKeen: boolean): Client {
  return {
    ask,
    startedAt,
    joined: false,
    headers: null,
    repliedAt: 0,
    repliedMs: 0,
    entryTags: [],
    wire: "",
    departure: new Departure(),
    isKeen,
    source: null,
    chunks: [],
    isPulling: false,
    isLeft: false,
    isOver: false,
    error: null,
  };
}
