/**
 * What the simulator remembers about each request.
 *
 * @module
 */

import type { TextSurface } from "./requests/request.ts";

/**
 * One request to a model, from its arrival on; fields fill up while it is answered.
 *
 * `…AtMs` fields are on a monotonic clock whose origin is the Unix epoch as it
 * was known when the process started, so that entries of several processes on
 * one machine can be compared.
 */
export interface LogEntry {
  /** Seconds from the last reset to the request's arrival. */
  readonly sinceResetSeconds: number;
  /** The API, or `null` if the path named none. */
  readonly surface: TextSurface | "embeddings" | null;
  /** Method and path. */
  readonly target: string;
  /** The model as sent, fault included; empty if unknown. */
  readonly model: string;
  /** Faults from the header or the control endpoint, as text. */
  readonly fault: string;
  /** Number of the request among those with the same model and fault since the reset, from 1. */
  readonly attempt: number;
  /** Whether a stream was asked for. */
  readonly stream: boolean;
  /** Role of the last message. */
  readonly lastRole: string | null;
  /** Words in the prompt, and four for each message. */
  readonly promptTokens: number;
  /** The client's `x-request-id` header. */
  readonly requestId: string | null;
  /** Whether the request carried a credential. */
  readonly hasCredential: boolean;
  /** Number of the connection it came over, from 1. */
  readonly connection: number;
  /** What the simulator does, in words. */
  readonly action: string;
  /** The status sent; `null` if none was. */
  readonly status: number | null;
  /** When it had arrived completely. */
  readonly startedAtMs: number;
  /** When the answer was over, however it ended; `null` before. */
  readonly endedAtMs: number | null;
  /** When the client was seen to have closed the connection before the answer was over. */
  readonly clientGoneAtMs: number | null;
  /** Bytes handed to the network: head, framing and body. */
  readonly bytesSent: number;
  /** Bytes of the body among them. */
  readonly bodyBytesSent: number;
}

/** A log entry that is still being written. */
export type OpenLogEntry = { -readonly [K in keyof LogEntry]: LogEntry[K] };
