/**
 * All targets of one gateway process and the pools they serve.
 *
 * State is in memory and belongs to this process: gateways share nothing and
 * need not to.
 *
 * @module
 */
import type { Random } from "../ports.ts";
import { hashText } from "./affinity.ts";
import type { Member } from "./member.ts";
import { BALANCER_POLICY, type BalancerPolicy, POOL_POLICY, type PoolPolicy } from "./policy.ts";
import { Pool, poolMemory } from "./pool.ts";
import { TargetState } from "./target_state.ts";
import type { TargetSnapshot, TargetSpec } from "./types.ts";

/** Keeps measured state by target key, across pools. */
export class Balancer {
  readonly #random: Random;
  readonly #policy: BalancerPolicy;
  readonly #pools = new Map<string, Pool>();
  readonly #states = new Map<string, TargetState>();

  /** Starts with no pool. `policy` replaces single defaults of {@linkcode BALANCER_POLICY}. */
  constructor(random: Random, policy: Partial<BalancerPolicy> = {}) {
    this.#random = random;
    this.#policy = { ...BALANCER_POLICY, ...policy };
  }

  /**
   * Sets up a pool, or replaces the one of that name.
   *
   * A replaced pool keeps what it has learned and its budgets; targets whose key
   * is new to it start slowly, targets that no pool names any more are forgotten.
   * A new pool's targets start at full weight.
   *
   * @throws {RangeError} If there is no target, one is listed twice, or a weight is not above 0.
   */
  pool(
    name: string,
    targets: readonly TargetSpec[],
    policy: Partial<PoolPolicy> | undefined,
    nowSeconds: number,
  ): Pool {
    checkTargets(name, targets);
    const previous = this.#pools.get(name);
    const joinedSeconds = previous ? nowSeconds : Number.NEGATIVE_INFINITY;
    const tiers = [...new Set(targets.map((target) => target.tier))].sort((a, b) => a - b);
    const members = targets.map((spec): Member => ({
      spec,
      state: this.#state(spec.key, joinedSeconds),
      rank: tiers.indexOf(spec.tier),
      hash: hashText(spec.key),
    }));
    const poolPolicy = { ...POOL_POLICY, ...policy };
    const pool = new Pool({
      name,
      members,
      policy: poolPolicy,
      balancerPolicy: this.#policy,
      memory: poolMemory(poolPolicy, previous?.memory ?? null, nowSeconds),
      random: this.#random,
    });
    this.#pools.set(name, pool);
    this.#forgetUnused();
    return pool;
  }

  /** Every target once, as seen by the first pool that names it. */
  snapshots(nowSeconds: number): TargetSnapshot[] {
    const seen = new Set<string>();
    const snapshots: TargetSnapshot[] = [];
    for (const pool of this.#pools.values()) {
      for (const member of pool.members) {
        if (seen.has(member.spec.key)) continue;
        seen.add(member.spec.key);
        snapshots.push(snapshot(pool, member, nowSeconds));
      }
    }
    return snapshots;
  }

  /**
   * Stops or resumes new attempts to a target; those in flight go on.
   *
   * @throws {RangeError} If no pool has a target of that key.
   */
  drain(key: string, draining: boolean): void {
    const state = this.#states.get(key);
    if (state === undefined) throw new RangeError(`Cannot drain ${key}: no pool has this target`);
    state.draining = draining;
  }

  #state(key: string, joinedSeconds: number): TargetState {
    let state = this.#states.get(key);
    if (state === undefined) {
      state = new TargetState(key, this.#policy, this.#random, joinedSeconds);
      this.#states.set(key, state);
    }
    return state;
  }

  #forgetUnused(): void {
    const used = new Set<string>();
    for (const pool of this.#pools.values()) {
      for (const { spec } of pool.members) used.add(spec.key);
    }
    for (const key of this.#states.keys()) if (!used.has(key)) this.#states.delete(key);
  }
}

function checkTargets(name: string, targets: readonly TargetSpec[]): void {
  if (targets.length === 0) throw new RangeError(`Cannot build pool ${name}: it has no target`);
  const keys = new Set<string>();
  for (const { key, weight } of targets) {
    if (keys.has(key)) throw new RangeError(`Cannot build pool ${name}: ${key} is listed twice`);
    if (!(weight > 0)) {
      throw new RangeError(`Cannot build pool ${name}: weight ${weight} of ${key} is not above 0`);
    }
    keys.add(key);
  }
}

function snapshot(pool: Pool, member: Member, nowSeconds: number): TargetSnapshot {
  const { state, spec } = member;
  const { breaker } = state;
  const { costSeconds, decodeFactor } = pool.appraise(member, nowSeconds);
  return {
    backend: spec.backend,
    model: spec.model,
    score: costSeconds,
    latencySeconds: state.latency.empty
      ? pool.baselineSeconds(nowSeconds)
      : state.latency.read(nowSeconds),
    silenceSeconds: state.silenceSeconds(nowSeconds),
    decodeFactor,
    slowStart: state.slowStart(nowSeconds),
    inFlight: state.inFlight,
    breaker: breaker.phase(nowSeconds),
    trips: breaker.tripsNow(nowSeconds),
    openSeconds: breaker.openSeconds(nowSeconds),
    cooldownSeconds: Math.max(0, state.cooldownUntilSeconds - nowSeconds),
  };
}
