/**
 * What the HTTP/2 connections of one server share.
 *
 * @module
 */

import type { Clock } from "../../ports.ts";
import type { ConnectionContext } from "../connection_context.ts";
import { type Http2Limits, http2Limits, type Http2Options } from "./http2_options.ts";
import { ReplyFieldsEncoder } from "./reply_fields.ts";
import type { HeldBytes } from "./stream_body.ts";

/** What sessions need; time limits in milliseconds. */
export interface Http2Context extends
  Pick<
    ConnectionContext,
    "handle" | "refuse" | "headBytesMax" | "headMs" | "idleMs" | "writeMs" | "buffers" | "slab"
  > {
  /** Limits. */
  readonly limits: Http2Limits;
  /** Writes header blocks. */
  readonly replies: ReplyFieldsEncoder;
  /** Counts the memory of bodies. */
  readonly held: HeldBytes;
}

/** Completes what a server's connections share by what those of HTTP/2 need. */
export function createHttp2Context(
  context: ConnectionContext,
  options: Http2Options,
  clock: Clock,
): Http2Context {
  const { handle, refuse, headBytesMax, headMs, idleMs, writeMs, buffers, slab } = context;
  return {
    ...{ handle, refuse, headBytesMax, headMs, idleMs, writeMs, buffers, slab },
    limits: http2Limits(options),
    replies: new ReplyFieldsEncoder(clock),
    held: { count: 0 },
  };
}
