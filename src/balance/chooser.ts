/**
 * Chooses among the targets of one tier: by power of two, or by affinity.
 *
 * A chooser owns scratch arrays as long as its pool, so that a pick allocates
 * nothing. It is used by one pick at a time: picks are synchronous.
 *
 * @module
 */
import type { Random } from "../ports.ts";
import { loadBound, pairUnit, rendezvousScore } from "./affinity.ts";
import { costSeconds, decodeFactor } from "./cost.ts";
import { lowerMedian } from "./decayed_mean.ts";
import { drawIndex } from "./draw.ts";
import type { Member } from "./member.ts";

const AFFINE_COST_MAX = 2;

/** Candidates of one pick. */
export class Chooser {
  readonly #random: Random;
  readonly #members: (Member | null)[];
  readonly #weights: Float64Array;
  readonly #scratch: Float64Array;
  #count = 0;
  #baselineSeconds = 0;
  #tokenMedianSeconds = 0;

  /** Room for `size` candidates. */
  constructor(size: number, random: Random) {
    this.#random = random;
    this.#members = new Array(size).fill(null);
    this.#weights = new Float64Array(size);
    this.#scratch = new Float64Array(size);
  }

  /** Candidates so far. */
  get count(): number {
    return this.#count;
  }

  /** Forgets all candidates. */
  clear(): void {
    this.#count = 0;
  }

  /** Adds a candidate. */
  add(member: Member, nowSeconds: number): void {
    this.#members[this.#count] = member;
    this.#weights[this.#count] = member.spec.weight * member.state.slowStart(nowSeconds);
    this.#count++;
  }

  /** The first candidate that passes a test; `null` if none does. */
  find(test: (member: Member, nowSeconds: number) => boolean, nowSeconds: number): Member | null {
    for (let i = 0; i < this.#count; i++) {
      const member = this.#members[i];
      if (member && test(member, nowSeconds)) return member;
    }
    return null;
  }

  /**
   * Draws two by weight and takes the cheaper; the first drawn on a tie.
   *
   * @returns `null` if there is no candidate.
   */
  cheaperOfTwo(baselineSeconds: number, nowSeconds: number): Member | null {
    if (this.#count <= 1) return this.#count === 0 ? null : this.#members[0] ?? null;
    this.#compareWith(baselineSeconds);
    return this.#members[this.#drawCheaper(nowSeconds)] ?? null;
  }

  /**
   * The target that a key prefers, unless it is much dearer than the normal pick.
   *
   * Of the targets within the load bound, the first two in rendezvous order are
   * the pair: the first serves if it costs at most twice the second. Then the
   * normal two-choice pick serves if it costs less than half of that.
   */
  affine(
    key: { readonly hash: number; readonly loadFactor: number },
    baselineSeconds: number,
    nowSeconds: number,
  ): Member | null {
    if (this.#count <= 1) return this.cheaperOfTwo(baselineSeconds, nowSeconds);
    this.#compareWith(baselineSeconds);
    const normal = this.#drawCheaper(nowSeconds);
    const preferred = this.#preferred(key.hash, key.loadFactor, nowSeconds);
    if (preferred < 0) return this.#members[normal] ?? null;
    const normalCost = this.#cost(normal, nowSeconds);
    const tooDear = this.#cost(preferred, nowSeconds) > AFFINE_COST_MAX * normalCost;
    return this.#members[tooDear ? normal : preferred] ?? null;
  }

  /** What one more request would cost at a member, compared with the candidates added. */
  costOf(member: Member, baselineSeconds: number, nowSeconds: number): number {
    this.#compareWith(baselineSeconds);
    return this.#costOf(
      member,
      member.spec.weight * member.state.slowStart(nowSeconds),
      nowSeconds,
    );
  }

  /** Decode factor of a member against the candidates added. */
  decodeFactorOf(member: Member): number {
    this.#compareWith(this.#baselineSeconds);
    return decodeFactor(member.state.decode.value, this.#tokenMedianSeconds);
  }

  #drawCheaper(nowSeconds: number): number {
    const first = drawIndex(this.#weights, this.#count, -1, this.#random);
    const second = drawIndex(this.#weights, this.#count, first, this.#random);
    return this.#cost(second, nowSeconds) < this.#cost(first, nowSeconds) ? second : first;
  }

  #preferred(keyHash: number, loadFactor: number, nowSeconds: number): number {
    let inFlight = 0;
    let weightTotal = 0;
    for (let i = 0; i < this.#count; i++) {
      inFlight += this.#members[i]?.state.inFlight ?? 0;
      weightTotal += this.#members[i]?.spec.weight ?? 0;
    }
    let best = -1;
    let second = -1;
    let bestScore = 0;
    let secondScore = 0;
    for (let i = 0; i < this.#count; i++) {
      const member = this.#members[i];
      if (!member) continue;
      const { weight } = member.spec;
      const bound = loadBound({ inFlight, weight, weightTotal }, loadFactor);
      if (member.state.inFlight + 1 > bound) continue;
      const score = rendezvousScore(weight, pairUnit(keyHash, member.hash));
      if (score > bestScore) {
        second = best;
        secondScore = bestScore;
        best = i;
        bestScore = score;
      } else if (score > secondScore) {
        second = i;
        secondScore = score;
      }
    }
    if (second < 0) return best;
    const limit = AFFINE_COST_MAX * this.#cost(second, nowSeconds);
    return this.#cost(best, nowSeconds) <= limit ? best : second;
  }

  #compareWith(baselineSeconds: number): void {
    this.#baselineSeconds = baselineSeconds;
    let known = 0;
    for (let i = 0; i < this.#count; i++) {
      const decode = this.#members[i]?.state.decode;
      if (decode && !decode.empty) this.#scratch[known++] = decode.value;
    }
    this.#tokenMedianSeconds = known < 2 ? 0 : lowerMedian(this.#scratch, known);
  }

  #cost(index: number, nowSeconds: number): number {
    const member = this.#members[index];
    return member ? this.#costOf(member, this.#weights[index] ?? 1, nowSeconds) : 0;
  }

  #costOf(member: Member, weight: number, nowSeconds: number): number {
    const { state } = member;
    return costSeconds({
      latencySeconds: state.latencySeconds(this.#baselineSeconds, nowSeconds),
      decodeFactor: decodeFactor(state.decode.value, this.#tokenMedianSeconds),
      inFlight: state.inFlight,
      weight,
    });
  }
}
