/**
 * From a backend's events to the client's bytes.
 *
 * Three ways, the cheapest that will do: the bytes as they came; translated
 * into the client's API; or, where the stream carries on one that broke,
 * spliced onto what the client already has.
 *
 * @module
 */
import { type CallerEvent, formatEvent, type StreamTranslator } from "../backends/translate.ts";
import type { Surface } from "../backends/surface.ts";
import type { Transcript } from "../stream/continuation.ts";
import { readEvent, type Reading } from "../stream/reading.ts";
import type { SseEvent } from "../stream/sse.ts";
import type { Frames } from "./frames.ts";

/** A regenerated answer differs from what the client has: it cannot be carried on. */
export class ContinuationMismatch extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "ContinuationMismatch";
}

/** How one attempt's events reach the client. */
export interface OutletOptions {
  /** The client's API. */
  readonly surface: Surface;
  /** Between the APIs, where they differ. */
  readonly translator: StreamTranslator | null;
  /** Whether a usage chunk is ours alone. */
  readonly dropUsage: boolean;
  /** What the client has been sent; kept only where a stream may be carried on. */
  readonly transcript: Transcript | null;
  /** Whether this stream carries on another. */
  readonly splicing: boolean;
}

/** Writes one attempt's events into the client's queue. */
export class Outlet {
  readonly #options: OutletOptions;
  #doneSent = false;

  /** One outlet an attempt. */
  constructor(options: OutletOptions) {
    this.#options = options;
  }

  /**
   * Hands on one event.
   *
   * @throws {ContinuationMismatch} If it contradicts what the client already has.
   */
  push(event: SseEvent, reading: Reading, frames: Frames): void {
    const { translator, dropUsage, transcript, splicing } = this.#options;
    if (translator !== null) {
      const data = event.data === "[DONE]" ? "[DONE]" : reading.json;
      for (const caller of translator.push(event.event, data)) this.#emit(caller, frames);
      return;
    }
    if (dropUsage && reading.usageOnly) return;
    if (splicing) this.#splice(event.event, reading, frames);
    else transcript?.record(reading);
    if (event.data === "[DONE]") this.#doneSent = true;
    else if (splicing) return;
    frames.push(event.raw);
  }

  /** Hands on what is owed at the end of a complete answer. */
  end(frames: Frames): void {
    const { surface, translator } = this.#options;
    if (translator !== null) {
      for (const caller of translator.end()) this.#emit(caller, frames);
    }
    if ((surface === "chat" || surface === "completions") && !this.#doneSent) {
      this.#doneSent = true;
      frames.pushText("data: [DONE]\n\n");
    }
  }

  #emit(event: CallerEvent, frames: Frames): void {
    const { surface, transcript, splicing } = this.#options;
    const done = event.data === "[DONE]";
    if (done && this.#doneSent) return;
    if (transcript !== null) {
      const data = done ? "[DONE]" : JSON.stringify(event.data);
      const reading = readEvent(surface, event.event, data);
      if (splicing) this.#splice(event.event, reading, frames);
      else transcript.record(reading);
    }
    this.#doneSent ||= done;
    if (done || !splicing) frames.pushText(formatEvent(event));
  }

  #splice(name: string | null, reading: Reading, frames: Frames): void {
    const result = this.#options.transcript?.splice(reading);
    if (result === undefined) return;
    if (result.mismatch) {
      throw new ContinuationMismatch(
        "Cannot continue stream: the answer was regenerated otherwise",
      );
    }
    for (const data of result.events) {
      const type = this.#options.surface === "messages" ? data["type"] : name;
      frames.pushText(formatEvent({ event: typeof type === "string" ? type : null, data }));
    }
  }
}
