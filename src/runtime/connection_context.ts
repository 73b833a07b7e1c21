/**
 * What the connections of one server share.
 *
 * @module
 */

import type { Reply, ServerRequest } from "../ports.ts";
import type { WriterTools } from "./reply_writer.ts";
import type { Slab } from "./slab.ts";

/** What all connections of a server share. */
export interface ConnectionContext extends WriterTools {
  /** Answers a request. */
  readonly handle: (request: ServerRequest) => Promise<Reply>;
  /** Words for a request that could not be read. */
  readonly refuse: (status: number, message: string) => Reply;
  /** Longest request head. */
  readonly headBytesMax: number;
  /** Longest time for a head. */
  readonly headMs: number;
  /** Longest time between requests. */
  readonly idleMs: number;
  /** Longest time that a write makes no progress. */
  readonly writeMs: number;
  /** Host and port for requests that name none. */
  readonly authority: string;
  /** Memory for bodies. */
  readonly slab: Slab;
  /** Whether connections are to end with their present request. */
  readonly stopping: boolean;
}

/** A connection, whatever it speaks, as its server sees it. */
export interface OpenConnection {
  /** Ends after what is under way; at once if nothing is. */
  drain(): void;
  /** Closes at once: for requests under way this is a client that has gone. */
  close(): void;
  /** Looks at the time limits; called again and again. */
  sweep(nowMs: number): void;
}

/** Is told once that a connection is closed. */
export type ClosedListener = (connection: OpenConnection) => void;
