/**
 * May the nearest stored answer be served?
 *
 * `observe` never does, `static` from a fixed similarity, `verified` where what has
 * been observed shows that the error stays within a bound δ that the operator sets
 * (the question that vCache puts, arXiv 2502.03771; the method here is the one of
 * `error_record.ts` and `entry_record.ts`).
 *
 * What `verified` promises: with a judge that is right, and traffic like that seen,
 * the share of wrong answers among those served by similarity stays within δ on
 * average. It does not promise that any one answer is right, nor a share for a
 * handful of hits: one error in the first ten is 10 %.
 *
 * @module
 */
import type { Random } from "../../ports.ts";
import type { SemanticMode } from "../types.ts";
import { EntryRecord } from "./entry_record.ts";
import { ErrorRecord, OBSERVED_FROM } from "./error_record.ts";
import { type PolicySnapshot, readSnapshot, SNAPSHOT_VERSION } from "./policy_snapshot.ts";

/** Share of hits whose answer is compared with a fresh one in the background. */
export const SHADOW_SHARE = 0.05;

/** The guard whose refusals `verified` may learn to pass over. */
export const LEARNABLE_GUARD = "words";

const POOLS_MAX = 1_024;
const ENTRIES_MAX = 20_000;

/** Which record an observation belongs to. */
export interface PoolName {
  /** Who asks. */
  readonly tenant: string;
  /** The model alias asked for. */
  readonly route: string;
  /** Identity of the embedder. */
  readonly embedder: string;
}

/** A stored answer that might be served. */
export interface Candidate extends PoolName {
  /** How the route decides. */
  readonly mode: SemanticMode;
  /** Id of the entry. */
  readonly entryId: number;
  /** Cosine of the two texts. */
  readonly similarity: number;
  /**
   * `static`: the similarity from which it serves; `null` where the embedder has no
   * default. `verified`: only what the client's header asks for at least, else `null`.
   */
  readonly threshold: number | null;
  /** δ: greatest share of wrong answers among those served by `verified`, in (0, 1). */
  readonly errorBound: number;
  /** The guard that refused the pair; `null` or absent if none did. */
  readonly guard?: string | null;
}

/** What comes of a candidate, and why. */
export interface Decision {
  /** Whether it is served. */
  readonly serve: boolean;
  /** `served`, or what stood against it. */
  readonly reason:
    | "served"
    | "observe"
    | "threshold"
    | "unverified"
    | "no_threshold"
    | "guard"
    | "off";
}

/** A verdict on one stored answer to one question. */
export interface Observation extends PoolName {
  /** Id of the entry. */
  readonly entryId: number;
  /** Cosine of the two texts. */
  readonly similarity: number;
  /** Whether the stored answer would do. */
  readonly right: boolean;
  /** The guard that had refused the pair; `null` or absent if none had. */
  readonly guard?: string | null;
}

/** How far one record has come. */
export interface Standing {
  /** Observations. */
  readonly observations: number;
  /** Wrong ones among them. */
  readonly wrong: number;
  /** The similarity from which it serves now; `null` while it does not. */
  readonly servesFrom: number | null;
  /** How many more observations, all right, would open it; 0 once it serves. */
  readonly cleanNeeded: number;
}

/** Whether candidates that this guard refused may be observed and decided on at all. */
export function isLearnable(mode: SemanticMode, guard: string | null): boolean {
  return guard === null || (mode !== "static" && mode !== "off" && guard === LEARNABLE_GUARD);
}

/** Whether a hit is to be checked in the background. */
export function shadowDue(random: Random): boolean {
  return random() < SHADOW_SHARE;
}

/** Decides for one gateway, and remembers what it has been told; bounded in size. */
export class SimilarityPolicy {
  /** By name and guard; the one observed longest ago goes first. */
  #pools = new Map<string, ErrorRecord>();
  #entries = new Map<number, EntryRecord>();

  /** Decides on a candidate; what `verified` lets pass is counted as served. */
  decide(candidate: Candidate): Decision {
    const { mode, similarity, threshold } = candidate;
    if (mode === "off") return refusal("off");
    if (!isLearnable(mode, candidate.guard ?? null)) return refusal("guard");
    if (mode === "observe") return refusal("observe");
    if (mode === "static") {
      if (threshold === null) return refusal("no_threshold");
      return similarity >= threshold ? SERVED : refusal("threshold");
    }
    if (threshold !== null && !(similarity >= threshold)) return refusal("threshold");
    return this.#serveVerified(candidate) ? SERVED : refusal("unverified");
  }

  /**
   * Learns from a verdict. Where the entry was lifted above this similarity it does
   * not count for the pool: that is about what would be served.
   */
  observe(observation: Observation): void {
    const { similarity, right, entryId, embedder } = observation;
    if (!Number.isFinite(similarity)) return;
    const entry = this.#entries.get(entryId);
    const known = entry?.embedder === embedder ? entry : null;
    if (known === null || similarity > known.liftedAbove) {
      this.#touchPool(observation).add(similarity, right);
    }
    if (similarity < OBSERVED_FROM && right) return;
    const record = known ?? new EntryRecord(embedder);
    record.add({ similarity, right });
    this.#entries.delete(entryId);
    this.#entries.set(entryId, record);
    dropOldest(this.#entries, ENTRIES_MAX);
  }

  /** An entry has left: what was known of it goes too, the pools keep their counts. */
  forget(entryId: number): void {
    this.#entries.delete(entryId);
  }

  /** How far a pool has come: for pairs that pass the guards, or that one guard refused. */
  standing(pool: PoolName, errorBound: number, guard: string | null = null): Standing {
    const record = this.#pools.get(keyOf(pool, guard)) ?? new ErrorRecord();
    return {
      observations: record.observations,
      wrong: record.wrong,
      servesFrom: record.servesFrom(errorBound),
      cleanNeeded: record.cleanNeeded(errorBound),
    };
  }

  /** The pools that have observations, the longest untouched first. */
  pools(): readonly (PoolName & { readonly guard: string | null })[] {
    return [...this.#pools.keys()].map(nameOf);
  }

  /** What was learnt, as plain JSON. */
  snapshot(): PolicySnapshot {
    return {
      version: SNAPSHOT_VERSION,
      pools: [...this.#pools].map(([key, record]) => ({ ...nameOf(key), ...record.counts() })),
      entries: [...this.#entries].map(([id, record]) => ({
        id,
        embedder: record.embedder,
        liftedAbove: record.liftedAbove,
        points: record.points.map(({ similarity, right }) => [similarity, right ? 1 : 0] as const),
      })),
    };
  }

  /**
   * Takes over what {@linkcode SimilarityPolicy.snapshot} gave, in place of what it
   * knows. Anything else leaves it empty.
   *
   * @returns Whether it could be read.
   */
  restore(json: unknown): boolean {
    this.#pools = new Map();
    this.#entries = new Map();
    const snapshot = readSnapshot(json);
    if (snapshot === null) return false;
    for (const pool of snapshot.pools.slice(-POOLS_MAX)) {
      this.#pools.set(keyOf(pool, pool.guard), new ErrorRecord(pool));
    }
    for (const { id, embedder, liftedAbove, points } of snapshot.entries.slice(-ENTRIES_MAX)) {
      const kept = points.map(([similarity, right]) => ({ similarity, right: right === 1 }));
      this.#entries.set(id, new EntryRecord(embedder, { liftedAbove, points: kept }));
    }
    return true;
  }

  #serveVerified(candidate: Candidate): boolean {
    const { similarity, errorBound, entryId, embedder } = candidate;
    const pool = this.#pools.get(keyOf(candidate, candidate.guard ?? null));
    if (pool === undefined || !pool.allows(similarity, errorBound)) return false;
    const entry = this.#entries.get(entryId);
    if (entry?.embedder === embedder && !entry.allows(similarity, errorBound)) return false;
    pool.addServed();
    return true;
  }

  #touchPool(observation: Observation): ErrorRecord {
    const key = keyOf(observation, observation.guard ?? null);
    const record = this.#pools.get(key) ?? new ErrorRecord();
    this.#pools.delete(key);
    this.#pools.set(key, record);
    dropOldest(this.#pools, POOLS_MAX);
    return record;
  }
}

const SERVED: Decision = { serve: true, reason: "served" };

function refusal(reason: Decision["reason"]): Decision {
  return { serve: false, reason };
}

function keyOf(pool: PoolName, guard: string | null): string {
  return JSON.stringify([pool.tenant, pool.route, pool.embedder, guard]);
}

function nameOf(key: string): PoolName & { readonly guard: string | null } {
  const [tenant, route, embedder, guard]: [string, string, string, string | null] = JSON.parse(key);
  return { tenant, route, embedder, guard };
}

function dropOldest<K, V>(map: Map<K, V>, sizeMax: number): void {
  for (const key of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(key);
  }
}
