/**
 * What every answer format offers: its events, its whole body, its broken forms.
 *
 * Formats know nothing of time, faults or sockets; {@linkcode WireEvent.kind}
 * tells the script where delays and faults belong.
 *
 * @module
 */

import type { Answer } from "../answers/answer.ts";
import type { TextRequest } from "../requests/request.ts";

/**
 * What an event is for:
 * `open` comes before any content, `thought` and `token` carry one token each,
 * `close` ends a part, `finish` holds the finish reason, `usage` the usage
 * alone, `done` is the protocol's end mark.
 */
export type EventKind = "open" | "thought" | "token" | "close" | "finish" | "usage" | "done";

/** One server-sent event. */
export interface WireEvent {
  /** What it is for. */
  readonly kind: EventKind;
  /** The event as sent, LF line ends, blank line included. */
  readonly text: string;
}

/** One answer on its way to a client. */
export interface Exchange {
  /** What was asked. */
  readonly request: TextRequest;
  /** What is said. */
  readonly answer: Answer;
  /** Twenty-four hexadecimal digits for every id in the answer. */
  readonly id: string;
  /** Seconds since the Unix epoch. */
  readonly createdSeconds: number;
}

/** One API's way to write answers. */
export interface WireFormat {
  /** The events of a stream, in order. */
  events(exchange: Exchange): Iterable<WireEvent>;
  /** The JSON body of an answer that is not streamed. */
  whole(exchange: Exchange): string;
  /** An event whose JSON ends too early. */
  malformed(exchange: Exchange): string;
  /** The events that report an error within a stream. */
  failure(exchange: Exchange, message: string): string;
}

/** An event of the OpenAI kind: data only. */
export function dataEvent(kind: EventKind, json: string): WireEvent {
  return { kind, text: `data: ${json}\n\n` };
}

/** An event with a name: Anthropic's kind, and that of the responses API. */
export function namedEvent(kind: EventKind, name: string, json: string): WireEvent {
  return { kind, text: `event: ${name}\ndata: ${json}\n\n` };
}
