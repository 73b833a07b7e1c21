/**
 * Reads a request's body within its limits: size, time and encoding.
 *
 * @module
 */
import { GatewayError } from "../errors.ts";
import type { ServerRequest } from "../ports.ts";

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
  request: ServerRequest,
  limits: BodyLimits,
  after: After,
): Promise<string> {
  checkType(request.headers.get("content-type"));
  const late = Promise.withResolvers<never>();
  const timer = after(limits.bodyMs, () => late.reject(timedOut(limits)));
  let bytes: Uint8Array | null;
  try {
    bytes = await Promise.race([request.bytes(limits.bodyBytes), late.promise]);
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw new GatewayError("invalid_request", "Cannot read body: the connection broke off", {
      cause,
    });
  } finally {
    timer[Symbol.dispose]();
  }
  if (bytes === null) throw tooLarge(limits);
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new GatewayError("invalid_utf8", "Cannot read body: it is no valid UTF-8", { cause });
  }
}

function checkType(type: string | null): void {
  if (type === null || /^\s*application\/([\w.-]+\+)?json\s*(;|$)/i.test(type)) return;
  throw new GatewayError(
    "unsupported_media_type",
    `Cannot read body of type ${JSON.stringify(type.slice(0, 100))}: ` +
      'send JSON with the header "content-type: application/json"',
  );
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
