/**
 * Texts as the numbers a model reads: tokenised, cut to length, padded.
 *
 * @module
 */

/** The part of a tokenizer that is used here. */
export interface Tokenizer {
  /** The token ids of a text. */
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): { readonly ids: readonly number[] };
}

/** Texts of equal length, row by row. */
export interface TokenBatch {
  /** Texts. */
  readonly rows: number;
  /** Tokens of each, padding included. */
  readonly columns: number;
  /** Token ids. */
  readonly ids: Int32Array;
  /** 1 for a token, 0 for padding. */
  readonly mask: Int32Array;
}

/** Characters of one token, generously: what is beyond would be cut off anyway. */
const TOKEN_CHARACTERS_MAX = 64;

/** A text with which the framing tokens are found out. */
const SAMPLE = "hello";

/** How a {@linkcode TokenEncoder} works. */
export interface TokenEncoderOptions {
  /** Tokenises. */
  readonly tokenizer: Tokenizer;
  /** Longest text in tokens, framing included. */
  readonly tokensMax: number;
  /** What stands for a word that the model does not know; `null` where there is no such token. */
  readonly unknownId: number | null;
}

/** Tokenises and cuts. */
export class TokenEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #tokensMax: number;
  readonly #unknownId: number | null;
  /** Framing tokens, before and after the text. */
  readonly #framing: number;
  /** Those at the end, which cutting must leave: `[SEP]`. */
  readonly #closing: number;

  /** Finds out how the tokenizer frames a text. */
  constructor({ tokenizer, tokensMax, unknownId }: TokenEncoderOptions) {
    this.#tokenizer = tokenizer;
    this.#tokensMax = tokensMax;
    this.#unknownId = unknownId;
    const plain = tokenizer.encode(SAMPLE, { add_special_tokens: false }).ids;
    const framed = tokenizer.encode(SAMPLE, { add_special_tokens: true }).ids;
    const more = framed.length - plain.length;
    const opening = Array.from({ length: Math.max(0, more) + 1 }, (_, start) => start)
      .find((start) => plain.every((id, i) => framed[start + i] === id));
    this.#framing = Math.max(0, more);
    this.#closing = opening === undefined ? 0 : more - opening;
  }

  /**
   * The token ids of a text, framed, at most as many as the model takes.
   *
   * @returns `null` if most of it is unknown to the model: texts of a foreign script would
   * all look the same.
   */
  encode(text: string): readonly number[] | null {
    const cut = text.slice(0, this.#tokensMax * TOKEN_CHARACTERS_MAX);
    const { ids } = this.#tokenizer.encode(cut, { add_special_tokens: true });
    const words = ids.length - this.#framing;
    const unknown = ids.filter((id) => id === this.#unknownId).length;
    if (words <= 0 || unknown > words / 2) return null;
    if (ids.length <= this.#tokensMax) return ids;
    const kept = ids.slice(0, this.#tokensMax - this.#closing);
    return this.#closing === 0 ? kept : [...kept, ...ids.slice(-this.#closing)];
  }
}

/** Pads texts to the longest of them. */
export function padTokens(texts: readonly (readonly number[])[], padId: number): TokenBatch {
  const columns = Math.max(...texts.map(({ length }) => length));
  const ids = new Int32Array(texts.length * columns).fill(padId);
  const mask = new Int32Array(ids.length);
  for (const [row, tokens] of texts.entries()) {
    ids.set(tokens, row * columns);
    mask.fill(1, row * columns, row * columns + tokens.length);
  }
  return { rows: texts.length, columns, ids, mask };
}

/**
 * Groups texts into runs whose padded size stays within a budget, which bounds
 * memory; a text above it runs alone, one without tokens not at all.
 *
 * @returns Places of the texts, run by run.
 */
export function runsOf(lengths: readonly number[], tokensMax: number): number[][] {
  const shortestFirst = lengths.map((_, place) => place)
    .filter((place) => lengths[place] !== 0)
    .toSorted((one, other) => (lengths[one] ?? 0) - (lengths[other] ?? 0));
  const runs: number[][] = [];
  let run: number[] = [];
  for (const place of shortestFirst) {
    const padded = (run.length + 1) * (lengths[place] ?? 0);
    if (run.length > 0 && padded > tokensMax) {
      runs.push(run);
      run = [];
    }
    run.push(place);
  }
  return run.length === 0 ? runs : [...runs, run];
}
