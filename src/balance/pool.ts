/**
 * One model's targets: which of them takes a request now.
 *
 * Order of a pick (3.4): what cannot serve is left out; the first tier with a
 * candidate serves; in it a half-open target with a free probe slot first, then
 * the cheaper of two. Where no tier has a candidate, a few requests may try
 * targets whose breaker is open. Nothing queues.
 *
 * @module
 */
import type { Random } from "../ports.ts";
import { hashText } from "./affinity.ts";
import { Chooser } from "./chooser.ts";
import { lowerMedian } from "./decayed_mean.ts";
import { Dispatch } from "./dispatch.ts";
import { LatencyHistogram } from "./latency_histogram.ts";
import {
  hasRoom,
  isAdmitted,
  isAvailable,
  isCapable,
  isCooling,
  type Member,
  type Seeker,
} from "./member.ts";
import type { BalancerPolicy, PoolPolicy } from "./policy.ts";
import { PromptFit } from "./prompt_fit.ts";
import { TokenBucket } from "./token_bucket.ts";
import type { Demand } from "./types.ts";

const SPILL_FACTOR = 1.4;
const HEDGE_LATENCY_MAX = 2;
const RETRY_AFTER_MIN_SECONDS = 1;

/** What a pool has learned; survives a change of its targets. */
export interface PoolMemory {
  /** First-token latency by prompt length. */
  readonly fit: PromptFit;
  /** Normalised first-token latencies. */
  readonly latencies: LatencyHistogram;
  /** Bounds retries. */
  readonly retries: TokenBucket;
  /** Bounds hedges. */
  readonly hedges: TokenBucket;
}

/** What a pool is made of. */
export interface PoolParts {
  /** Its name. */
  readonly name: string;
  /** Its targets. */
  readonly members: readonly Member[];
  /** The operator's choices. */
  readonly policy: PoolPolicy;
  /** The balancer's constants. */
  readonly balancerPolicy: BalancerPolicy;
  /** What it has learned. */
  readonly memory: PoolMemory;
  /** Chance. */
  readonly random: Random;
}

/** Tiers that a pick looks at, first to last, both included. */
export interface Ranks {
  /** Place of the first tier, from 0. */
  readonly first: number;
  /** Place of the last tier. */
  readonly last: number;
}

/** Why no target takes a request. */
export interface Refusal {
  /** What to answer. */
  readonly code: "no_healthy_backend" | "rate_limited";
  /** Whole seconds after which a target may be free again, at least 1. */
  readonly retryAfterSeconds: number;
}

/**
 * Memory for a pool: empty, or what `previous` has learned under new budgets,
 * which hold no more than what was left of the old ones.
 */
export function poolMemory(
  policy: PoolPolicy,
  previous: PoolMemory | null,
  nowSeconds: number,
): PoolMemory {
  const { retryBudgetMax, retryPerRequest, retryPerSecond, hedgeBudgetMax, hedgePerRequest } =
    policy;
  const retries = { max: retryBudgetMax, perRequest: retryPerRequest, perSecond: retryPerSecond };
  const hedges = { max: hedgeBudgetMax, perRequest: hedgePerRequest, perSecond: 0 };
  const left = (bucket: TokenBucket | undefined, max: number) =>
    Math.min(max, bucket?.read(nowSeconds) ?? max);
  return {
    fit: previous?.fit ?? new PromptFit(),
    latencies: previous?.latencies ?? new LatencyHistogram(),
    retries: new TokenBucket(retries, left(previous?.retries, retryBudgetMax)),
    hedges: new TokenBucket(hedges, left(previous?.hedges, hedgeBudgetMax)),
  };
}

/** The targets of one model name. */
export class Pool {
  /** Its name. */
  readonly name: string;
  /** The operator's choices. */
  readonly policy: PoolPolicy;
  /** The balancer's constants. */
  readonly balancerPolicy: BalancerPolicy;
  /** Its targets, in the order configured. */
  readonly members: readonly Member[];
  /** What it has learned. */
  readonly memory: PoolMemory;
  /** All tiers. */
  readonly ranks: Ranks;
  /** Chance. */
  readonly random: Random;

  readonly #tiers: readonly (readonly Member[])[];
  readonly #chooser: Chooser;
  readonly #scratch: Float64Array;

  /** Made by `Balancer.pool`. */
  constructor(parts: PoolParts) {
    this.name = parts.name;
    this.members = parts.members;
    this.policy = parts.policy;
    this.balancerPolicy = parts.balancerPolicy;
    this.memory = parts.memory;
    this.random = parts.random;
    const count = Math.max(0, ...parts.members.map((member) => member.rank + 1));
    this.#tiers = Array.from(
      { length: count },
      (_, rank) => parts.members.filter((member) => member.rank === rank),
    );
    this.ranks = { first: 0, last: count - 1 };
    this.#chooser = new Chooser(parts.members.length, parts.random);
    this.#scratch = new Float64Array(parts.members.length);
  }

  /** A request's walk through its attempts; begins with `start`. */
  dispatch(demand: Demand, _nowSeconds: number): Dispatch {
    return new Dispatch(
      this,
      demand,
      demand.affinityKey === null || !this.policy.affinity ? null : hashText(demand.affinityKey),
    );
  }

  /** Retries that could be made now. */
  retryTokens(nowSeconds: number): number {
    return this.memory.retries.read(nowSeconds);
  }

  /** Usual first-token latency: lower median over closed targets; 1 s while none is known. */
  baselineSeconds(nowSeconds: number): number {
    let count = 0;
    for (const { state } of this.members) {
      if (state.usual.empty || state.breaker.phase(nowSeconds) !== "closed") continue;
      this.#scratch[count++] = state.usual.value;
    }
    return count === 0 ? this.balancerPolicy.unknownSeconds : lowerMedian(this.#scratch, count);
  }

  /** Prompt factor. */
  factor(promptTokens: number): number {
    return this.balancerPolicy.ablation.normalisation ? 1 : this.memory.fit.factor(promptTokens);
  }

  /**
   * How long a prompt's first token takes at the hedge percentile, within the
   * policy's bounds; `null` while too few were seen.
   */
  hedgeDelaySeconds(promptTokens: number, nowSeconds: number): number | null {
    const { hedgePercentile, hedgeSamplesMin, hedgeDelayMinSeconds, hedgeDelayMaxSeconds } =
      this.policy;
    const { latencies } = this.memory;
    const usual = latencies.percentile(hedgePercentile, hedgeSamplesMin, nowSeconds);
    if (usual === null) return null;
    const delaySeconds = usual * this.factor(promptTokens);
    return Math.min(hedgeDelayMaxSeconds, Math.max(hedgeDelayMinSeconds, delaySeconds));
  }

  /** Whether any target can do what is asked, busy or not. */
  isCapable(demand: Demand): boolean {
    return this.members.some((member) => isCapable(member.spec.capabilities, demand));
  }

  /** Whether a pick among these tiers would find a target. */
  hasCandidate(seeker: Seeker, ranks: Ranks, nowSeconds: number): boolean {
    for (let rank = ranks.first; rank <= ranks.last; rank++) {
      for (const member of this.#tiers[rank] ?? []) {
        if (this.#isCandidate(member, seeker, nowSeconds)) return true;
      }
    }
    return false;
  }

  /** Picks a target; `null` if no tier has a candidate. */
  pick(seeker: Seeker, ranks: Ranks, nowSeconds: number): Member | null {
    let firstRank = -1;
    for (let rank = ranks.first; rank <= ranks.last; rank++) {
      const keeps = this.#gather(seeker, rank, nowSeconds);
      if (this.#chooser.count === 0) continue;
      if (firstRank < 0) firstRank = rank;
      if (this.policy.spill === "off" || this.random() < keeps) {
        return this.#choose(seeker, nowSeconds);
      }
    }
    if (firstRank < 0) return null;
    this.#gather(seeker, firstRank, nowSeconds);
    return this.#choose(seeker, nowSeconds);
  }

  /** Picks a healthy target for a second copy of a probe, in the first tier that has one. */
  pickRescue(seeker: Seeker, nowSeconds: number): Member | null {
    for (let rank = 0; rank <= this.ranks.last; rank++) {
      this.#gatherClosed(seeker, rank, nowSeconds);
      if (this.#chooser.count > 0) return this.#cheaperOfTwo(nowSeconds);
    }
    return null;
  }

  /** Picks a healthy and brisk target of the same tier for a hedge. */
  pickHedge(seeker: Seeker, rank: number, nowSeconds: number): Member | null {
    this.#gatherClosed(seeker, rank, nowSeconds, HEDGE_LATENCY_MAX);
    return this.#cheaperOfTwo(nowSeconds);
  }

  /** Picks a target although its breaker is not closed; `null` if none has a slot for that. */
  pickPanic(seeker: Seeker, nowSeconds: number): Member | null {
    for (let rank = 0; rank <= this.ranks.last; rank++) {
      this.#chooser.clear();
      for (const member of this.#tiers[rank] ?? []) {
        if (!isCapable(member.spec.capabilities, seeker.demand) || seeker.excludes(member)) {
          continue;
        }
        if (!isAvailable(member, nowSeconds) || !this.#hasPanicSlot(member, nowSeconds)) continue;
        this.#chooser.add(member, nowSeconds);
      }
      if (this.#chooser.count > 0) return this.#cheaperOfTwo(nowSeconds);
    }
    return null;
  }

  /** Earliest end of a cooldown that alone keeps a target of these tiers out; `null` for none. */
  cooldownEndSeconds(seeker: Seeker, ranks: Ranks, nowSeconds: number): number | null {
    let earliest: number | null = null;
    for (const member of this.members) {
      if (member.rank < ranks.first || member.rank > ranks.last) continue;
      if (!isCapable(member.spec.capabilities, seeker.demand) || seeker.excludes(member)) continue;
      const { state } = member;
      if (state.draining || !isCooling(state, nowSeconds)) continue;
      if (!isAdmitted(member, seeker.demand, nowSeconds)) continue;
      if (earliest === null || state.cooldownUntilSeconds < earliest) {
        earliest = state.cooldownUntilSeconds;
      }
    }
    return earliest;
  }

  /** What to answer where no target takes the request. */
  refusal(demand: Demand, nowSeconds: number): Refusal {
    let onlyCooldowns = true;
    let cooling = false;
    let earliestSeconds = Number.POSITIVE_INFINITY;
    for (const { spec, state } of this.members) {
      if (!isCapable(spec.capabilities, demand) || state.draining) continue;
      if (isCooling(state, nowSeconds)) {
        cooling = true;
        earliestSeconds = Math.min(earliestSeconds, state.cooldownUntilSeconds - nowSeconds);
        continue;
      }
      onlyCooldowns = false;
      const missingSeconds = Math.max(0, state.missingUntilSeconds - nowSeconds);
      const freeSeconds = Math.max(state.breaker.openSeconds(nowSeconds), missingSeconds);
      earliestSeconds = Math.min(earliestSeconds, freeSeconds);
    }
    const waitSeconds = Number.isFinite(earliestSeconds) ? Math.ceil(earliestSeconds) : 0;
    return {
      code: cooling && onlyCooldowns ? "rate_limited" : "no_healthy_backend",
      retryAfterSeconds: Math.max(RETRY_AFTER_MIN_SECONDS, waitSeconds),
    };
  }

  /** Cost and decode factor of a member among its tier, for those who look. */
  appraise(member: Member, nowSeconds: number): { costSeconds: number; decodeFactor: number } {
    this.#chooser.clear();
    for (const peer of this.#tiers[member.rank] ?? []) this.#chooser.add(peer, nowSeconds);
    const baselineSeconds = this.baselineSeconds(nowSeconds);
    return {
      costSeconds: this.#chooser.costOf(member, baselineSeconds, nowSeconds),
      decodeFactor: this.#chooser.decodeFactorOf(member),
    };
  }

  #isCandidate(member: Member, seeker: Seeker, nowSeconds: number): boolean {
    return isCapable(member.spec.capabilities, seeker.demand) && !seeker.excludes(member) &&
      isAvailable(member, nowSeconds) && isAdmitted(member, seeker.demand, nowSeconds);
  }

  /** Collects a tier's candidates and returns the share of requests that the tier keeps. */
  #gather(seeker: Seeker, rank: number, nowSeconds: number): number {
    const chooser = this.#chooser;
    chooser.clear();
    let available = 0;
    let total = 0;
    for (const member of this.#tiers[rank] ?? []) {
      if (!isCapable(member.spec.capabilities, seeker.demand) || seeker.excludes(member)) continue;
      total += member.spec.weight;
      if (!isAvailable(member, nowSeconds)) continue;
      if (!isAdmitted(member, seeker.demand, nowSeconds)) continue;
      available += member.spec.weight;
      chooser.add(member, nowSeconds);
    }
    return SPILL_FACTOR * available / total;
  }

  #gatherClosed(seeker: Seeker, rank: number, nowSeconds: number, slownessMax = Infinity): void {
    const baselineSeconds = slownessMax === Infinity ? 0 : this.baselineSeconds(nowSeconds);
    this.#chooser.clear();
    for (const member of this.#tiers[rank] ?? []) {
      if (!this.#isCandidate(member, seeker, nowSeconds)) continue;
      const { state, spec } = member;
      if (state.breaker.phase(nowSeconds) !== "closed") continue;
      if (slownessMax !== Infinity) {
        if (!spec.hedge) continue;
        const latencySeconds = state.latencySeconds(baselineSeconds, nowSeconds);
        if (latencySeconds > slownessMax * baselineSeconds) continue;
      }
      this.#chooser.add(member, nowSeconds);
    }
  }

  #choose(seeker: Seeker, nowSeconds: number): Member | null {
    const probe = this.#chooser.find(isHalfOpen, nowSeconds);
    if (probe !== null) return probe;
    if (seeker.keyHash === null) return this.#cheaperOfTwo(nowSeconds);
    const key = { hash: seeker.keyHash, loadFactor: this.policy.affinityLoadFactor };
    return this.#chooser.affine(key, this.baselineSeconds(nowSeconds), nowSeconds);
  }

  #cheaperOfTwo(nowSeconds: number): Member | null {
    if (this.#chooser.count === 0) return null;
    return this.#chooser.cheaperOfTwo(this.baselineSeconds(nowSeconds), nowSeconds);
  }

  #hasPanicSlot(member: Member, nowSeconds: number): boolean {
    const { state, spec } = member;
    const phase = state.breaker.phase(nowSeconds);
    if (phase === "closed") return false;
    const slots = spec.maxConcurrency === null
      ? 1
      : Math.max(1, Math.floor(this.balancerPolicy.panicShare * spec.maxConcurrency));
    const probing = phase === "half_open" && !state.breaker.probeFree(nowSeconds) ? 1 : 0;
    return hasRoom(member) && state.panicInFlight + probing < slots;
  }
}

function isHalfOpen({ state }: Member, nowSeconds: number): boolean {
  return state.breaker.phase(nowSeconds) === "half_open";
}
