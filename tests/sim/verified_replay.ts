/**
 * A stream of questions replayed against the similarity layer, in any order.
 *
 * A question that is equal to a stored one, or to its folded text, is answered by
 * the exact and canonical layers. Any other looks for its nearest
 * neighbours among those stored so far, guards look at the pair, the policy decides.
 * A similarity hit is right if both questions carry one
 * label; one in twenty is told to the policy. A miss is stored, and its neighbour's
 * answer compared with the fresh one, by a judge that knows the labels and is never
 * wrong. All neighbours are found once, by exact scan, and shared by all orders.
 *
 * @module
 */
import { compareFeatures, guardFeatures } from "../../src/cache/guards/guard.ts";
import { foldText } from "../../src/cache/request/fold.ts";
import {
  type Decision,
  isLearnable,
  shadowDue,
  SimilarityPolicy,
} from "../../src/cache/similarity/decision.ts";
import { OBSERVED_FROM } from "../../src/cache/similarity/error_record.ts";
import type { SemanticMode } from "../../src/cache/types.ts";
import type { StreamStep } from "../support/cache_data.ts";
import { randomFrom } from "./harness.ts";

/** How a route decides. */
export interface Rule {
  /** `static` or `verified`. */
  readonly mode: SemanticMode;
  /** For `static`. */
  readonly threshold: number | null;
  /** For `verified`. */
  readonly errorBound: number;
  /** Whether `verified` may learn to pass over the one guard that allows it. */
  readonly learnsGuard: boolean;
}

/** What came of one order. */
export interface Replayed {
  /** Questions. */
  readonly steps: number;
  /** Served because the texts are equal, or equal when folded. */
  readonly textHits: number;
  /** Wrong ones among them. */
  readonly textWrong: number;
  /** Served by similarity. */
  readonly hits: number;
  /** Wrong ones among them. */
  readonly wrong: number;
  /** Served in the second half. */
  readonly lateHits: number;
  /** Wrong ones among them. */
  readonly lateWrong: number;
}

/** A neighbour of a question, in whatever order both come. */
interface Neighbour {
  readonly step: number;
  readonly similarity: number;
  readonly guard: string | null;
}

/** What the index returns at most. */
const CANDIDATES = 8;
const NAMES = { tenant: "", route: "replay", embedder: "replay" };

/** A stream with all neighbours of 0.6 and above, nearest first. */
export class ReplayStream {
  readonly #groups: readonly string[];
  readonly #keys: readonly string[];
  readonly #neighbours: ReadonlyArray<readonly Neighbour[]>;

  /** Compares all pairs; `embed` gives vectors of length 1, or `null`. */
  constructor(steps: readonly StreamStep[], embed: (text: string) => Float32Array | null) {
    this.#groups = steps.map((step) => step.group);
    this.#keys = steps.map(({ text }) => foldText(text) ?? text);
    const features = steps.map((step) => guardFeatures(step.text));
    this.#neighbours = nearPairs(steps.map((step) => embed(step.text))).map((near, asked) =>
      near.toSorted((one, other) => other.similarity - one.similarity)
        .map(({ step, similarity }) => {
          const [one, other] = [features[asked], features[step]];
          const guard = one && other ? compareFeatures(one, other) : null;
          return { step, similarity, guard };
        })
    );
  }

  /** Replays the order that the seed gives. */
  run(rule: Rule, seed: number): Replayed {
    const random = randomFrom(seed);
    const policy = new SimilarityPolicy();
    const order = shuffled(this.#groups.length, random);
    const stored = new Uint8Array(order.length);
    const byKey = new Map<string, number>();
    const result = emptyResult(order.length);
    order.forEach((asked, position) => {
      const key = this.#keys[asked] ?? "";
      const equal = byKey.get(key);
      if (equal !== undefined) {
        result.textHits++;
        result.textWrong += this.#isRight(asked, equal) ? 0 : 1;
        return;
      }
      const consulted: Neighbour[] = [];
      const hit = this.#candidates(asked, stored, rule).find((near) => {
        consulted.push(near);
        return decide(policy, rule, near).serve;
      });
      if (hit === undefined) {
        stored[asked] = 1;
        byKey.set(key, asked);
        for (const near of consulted) this.#observe(policy, asked, near);
        return;
      }
      const wrong = this.#isRight(asked, hit.step) ? 0 : 1;
      const late = position >= order.length / 2 ? 1 : 0;
      result.hits++;
      result.wrong += wrong;
      result.lateHits += late;
      result.lateWrong += late * wrong;
      if (shadowDue(random)) this.#observe(policy, asked, hit);
    });
    return result;
  }

  /** The nearest that passed the guards, then the nearest that the learnable one refused. */
  #candidates(asked: number, stored: Uint8Array, rule: Rule): Neighbour[] {
    const found: Neighbour[] = [];
    for (const near of this.#neighbours[asked] ?? []) {
      if (stored[near.step] === 0) continue;
      if (found.push(near) === CANDIDATES) break;
    }
    const passed = found.find((near) => near.guard === null);
    const refused = found.find((near) => near.guard !== null && isLearnable(rule.mode, near.guard));
    return [passed, rule.learnsGuard ? refused : undefined].filter((near) => near !== undefined);
  }

  #isRight(asked: number, answered: number): boolean {
    return this.#groups[asked] === this.#groups[answered];
  }

  #observe(policy: SimilarityPolicy, asked: number, near: Neighbour): void {
    const { step, similarity, guard } = near;
    const right = this.#isRight(asked, step);
    policy.observe({ ...NAMES, entryId: step + 1, similarity, guard, right });
  }
}

function emptyResult(steps: number): { -readonly [K in keyof Replayed]: number } {
  return { steps, textHits: 0, textWrong: 0, hits: 0, wrong: 0, lateHits: 0, lateWrong: 0 };
}

function decide(policy: SimilarityPolicy, rule: Rule, near: Neighbour): Decision {
  const { step, similarity, guard } = near;
  const { mode, threshold, errorBound } = rule;
  return policy.decide({
    ...NAMES,
    mode,
    threshold,
    errorBound,
    entryId: step + 1,
    similarity,
    guard,
  });
}

/** Fisher and Yates. */
function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order;
}

/** For each vector the others that are near enough to be observed. */
function nearPairs(vectors: ReadonlyArray<Float32Array | null>): Omit<Neighbour, "guard">[][] {
  const near: Omit<Neighbour, "guard">[][] = vectors.map(() => []);
  vectors.forEach((one, i) => {
    if (one === null) return;
    for (let j = i + 1; j < vectors.length; j++) {
      const other = vectors[j];
      if (!other) continue;
      const similarity = dot(one, other);
      if (similarity < OBSERVED_FROM) continue;
      near[i]?.push({ step: j, similarity });
      near[j]?.push({ step: i, similarity });
    }
  });
  return near;
}

/** Four sums side by side: twice as fast as one. */
function dot(one: Float32Array, other: Float32Array): number {
  let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
  for (let i = 0; i + 3 < one.length; i += 4) {
    sum0 += (one[i] ?? 0) * (other[i] ?? 0);
    sum1 += (one[i + 1] ?? 0) * (other[i + 1] ?? 0);
    sum2 += (one[i + 2] ?? 0) * (other[i + 2] ?? 0);
    sum3 += (one[i + 3] ?? 0) * (other[i + 3] ?? 0);
  }
  return sum0 + sum1 + sum2 + sum3;
}
