/**
 * The few best of many candidates.
 *
 * @module
 */
import type { VectorMatch } from "../../ports.ts";

/** Keeps the nearest, in order; the first offered wins a tie. */
export class Nearest {
  readonly #limit: number;
  readonly #matches: VectorMatch[] = [];
  #worst = -Infinity;

  /** Keeps `limit` at most. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Considers a candidate. */
  offer(id: number, similarity: number): void {
    if (this.#matches.length === this.#limit) {
      if (similarity <= this.#worst) return;
      this.#matches.pop();
    }
    let at = this.#matches.length;
    while (at > 0 && (this.#matches[at - 1]?.similarity ?? 0) < similarity) at--;
    this.#matches.splice(at, 0, { id, similarity });
    this.#worst = this.#matches.at(-1)?.similarity ?? -Infinity;
  }

  /** The nearest so far, nearest first. */
  get matches(): readonly VectorMatch[] {
    return this.#matches;
  }
}
