/**
 * Vectors of recent texts, so that a text is embedded once: when it is looked up
 * and again when its answer is stored.
 *
 * Two generations stand for "recent": new and used entries go to the young one;
 * once that is full the old one is dropped and the young one grows old. Nothing
 * is moved or counted on a hit in the young generation.
 *
 * @module
 */

/** Longer texts are not kept, since they would make the memo's size unbounded. */
const TEXT_CHARACTERS_MAX = 4_096;

/** Texts with their vectors, up to a number of them. */
export class VectorMemo {
  readonly #generationMax: number;
  #young = new Map<string, Float32Array>();
  #old = new Map<string, Float32Array>();

  /** Keeps at most `entriesMax` vectors; 0 and 1 keep none. */
  constructor(entriesMax: number) {
    this.#generationMax = Math.floor(entriesMax / 2);
  }

  /** How many vectors are kept. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The vector of a text that was given recently; not to be changed by the caller. */
  get(text: string): Float32Array | undefined {
    const young = this.#young.get(text);
    if (young !== undefined) return young;
    const old = this.#old.get(text);
    if (old === undefined) return undefined;
    this.#old.delete(text);
    this.set(text, old);
    return old;
  }

  /** Keeps a vector, which nobody may change from now on. */
  set(text: string, vector: Float32Array): void {
    if (this.#generationMax === 0 || text.length > TEXT_CHARACTERS_MAX) return;
    if (this.#young.size >= this.#generationMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, vector);
  }

  /** Forgets everything. */
  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}
