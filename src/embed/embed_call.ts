/**
 * One call of an embedder: some texts, one promise, one deadline.
 *
 * @module
 */

/** Gathers the vectors of a call, which may come from several batches. */
export class EmbedCall {
  /** Settles with the vectors in the order of the texts, or with the first failure. */
  readonly promise: Promise<readonly Float32Array[]>;
  readonly #vectors: (Float32Array | undefined)[];
  readonly #resolve: (vectors: readonly Float32Array[]) => void;
  readonly #reject: (cause: unknown) => void;
  readonly #onOver: (call: EmbedCall) => void;
  #missing: number;
  #over = false;
  #timer: Disposable | null = null;

  /** Waits for `texts` vectors; `onOver` is told once, when the promise settles. */
  constructor(texts: number, onOver: (call: EmbedCall) => void) {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Float32Array[]>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onOver = onOver;
    this.#vectors = new Array<Float32Array | undefined>(texts).fill(undefined);
    this.#missing = texts;
    if (texts === 0) this.#end(() => resolve([]));
  }

  /** Whether the promise has settled. */
  get over(): boolean {
    return this.#over;
  }

  /** Takes the timer that will end the call; it is stopped when the call is over. */
  keep(timer: Disposable): void {
    if (this.#over) timer[Symbol.dispose]();
    else this.#timer = timer;
  }

  /** Hands over the vector of one text. The call gets a copy: its owner may transfer it. */
  fill(place: number, vector: Float32Array): void {
    if (this.#over || this.#vectors[place] !== undefined) return;
    this.#vectors[place] = vector.slice();
    this.#missing--;
    if (this.#missing > 0) return;
    const vectors = this.#vectors.filter((filled) => filled !== undefined);
    this.#end(() => this.#resolve(vectors));
  }

  /** Ends the call without vectors. */
  fail(cause: unknown): void {
    if (!this.#over) this.#end(() => this.#reject(cause));
  }

  #end(settle: () => void): void {
    this.#over = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    settle();
    this.#onOver(this);
  }
}
