/**
 * The body of an answer as timed pieces, with the faults that strike by token.
 *
 * @module
 */

import type { Faults } from "../faults/faults.ts";
import type { Exchange, WireEvent, WireFormat } from "../formats/wire.ts";

/** Bytes of a body, and how long to wait before they are sent. */
export interface Piece {
  /** Wait since the piece before, in milliseconds. */
  readonly waitMs: number;
  /** Body bytes; none for a pure wait. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether they must not share a write with their neighbours. */
  readonly solo?: true;
}

/**
 * How an answer ends: as its framing says, by closing the connection before
 * that, or by resetting it.
 */
export type Ending = "complete" | "close" | "reset";

/** The delays of one answer; each call draws a new one. */
export interface Pace {
  /** Wait before the first token, in milliseconds. */
  first(): number;
  /** Wait before each further token, in milliseconds. */
  next(): number;
  /** Wait before an answer of so many tokens that is not streamed, in milliseconds. */
  whole(tokens: number): number;
}

/** Time for bytes to reach the peer before a reset could overtake them, in milliseconds. */
export const RESET_DELAY_MS = 10;

const NOTHING = new Uint8Array(0);
const ENCODER = new TextEncoder();
const BYTE_ORDER_MARK = "\ufeff";
const FAILURE_TEXT = "The simulated backend failed in the middle of its answer";

/** The pieces of a stream; `faults` that strike before a token strike at the end at the latest. */
export function* streamPieces(
  exchange: Exchange,
  format: WireFormat,
  faults: Faults,
  pace: Pace,
): Generator<Piece, Ending> {
  const dress = dresser(faults);
  let waitMs = (faults.slowSeconds ?? 0) * 1_000;
  let started = false;
  let tokens = 0;
  for (const event of format.events(exchange)) {
    if (event.kind !== "open" && event.kind !== "thought") {
      const end = endingAt(tokens, faults);
      if (end !== null) {
        return yield* endingPieces(end, dress(format.failure(exchange, FAILURE_TEXT)));
      }
    }
    if (event.kind === "token" && tokens === faults.malformedToken) {
      yield { waitMs, bytes: dress(format.malformed(exchange)) };
      waitMs = 0;
    }
    if (event.kind === "token" || event.kind === "thought") {
      waitMs += started ? pace.next() : pace.first();
      started = true;
    }
    if (isOmitted(event, faults)) continue;
    yield { waitMs, bytes: dress(padded(event, tokens, faults)) };
    waitMs = 0;
    if (event.kind === "token") tokens++;
  }
  return "complete";
}

/** One piece for a body that is known as a whole. */
export function* wholePieces(bytes: Uint8Array<ArrayBuffer>): Generator<Piece, Ending> {
  yield { waitMs: 0, bytes };
  return "complete";
}

type TokenEnding =
  | { readonly type: Ending }
  | { readonly type: "stall"; readonly seconds: number }
  | { readonly type: "failure" };

function endingAt(tokens: number, faults: Faults): TokenEnding | null {
  if (tokens === faults.cutTokens) return { type: "close" };
  if (tokens === faults.rstTokens) return { type: "reset" };
  if (tokens === faults.cleanCutTokens) return { type: "complete" };
  if (tokens === faults.inBandErrorTokens) return { type: "failure" };
  if (tokens === faults.stallTokens) return { type: "stall", seconds: faults.stallSeconds ?? 0 };
  return null;
}

function* endingPieces(
  end: TokenEnding,
  failure: Uint8Array<ArrayBuffer>,
): Generator<Piece, Ending> {
  switch (end.type) {
    case "stall":
      yield { waitMs: end.seconds * 1_000, bytes: NOTHING };
      return "close";
    case "failure":
      yield { waitMs: 0, bytes: failure };
      return "complete";
    case "reset":
      yield { waitMs: RESET_DELAY_MS, bytes: NOTHING };
      return "reset";
    default:
      return end.type;
  }
}

function isOmitted(event: WireEvent, faults: Faults): boolean {
  return (event.kind === "done" && faults.noDone === true) ||
    (event.kind === "finish" && faults.noFinish === true);
}

/** The event's text; the first token's gets an unknown field of the size that was asked for. */
function padded(event: WireEvent, tokens: number, faults: Faults): string {
  if (faults.bigEventBytes === undefined || event.kind !== "token" || tokens > 0) return event.text;
  const filler = "x".repeat(faults.bigEventBytes);
  return `${event.text.slice(0, -"}\n\n".length)},"obfuscation":"${filler}"}\n\n`;
}

/** Encodes events with the byte order mark, comments and line ends that were asked for. */
function dresser(faults: Faults): (text: string) => Uint8Array<ArrayBuffer> {
  const { lineEnding, comments } = faults;
  let mark = faults.bom === true ? BYTE_ORDER_MARK : "";
  if (mark === "" && lineEnding === undefined && comments !== true) {
    return (text) => ENCODER.encode(text);
  }
  return (text) => {
    const remarks = comments === true ? ": between events\n\n: within an event\n" : "";
    const dressed = `${mark}${remarks}${text}`;
    mark = "";
    return ENCODER.encode(
      lineEnding === undefined ? dressed : dressed.replaceAll("\n", lineEnding),
    );
  };
}
