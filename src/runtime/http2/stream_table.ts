/**
 * The open streams of one connection, by number, and the queue of those that
 * can send.
 *
 * Chains through the streams themselves: neither a `Map` nor an array has to
 * grow, shrink or be searched for what comes and goes with each request.
 *
 * @module
 */

import type { ServerStream } from "./server_stream.ts";

const PLACES = 256;

/** Streams by number. */
export class StreamTable {
  /** By half of the number, which grows by one with each stream. */
  readonly #places: (ServerStream | null)[] = new Array<ServerStream | null>(PLACES).fill(null);
  #count = 0;

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** Finds one. */
  get(id: number): ServerStream | null {
    let stream = this.#places[placeOf(id)] ?? null;
    while (stream !== null && stream.id !== id) stream = stream.nextInTable;
    return stream;
  }

  /** Adds one that is not there. */
  add(stream: ServerStream): void {
    const place = placeOf(stream.id);
    stream.nextInTable = this.#places[place] ?? null;
    this.#places[place] = stream;
    this.#count++;
  }

  /** Takes one out, if it is there. */
  remove(stream: ServerStream): void {
    const place = placeOf(stream.id);
    let before: ServerStream | null = null;
    let found = this.#places[place] ?? null;
    while (found !== null && found !== stream) {
      before = found;
      found = found.nextInTable;
    }
    if (found === null) return;
    if (before === null) this.#places[place] = stream.nextInTable;
    else before.nextInTable = stream.nextInTable;
    stream.nextInTable = null;
    this.#count--;
  }

  /** All of them, as they are now. */
  all(): ServerStream[] {
    const all: ServerStream[] = [];
    for (const first of this.#places) {
      for (let stream = first; stream !== null; stream = stream.nextInTable) all.push(stream);
    }
    return all;
  }
}

/** First in, first out. */
export class StreamQueue {
  #first: ServerStream | null = null;
  #last: ServerStream | null = null;

  /** Whether nobody stands in it. */
  get empty(): boolean {
    return this.#first === null;
  }

  /** Adds one at the end, unless it stands in the queue. */
  push(stream: ServerStream): void {
    if (stream.isQueued) return;
    stream.isQueued = true;
    if (this.#last === null) this.#first = stream;
    else this.#last.nextQueued = stream;
    this.#last = stream;
  }

  /** Takes the first one. */
  shift(): ServerStream | null {
    const stream = this.#first;
    if (stream === null) return null;
    this.#first = stream.nextQueued;
    if (this.#first === null) this.#last = null;
    stream.nextQueued = null;
    stream.isQueued = false;
    return stream;
  }
}

function placeOf(id: number): number {
  return (id >>> 1) & (PLACES - 1);
}
