/**
 * An answer while it is being recorded.
 *
 * The first reason against storing it stays, and from then on nothing of it is
 * kept in memory.
 *
 * @module
 */
import type { AnswerRecord, CachedSurface, JsonObject, StoreRefusal } from "../../types.ts";
import { isShallow } from "../fields.ts";
import { recordBytes } from "../record_codec.ts";
import { isKept } from "../surface_facts.ts";
import { appendPiece } from "../text_pieces.ts";

/** A record, or why there is none. */
export type Recorded = { readonly record: AnswerRecord } | { readonly refused: StoreRefusal };

/** What an event adds at least, in bytes: the length of its piece. */
const PIECE_BYTES = 8;

/** Collects what the readers of each API find. */
export class AnswerDraft {
  /** The API. */
  readonly surface: CachedSurface;
  /** How it ended; `null` until it has. */
  finish: string | null = null;
  /** Whether its protocol's own end was there. */
  ended = false;
  /** The stop sequence that ended it. */
  stopSequence: string | null = null;
  /** The model, in the backend's words. */
  model = "";
  /** Token counts, as last heard. */
  usage: JsonObject | null = null;
  /** Parts of text begun so far, in the APIs that have parts. */
  parts = 0;
  readonly #bytesMax: number;
  readonly #extra: Record<string, unknown> = {};
  #pieces: number[] = [];
  #text = "";
  #reasoningField: string | null = null;
  #reasoning = "";
  #sizeBytes = 0;
  #refusal: StoreRefusal | null = null;

  /** Starts an empty answer that may grow to `bytesMax`. */
  constructor(surface: CachedSurface, bytesMax: number) {
    this.surface = surface;
    this.#bytesMax = bytesMax;
  }

  /** Whether it is certain that it will not be stored. */
  get isRefused(): boolean {
    return this.#refusal !== null;
  }

  /** The text so far. */
  get text(): string {
    return this.#text;
  }

  /** Notes a reason not to store it; the first one counts. */
  refuse(reason: StoreRefusal): void {
    if (this.#refusal !== null) return;
    this.#refusal = reason;
    this.#text = "";
    this.#reasoning = "";
    this.#pieces = [];
  }

  /** Adds a piece of text. */
  appendText(piece: string): void {
    if (this.isRefused || piece === "") return;
    appendPiece(this.#pieces, this.#text, piece);
    this.#text += piece;
    this.#grow(piece.length + PIECE_BYTES);
  }

  /** Forgets the boundaries: the answer was not streamed. */
  dropPieces(): void {
    this.#pieces = [];
  }

  /** Adds reasoning under the backend's name for it; two names are one too many to keep. */
  appendReasoning(field: string, piece: string): void {
    if (this.isRefused || piece === "") return;
    if (this.#reasoningField !== null && this.#reasoningField !== field) {
      return this.refuse("media");
    }
    this.#reasoningField = field;
    this.#reasoning += piece;
    this.#grow(piece.length);
  }

  /** Keeps a field of the answer, if it is one of those worth keeping. */
  keep(name: string, value: unknown): void {
    if (isKept(this.surface, name, value)) this.#extra[name] = value;
  }

  /** The record, or the first reason against it. */
  finished(): Recorded {
    if (this.#refusal !== null) return { refused: this.#refusal };
    if (!this.ended || this.finish === null) return { refused: "incomplete" };
    if (this.#text === "") return { refused: "empty" };
    if (!isShallow(this.usage) || !isShallow(this.#extra)) return { refused: "unreadable" };
    const record: AnswerRecord = {
      surface: this.surface,
      text: this.#text,
      pieces: this.#pieces,
      reasoning: this.#reasoningField === null
        ? null
        : { field: this.#reasoningField, text: this.#reasoning },
      finish: this.finish,
      stopSequence: this.stopSequence,
      model: this.model,
      usage: this.usage,
      extra: this.#extra,
    };
    return recordBytes(record) > this.#bytesMax ? { refused: "too_large" } : { record };
  }

  #grow(bytes: number): void {
    this.#sizeBytes += bytes;
    if (this.#sizeBytes > this.#bytesMax) this.refuse("too_large");
  }
}
