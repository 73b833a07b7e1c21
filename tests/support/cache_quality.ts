/**
 * How well the canonical layer and the built-in embedder tell prompts apart.
 *
 * Measured on labelled pairs, and on a replay in which every prompt looks for its
 * nearest neighbours among all that came before. Nothing here is random, so the
 * figures are the same on every machine.
 *
 * @module
 */
import { compareFeatures, guardFeatures, type GuardName } from "../../src/cache/guards/guard.ts";
import { foldText } from "../../src/cache/request/fold.ts";
import { lexicalVector } from "../../src/embed/lexical.ts";
import type { LabelledPair, StreamStep } from "./cache_data.ts";

/** How many neighbours a search returns. */
const NEIGHBOURS_MAX = 8;
/** Nothing below is served at any threshold of interest. */
const SIMILARITY_MIN = 0.5;

/** A pair with what each layer makes of it. */
export interface JudgedPair {
  /** The pair. */
  readonly pair: LabelledPair;
  /** Whether both texts fold to one. */
  readonly isCanonical: boolean;
  /** Cosine of the built-in embedder. */
  readonly similarity: number;
  /** Which guard refuses it. */
  readonly guard: GuardName | null;
}

/** A rule that serves, or does not. */
export type Rule = (judged: JudgedPair) => boolean;

/** The semantic layer at a threshold, with guards. */
export function guardedFrom(threshold: number): Rule {
  return ({ similarity, guard }) => similarity >= threshold && guard === null;
}

/** The semantic layer at a threshold, without guards. */
export function plainFrom(threshold: number): Rule {
  return ({ similarity }) => similarity >= threshold;
}

/** What each layer makes of the pairs. */
export function judgePairs(pairs: readonly LabelledPair[]): JudgedPair[] {
  return pairs.map((pair) => {
    const folded = foldText(pair.a);
    return {
      pair,
      isCanonical: folded !== null && folded === foldText(pair.b),
      similarity: cosine(lexicalVector(pair.a), lexicalVector(pair.b)),
      guard: compareFeatures(guardFeatures(pair.b), guardFeatures(pair.a)),
    };
  });
}

/** Pairs whose answer may be shared. */
export function isPositive({ pair }: JudgedPair): boolean {
  return pair.label === 1;
}

/** Pairs whose answer must not be shared, and which are not just any two prompts. */
export function isHardNegative({ pair }: JudgedPair): boolean {
  return pair.label === 0 && pair.kind !== "random-intent";
}

/** Pairs turned round by rule. */
export function isFlip({ pair }: JudgedPair): boolean {
  return pair.kind.startsWith("flip-");
}

/** Which half of the data a group belongs to, 0 or 1, whatever it holds. */
export function halfOf(group: string): 0 | 1 {
  let hash = 0;
  for (let at = 0; at < group.length; at++) {
    hash = (Math.imul(hash, 31) + group.charCodeAt(at)) >>> 0;
  }
  return ((hash >>> 3) ^ (hash >>> 7)) & 1 ? 1 : 0;
}

/** Share of the pairs that a rule serves, in per cent. */
export function servedPercent(judged: readonly JudgedPair[], rule: Rule): number {
  return percentOf(judged.filter(rule).length, judged.length);
}

/** A part of a whole in per cent; 0 of nothing is 0. */
export function percentOf(part: number, whole: number): number {
  return whole === 0 ? 0 : 100 * part / whole;
}

/** A prompt before, and how near it is. */
export interface Neighbour {
  /** Cosine. */
  readonly similarity: number;
  /** Whether its answer is right. */
  readonly isRight: boolean;
  /** Which guard refuses it. */
  readonly guard: GuardName | null;
}

/** The nearest neighbours of every step among those before it, nearest first. */
export function replayNeighbours(steps: readonly StreamStep[]): Neighbour[][] {
  const vectors = steps.map(({ text }) => lexicalVector(text));
  const features = steps.map(({ text }) => guardFeatures(text));
  return steps.map((step, at) =>
    nearestOf(vectors, at).map(({ similarity, place }) => {
      const [asked, stored, before] = [features[at], features[place], steps[place]];
      if (asked === undefined || stored === undefined || before === undefined) {
        throw new RangeError(`Cannot replay step ${at}: no step ${place}`);
      }
      const guard = compareFeatures(asked, stored);
      return { similarity, isRight: before.group === step.group, guard };
    })
  );
}

/** What came of a replay, in per cent. */
export interface ReplayFigures {
  /** Hits of all steps. */
  readonly hits: number;
  /** Wrong hits of all steps. */
  readonly wrong: number;
  /** Wrong hits of hits. */
  readonly wrongOfHits: number;
}

/** How a replay chooses among the neighbours. */
export type ReplayChoice = "unguarded" | "nearest" | "candidates";

/**
 * What a fixed threshold makes of a replay: `unguarded` takes the nearest neighbour,
 * `nearest` the same if the guards allow it, `candidates` the nearest that they allow.
 */
export function replayFigures(
  steps: readonly (readonly Neighbour[])[],
  threshold: number,
  choice: ReplayChoice,
): ReplayFigures {
  let hits = 0;
  let wrong = 0;
  for (const neighbours of steps) {
    const found = choice === "candidates"
      ? neighbours.find(({ guard }) => guard === null)
      : neighbours[0];
    if (found === undefined || found.similarity < threshold) continue;
    if (choice === "nearest" && found.guard !== null) continue;
    hits++;
    if (!found.isRight) wrong++;
  }
  return {
    hits: percentOf(hits, steps.length),
    wrong: percentOf(wrong, steps.length),
    wrongOfHits: percentOf(wrong, hits),
  };
}

interface Place {
  readonly similarity: number;
  readonly place: number;
}

function nearestOf(vectors: readonly (Float32Array | null)[], at: number): Place[] {
  const nearest: Place[] = [];
  const query = vectors[at] ?? null;
  let least = SIMILARITY_MIN;
  for (let place = 0; place < at; place++) {
    const similarity = cosine(query, vectors[place] ?? null);
    if (!(similarity > least)) continue;
    nearest.push({ similarity, place });
    nearest.sort((one, other) => other.similarity - one.similarity);
    if (nearest.length > NEIGHBOURS_MAX) nearest.pop();
    if (nearest.length === NEIGHBOURS_MAX) least = nearest.at(-1)?.similarity ?? least;
  }
  return nearest;
}

/** Vectors have length 1; a text without words is like nothing. */
function cosine(one: Float32Array | null, other: Float32Array | null): number {
  if (one === null || other === null) return 0;
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += (one[at] ?? 0) * (other[at] ?? 0);
  return sum;
}
