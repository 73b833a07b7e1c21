/**
 * One request whose answer is wanted whole, within a time and a size.
 *
 * @module
 */
import {
  type Clock,
  EmbedError,
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamRequest,
  type UpstreamResponse,
} from "../ports.ts";

/** What bounds an exchange, and what it needs. */
export interface ExchangeBounds {
  /** Sends the request. */
  readonly upstream: Upstream;
  /** Measures the time. */
  readonly clock: Clock;
  /** Limit for opening a connection, in milliseconds. */
  readonly connectMs: number;
  /** Limit for everything together, in milliseconds. */
  readonly totalMs: number;
  /** The most bytes an answer may have. */
  readonly bytesMax: number;
  /** The calls under way: whoever cancels one ends its exchange. */
  readonly calls: Set<UpstreamCall>;
}

/** What came back. */
export interface WholeAnswer {
  /** HTTP status. */
  readonly status: number;
  /** `retry-after` in milliseconds, where it is given in seconds. */
  readonly retryAfterMs: number | null;
  /** The body; empty unless the status is a 2xx, since nothing else is read. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Sends a request and reads the answer to its end.
 *
 * @throws {EmbedError} Kind `failed` if there is no whole answer within the bounds.
 */
export async function exchangeWhole(
  request: UpstreamRequest,
  bounds: ExchangeBounds,
): Promise<WholeAnswer> {
  const { upstream, clock, calls, connectMs, totalMs } = bounds;
  const call = upstream.start(request, { connectMs });
  calls.add(call);
  let timedOut = false;
  using _timer = clock.after(totalMs, () => {
    timedOut = true;
    call.cancel();
  });
  try {
    const response = await call.response;
    const { status } = response;
    const retryAfterMs = secondsToMs(response.header("retry-after"));
    const isOk = status >= 200 && status <= 299;
    const bytes = isOk ? await readAll(response, bounds.bytesMax) : new Uint8Array();
    return { status, retryAfterMs, bytes };
  } catch (cause) {
    if (!(cause instanceof UpstreamError)) throw cause;
    const why = timedOut ? `no whole answer within ${totalMs} ms` : cause.message;
    throw new EmbedError("failed", `Cannot embed: ${why}`, { cause });
  } finally {
    call.cancel(); // Does nothing after the end.
    calls.delete(call);
  }
}

async function readAll(
  response: UpstreamResponse,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let sizeBytes = 0;
  for (let piece = await response.read(); piece !== null; piece = await response.read()) {
    pieces.push(piece);
    sizeBytes += piece.length;
    if (sizeBytes > bytesMax) {
      throw new EmbedError("failed", `Cannot embed: the answer has more than ${bytesMax} bytes`);
    }
  }
  const bytes = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

function secondsToMs(text: string | null): number | null {
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) * 1_000 : null;
}
