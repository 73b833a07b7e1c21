/**
 * A vector index that is exact and never up to date: it takes things in and out
 * late, finds what was taken out, and what belongs to others, and sometimes fails.
 *
 * @module
 */
import { LEXICAL_DIMS, lexicalVector } from "../../src/embed/lexical.ts";
import {
  type Embedder,
  EmbedError,
  type Random,
  type VectorIndex,
  type VectorMatch,
  type VectorQuery,
  type VectorStats,
} from "../../src/ports.ts";
import { pick } from "./cache_never_universe.ts";

/** Things that were taken out, and are found all the same. */
const GHOSTS_MAX = 50;

const FAILURES = ["late", "full", "failed"] as const;

const vectors = new Map<string, Float32Array | null>();

/** The vector of a text, made once. */
export function vectorOf(text: string): Float32Array | null {
  let vector = vectors.get(text);
  if (vector === undefined) {
    vector = lexicalVector(text);
    vectors.set(text, vector);
  }
  return vector;
}

const cosines = new WeakMap<Float32Array, WeakMap<Float32Array, number>>();

/** Cosine of two vectors of length 1, reckoned once. */
export function cosineOf(one: Float32Array, other: Float32Array): number {
  let known = cosines.get(one);
  if (known === undefined) cosines.set(one, known = new WeakMap());
  let cosine = known.get(other);
  if (cosine === undefined) known.set(other, cosine = dotOf(one, other));
  return cosine;
}

function dotOf(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < LEXICAL_DIMS; at++) sum += (one[at] ?? 0) * (other[at] ?? 0);
  return sum;
}

interface Vector {
  readonly id: number;
  readonly scope: string;
  readonly vector: Float32Array;
}

/** The index. */
export class LaggingIndex implements VectorIndex {
  readonly #random: Random;
  readonly #live = new Map<number, Vector>();
  readonly #changes: (() => void)[] = [];
  readonly #searches: (() => void)[] = [];
  #ghosts: Vector[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Ids that it holds. */
  get ids(): ReadonlySet<number> {
    return new Set(this.#live.keys());
  }

  add(scope: string, id: number, query: VectorQuery): void {
    const vector = "text" in query ? vectorOf(query.text) : query.vector;
    if (vector !== null) this.#changes.push(() => this.#live.set(id, { id, scope, vector }));
  }

  remove(scope: string, id: number): void {
    this.#changes.push(() => {
      const gone = this.#live.get(id);
      if (gone?.scope !== scope) return;
      this.#live.delete(id);
      this.#ghosts = [gone, ...this.#ghosts].slice(0, GHOSTS_MAX);
    });
  }

  search(scope: string, query: VectorQuery): Promise<readonly VectorMatch[]> {
    const chance = this.#random();
    if (chance < 0.05) return Promise.reject(failure(this.#random));
    if (chance < 0.5) this.catchUp(1);
    const found = this.#find(scope, query);
    if (chance < 0.75) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const isLost = this.#random() < 0.2;
      this.#searches.push(() => isLost ? reject(failure(this.#random)) : resolve(found));
    });
  }

  compare(one: string, other: string): Promise<number | null> {
    const [left, right] = [vectorOf(one), vectorOf(other)];
    return Promise.resolve(left === null || right === null ? null : cosineOf(left, right));
  }

  /** Does some of what it was told, and answers whom it has kept waiting. */
  catchUp(share: number): void {
    for (const change of this.#changes.splice(0, Math.ceil(this.#changes.length * share))) change();
    for (const answer of this.#searches.splice(0)) answer();
  }

  stats(): VectorStats {
    return {
      live: this.#live.size,
      tombstones: 0,
      capacity: 0,
      scopes: 0,
      graphs: 0,
      rebuilds: 0,
      rebuilding: false,
      journal: this.#changes.length,
      lastRebuildSeconds: null,
      native: false,
      bytes: 0,
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #find(scope: string, query: VectorQuery): VectorMatch[] {
    const asked = "text" in query ? vectorOf(query.text) : query.vector;
    if (asked === null) return [];
    const matches: VectorMatch[] = [];
    // Its owner must not rely on it: neither on scopes nor on what it took out.
    const isConfused = this.#random() < 0.3;
    for (const vector of [...this.#live.values(), ...(isConfused ? this.#ghosts : [])]) {
      if (vector.scope !== scope && !isConfused) continue;
      matches.push({ id: vector.id, similarity: cosineOf(asked, vector.vector) });
    }
    return matches.toSorted((one, other) => other.similarity - one.similarity).slice(0, 8);
  }
}

/** An embedder beside the index, which fails now and then. */
export function unreliableEmbedder(random: Random): Embedder {
  return {
    id: "unreliable",
    dims: LEXICAL_DIMS,
    embed(texts) {
      if (random() < 0.05) return Promise.reject(failure(random));
      return Promise.resolve(texts.map((text) => vectorOf(text) ?? new Float32Array(LEXICAL_DIMS)));
    },
    close: () => {},
  };
}

function failure(random: Random): EmbedError {
  return new EmbedError(pick(FAILURES, random), "Cannot embed: it was not meant to be");
}
