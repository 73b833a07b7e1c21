/**
 * A graph for tests: exact, strict with its caller, and breakable.
 *
 * @module
 */
import assert from "node:assert/strict";
import { capacityFor, type Graph } from "./graph.ts";

/** Finds everything; fails where the native library would do something worse. */
export class ExactGraph implements Graph {
  readonly #vectors = new Map<number, Float32Array>();
  readonly #onChange: () => void;
  readonly #onSave: (path: string) => void;
  #nodes = 0;

  /** `onChange` is called before each change and may throw; `onSave` gets the path. */
  constructor(onChange: () => void = () => {}, onSave: (path: string) => void = () => {}) {
    this.#onChange = onChange;
    this.#onSave = onSave;
  }

  get live(): number {
    return this.#vectors.size;
  }

  get tombstones(): number {
    return this.#nodes - this.#vectors.size;
  }

  get capacity(): number {
    return capacityFor(this.#nodes);
  }

  add(id: number, unit: Float32Array): void {
    assert.ok(!this.#vectors.has(id), `key ${id} twice`);
    assert.ok(unit.every(Number.isFinite));
    this.#onChange();
    this.#vectors.set(id, unit);
    this.#nodes = Math.max(this.#nodes, this.#vectors.size);
  }

  remove(id: number): void {
    assert.ok(this.#vectors.has(id), `key ${id} unknown`);
    this.#onChange();
    this.#vectors.delete(id);
  }

  has(id: number): boolean {
    return this.#vectors.has(id);
  }

  search(unit: Float32Array, limit: number): readonly number[] {
    const cosine = (other: Float32Array): number =>
      other.reduce((sum, value, i) => sum + value * (unit[i] ?? 0), 0);
    return [...this.#vectors]
      .map(([id, vector]) => ({ id, cosine: cosine(vector) }))
      .toSorted((one, other) => other.cosine - one.cosine)
      .slice(0, limit)
      .map(({ id }) => id);
  }

  save(path: string): void {
    this.#onSave(path);
  }

  /** The keys, in the order they were added. */
  get keys(): readonly number[] {
    return [...this.#vectors.keys()];
  }
}

/** A direction of its own for each number, of length 1. */
export function directionOf(number: number, dims: number): Float32Array<ArrayBuffer> {
  let state = (number * 2_654_435_761 + 1) >>> 0;
  const vector = new Float32Array(dims).map(() => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 >>> 0;
    return state / 2 ** 32 - 0.5;
  });
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}
