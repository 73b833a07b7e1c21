/**
 * Verified continuation: the rest of a broken stream from another backend, only
 * where that is provably the rest of the same answer.
 *
 *     restart   the request is sent again as it was; what comes is compared with
 *               what the client has, dropped while equal, forwarded beyond. One
 *               difference, or an end too early, and it is not the same answer.
 *     prefill   the text sent so far is given to the backend as the beginning of
 *               its answer; everything that comes is new. Only for text, and only
 *               for backends that are known to take it.
 *
 * Either way the client sees one stream: one id, one start, no text twice.
 *
 *     const transcript = new Transcript("chat");
 *     transcript.record(reading);                  // each event sent, first stream
 *     if (transcript.canContinue) {
 *       transcript.begin("restart");               // second backend answers
 *       const result = transcript.splice(reading); // each event of the new stream
 *     }
 *
 * Usage is passed on as the second backend counts it. After a restart that is
 * the whole answer; after a prefill the sent text counts as prompt.
 *
 * @module
 */
import { BlockTranscript } from "./block_transcript.ts";
import type { ContinuationMode, Mismatch } from "./channel.ts";
import { ChoiceTranscript } from "./choice_transcript.ts";
import { prefilled } from "./prefill.ts";
import type { JsonObject, Reading, WireForm } from "./wire.ts";

export type { ContinuationMode, Mismatch } from "./channel.ts";

/** What to do about one event of the new stream. */
export type SpliceResult =
  /**
   * Send these data objects in its place; none to drop it. Events of the messages
   * API are named after their `type`, which need not be that of the event taken.
   */
  | { readonly mismatch: false; readonly events: readonly JsonObject[] }
  /** It is another answer: nothing of this event may be sent. */
  | Mismatch;

/** What a client has been sent, in its own API, and how another stream goes on from there. */
export class Transcript {
  readonly #form: WireForm;
  readonly #answer: ChoiceTranscript | BlockTranscript | null;

  /** Starts with nothing sent. Responses and embeddings cannot be carried on. */
  constructor(form: WireForm) {
    this.#form = form;
    this.#answer = form === "chat" || form === "completions"
      ? new ChoiceTranscript()
      : form === "messages"
      ? new BlockTranscript()
      : null;
  }

  /**
   * Notes an event that is sent to the client. Events that come out of
   * {@linkcode splice} are noted by it.
   */
  record(reading: Reading): void {
    if (reading.json !== null) this.#answer?.record(reading.json);
  }

  /** A restarted stream can be compared with everything that was sent. */
  get canContinue(): boolean {
    return this.#answer?.canContinue ?? false;
  }

  /**
   * The text sent so far can be given to a backend to go on from: one choice,
   * unfinished, nothing but text. Text that ends in white space cannot:
   * Anthropic refuses it, and elsewhere it makes for another division into tokens.
   */
  get canPrefill(): boolean {
    const text = this.#answer?.soleText ?? null;
    return text !== null && text !== "" && text.trimEnd() === text;
  }

  /**
   * The request that asks for the rest.
   *
   * @param body The request as the client sent it.
   * @returns `null` where it leaves no place for the beginning of an answer.
   * @throws {TypeError} If {@linkcode canPrefill} is false.
   */
  prefillRequest(body: JsonObject): Record<string, unknown> | null {
    const text = this.#answer?.soleText ?? null;
    if (text === null || !this.canPrefill) {
      throw new TypeError("Cannot prefill request: what was sent is not text alone");
    }
    return prefilled(this.#form, body, text);
  }

  /**
   * A new backend's stream begins.
   *
   * @throws {TypeError} If what was sent does not allow it.
   */
  begin(mode: ContinuationMode): void {
    if (!(mode === "restart" ? this.canContinue : this.canPrefill)) {
      throw new TypeError(`Cannot begin ${mode}: what was sent does not allow it`);
    }
    this.#answer?.begin(mode);
  }

  /**
   * Takes the next event of the new stream, errors and malformed ones excepted.
   * `[DONE]` has to be given, too: it may bring out text that was held back, or
   * show that something is missing. It is not among the results.
   */
  splice(reading: Reading): SpliceResult {
    const answer = this.#answer;
    if (answer === null) throw new TypeError(`Cannot splice stream: it speaks ${this.#form}`);
    const result = reading.json !== null
      ? answer.splice(reading.json)
      : reading.terminal
      ? answer.end()
      : [];
    return "mismatch" in result ? result : { mismatch: false, events: result };
  }
}
