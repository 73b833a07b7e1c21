/**
 * What HTTP/2 may cost.
 *
 * @module
 */

/** Limits of every HTTP/2 connection; what is left out has its default. */
export interface Http2Options {
  /**
   * Most requests that one connection may have under way, those included that the client gave up
   * and whose handler has not noticed yet; 1,024 by default. More are refused, and may be sent
   * again.
   */
  readonly streamsMax?: number;
  /**
   * Most bytes of bodies above 64 KiB that one connection may have on their way; 16 MiB by
   * default. More wait for their turn. (Bodies up to 64 KiB each are bounded by `streamsMax`.)
   */
  readonly bodyBytesMax?: number;
  /**
   * Bytes of bodies that all connections of the server may hold together; 256 MiB by default.
   * Above that, requests with a body are refused, and may be sent again.
   */
  readonly heldBytesMax?: number;
  /**
   * Most requests that a client may give up, or break, at once; 1,000 by default. A fifth of that
   * is granted again every second. Above that the connection is closed.
   */
  readonly resetsMax?: number;
  /**
   * Most frames that serve no request (pings, settings, priorities, windows nobody waits for)
   * within half a second or so; 2,000 by default. Above that the connection is closed.
   */
  readonly idleFramesMax?: number;
  /**
   * Longest time that a body may make no progress while its handler waits for it; 30,000 ms by
   * default. Then its request is given up.
   */
  readonly bodyMs?: number;
}

/** All of them. */
export type Http2Limits = Required<Http2Options>;

/** Fills in the defaults. */
export function http2Limits(options: Http2Options): Http2Limits {
  return {
    streamsMax: options.streamsMax ?? 1_024,
    bodyBytesMax: options.bodyBytesMax ?? 16 * 1_048_576,
    heldBytesMax: options.heldBytesMax ?? 256 * 1_048_576,
    resetsMax: options.resetsMax ?? 1_000,
    idleFramesMax: options.idleFramesMax ?? 2_000,
    bodyMs: options.bodyMs ?? 30_000,
  };
}
