/**
 * An attempt whose answer is wanted whole: nothing is sent on before all of it
 * has arrived and has been read, so every failure can be retried elsewhere.
 *
 * @module
 */
import type { FailureReason } from "../balance/types.ts";
import type { UpstreamResponse } from "../ports.ts";
import { type AnswerReading, readAnswer } from "../stream/reading.ts";
import { type AttemptFailed, AttemptRun, failureWords } from "./attempt.ts";

/** A whole answer. */
export interface Answer {
  /** The backend's status. */
  readonly status: number;
  /** The body as it came. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What it says. */
  readonly reading: AnswerReading;
}

/** An attempt for a whole answer. */
export class AnswerAttempt extends AttemptRun {
  /**
   * Sends the request and reads the answer to its end.
   *
   * @param answerBytesMax Longest answer, in bytes.
   * @throws {AttemptFailed} If there is no complete, readable answer.
   * @throws {AttemptCancelled} If it was called off.
   */
  async open(answerBytesMax: number): Promise<Answer> {
    try {
      const response = await this.connect();
      const bytes = await this.#body(response, answerBytesMax);
      const answer = this.#read(response.status, bytes);
      this.state.contentArrived();
      this.state.answerComplete();
      this.state.finish();
      this.release(false);
      return answer;
    } catch (error) {
      const ending = this.ending(error);
      this.release(true);
      this.state.fail();
      throw ending === "ended" ? error : ending;
    }
  }

  /** Nothing has been sent on, so a loss in the middle is as good as one before. */
  protected override failure(
    reason: FailureReason,
    why?: string,
    cause?: unknown,
  ): AttemptFailed {
    const words = why ?? failureWords(reason);
    if (reason === "cut") return super.failure("reset", words, cause);
    if (reason === "idle_timeout") return super.failure("first_token_timeout", words, cause);
    return super.failure(reason, words, cause);
  }

  async #body(
    response: UpstreamResponse,
    answerBytesMax: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let sizeBytes = 0;
    for (;;) {
      const piece = await this.readPiece(response);
      if (piece === null) {
        const [only] = pieces;
        return only !== undefined && pieces.length === 1 ? only : join(pieces, sizeBytes);
      }
      this.state.contentArrived();
      pieces.push(piece);
      sizeBytes += piece.byteLength;
      if (sizeBytes > answerBytesMax) {
        throw this.failure("unreadable", `its answer is longer than ${answerBytesMax} bytes`);
      }
    }
  }

  #read(status: number, bytes: Uint8Array<ArrayBuffer>): Answer {
    const reading = readAnswer(this.plan.form, new TextDecoder().decode(bytes));
    if (reading.error !== null) {
      throw this.failure(
        "in_band",
        `it reported an error: ${this.ports.scrub(reading.error.message)}`,
      );
    }
    if (reading.problem !== null) {
      throw this.failure("unreadable", `its answer cannot be used: ${reading.problem}`);
    }
    return { status, bytes, reading };
  }
}

function join(pieces: readonly Uint8Array[], sizeBytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.byteLength;
  }
  return whole;
}
