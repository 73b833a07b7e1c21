/**
 * Reads a request's body within its limits: size, time and encoding.
 *
 * @module
 */
import { GatewayError } from "../errors.ts";

/** How much, and how long. */
export interface BodyLimits {
  /** Longest body, in bytes. */
  readonly bodyBytes: number;
  /** Longest time for it to arrive, in milliseconds. */
  readonly bodyMs: number;
}

/** Runs `run` after a while unless disposed; the part of a clock that is needed here. */
export type After = (delayMs: number, run: () => void) => Disposable;

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads the body as text.
 *
 * @throws {GatewayError} `unsupported_media_type`, `body_too_large`, `body_timeout`,
 * `invalid_utf8`, or `invalid_request` if the client broke off.
 */
export async function readBody(
  request: Request,
  limits: BodyLimits,
  after: After,
): Promise<string> {
  checkType(request.headers.get("content-type"));
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > limits.bodyBytes) {
    await request.body?.cancel();
    throw tooLarge(limits);
  }
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {}); // Not waited for once the body is there.
  const timer = after(limits.bodyMs, () => late.reject(timedOut(limits)));
  try {
    const bytes = announced === null
      ? await collect(request, limits, late.promise)
      : await Promise.race([request.bytes(), late.promise]);
    return decoder.decode(bytes);
  } catch (error) {
    throw readable(error);
  } finally {
    timer[Symbol.dispose]();
  }
}

/** A body of unknown length is counted while it comes. */
async function collect(
  request: Request,
  limits: BodyLimits,
  late: Promise<never>,
): Promise<Uint8Array> {
  const reader = request.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for (;;) {
      const { value, done } = await Promise.race([reader.read(), late]);
      if (done) break;
      pieces.push(value);
      sizeBytes += value.byteLength;
      if (sizeBytes > limits.bodyBytes) throw tooLarge(limits);
    }
  } catch (error) {
    await reader.cancel().catch(() => {}); // What is thrown below says why.
    throw error;
  }
  const whole = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.byteLength;
  }
  return whole;
}

function checkType(type: string | null): void {
  if (type === null || /^\s*application\/([\w.-]+\+)?json\s*(;|$)/i.test(type)) return;
  throw new GatewayError(
    "unsupported_media_type",
    `Cannot read body of type ${JSON.stringify(type.slice(0, 100))}: ` +
      'send JSON with the header "content-type: application/json"',
  );
}

function readable(error: unknown): unknown {
  if (error instanceof GatewayError) return error;
  if (error instanceof TypeError && /decod|encoded/i.test(error.message)) {
    return new GatewayError("invalid_utf8", "Cannot read body: it is no valid UTF-8", {
      cause: error,
    });
  }
  return new GatewayError("invalid_request", "Cannot read body: the connection broke off", {
    cause: error,
  });
}

function tooLarge(limits: BodyLimits): GatewayError {
  return new GatewayError(
    "body_too_large",
    `Cannot take body: it is longer than ${limits.bodyBytes} bytes (limits.bodyBytes)`,
  );
}

function timedOut(limits: BodyLimits): GatewayError {
  return new GatewayError(
    "body_timeout",
    `Cannot read body: it did not arrive within ${limits.bodyMs / 1_000} s (limits.bodySeconds)`,
  );
}
