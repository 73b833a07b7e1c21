/**
 * Why a stream or connection ends before its time, as HTTP/2 numbers it.
 *
 * Source: RFC 9113, section 7.
 *
 * @module
 */

/** Error codes of RST_STREAM and GOAWAY. */
export const ErrorCode = {
  noError: 0x0,
  protocolError: 0x1,
  internalError: 0x2,
  flowControlError: 0x3,
  streamClosed: 0x5,
  frameSizeError: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compressionError: 0x9,
  enhanceYourCalm: 0xb,
} as const;

/** Ends a whole connection: its peer broke a rule that others' requests depend on. */
export class ConnectionFault extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "ConnectionFault";
  /** One of {@linkcode ErrorCode}. */
  readonly code: number;

  /** `why` completes "Cannot go on with connection: " and holds nothing that the peer sent. */
  constructor(code: number, why: string) {
    super(`Cannot go on with connection: ${why}`);
    this.code = code;
  }
}

/** The common one. */
export function protocolFault(why: string): ConnectionFault {
  return new ConnectionFault(ErrorCode.protocolError, why);
}
