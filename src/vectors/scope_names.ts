/**
 * Numbers for the names of scopes.
 *
 * A number is never given twice, and a scope keeps its own while any change in the
 * log names it: a removal that is replayed under another number than the vector
 * was added under would find nothing to remove.
 *
 * @module
 */

interface Entry {
  readonly name: string;
  readonly number: number;
  /** Sequence of the last change in the scope. */
  last: number;
}

/** The scopes that may have vectors. */
export class ScopeNames {
  readonly #byName = new Map<string, Entry>();
  readonly #byNumber = new Map<number, Entry>();
  /** Empty scopes that changes in the log still name. */
  readonly #waiting = new Set<Entry>();
  #given = 0;

  /** The number of a scope, or `undefined` if it has no vectors. */
  find(name: string): number | undefined {
    return this.#byName.get(name)?.number;
  }

  /** The name of a number, or `undefined`. */
  nameOf(number: number): string | undefined {
    return this.#byNumber.get(number)?.name;
  }

  /** The number of a scope; a new one if it has none. */
  numberOf(name: string): number {
    return this.#entryOf(name).number;
  }

  /** Notes a change. */
  touch(name: string, sequence: number): void {
    const entry = this.#entryOf(name);
    entry.last = sequence;
    this.#waiting.delete(entry);
  }

  /**
   * Takes over the numbers of a kept index. Only before any number was sent to a
   * worker: scopes that were touched meanwhile get others.
   */
  adopt(scopes: ReadonlyArray<readonly [number, string]>): void {
    const early = [...this.#byName.values()];
    this.#byName.clear();
    this.#byNumber.clear();
    this.#waiting.clear();
    for (const [number, name] of scopes) {
      this.#set({ name, number, last: 0 });
      this.#given = Math.max(this.#given, number);
    }
    for (const { name, last } of early) this.touch(name, last);
  }

  /**
   * Forgets a scope that was found empty after a sequence, unless it changed
   * since; the next {@linkcode forget} does it.
   */
  release(number: number, sequence: number): void {
    const entry = this.#byNumber.get(number);
    if (entry !== undefined && entry.last <= sequence) this.#waiting.add(entry);
  }

  /** Forgets released scopes whose changes are no longer in the log. */
  forget(trimmed: number): void {
    for (const entry of this.#waiting) {
      if (entry.last > trimmed) continue;
      this.#waiting.delete(entry);
      this.#byNumber.delete(entry.number);
      this.#byName.delete(entry.name);
    }
  }

  /** Releases all scopes but these, as of a sequence. */
  retain(numbers: ReadonlySet<number>, sequence: number): void {
    for (const number of [...this.#byNumber.keys()]) {
      if (!numbers.has(number)) this.release(number, sequence);
    }
  }

  /** All numbers and names. */
  table(): [number, string][] {
    return [...this.#byNumber.values()].map(({ number, name }) => [number, name]);
  }

  #entryOf(name: string): Entry {
    const found = this.#byName.get(name);
    if (found !== undefined) return found;
    const entry = { name, number: ++this.#given, last: 0 };
    this.#set(entry);
    return entry;
  }

  #set(entry: Entry): void {
    this.#byName.set(entry.name, entry);
    this.#byNumber.set(entry.number, entry);
  }
}
