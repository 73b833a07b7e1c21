/**
 * Finds a stored answer to a question that means the same.
 *
 * The index proposes; the id → entry map decides what is alive. In this order:
 * alive and in the same scope, guards, similarity. The first that passes serves.
 * Those that were considered and not served are the neighbours with which the
 * fresh answer is compared, so that similarity is learnt from.
 *
 * @module
 */
import { compareFeatures, type GuardFeatures, guardFeatures } from "../cache/guards/guard.ts";
import { isLearnable } from "../cache/similarity/decision.ts";
import type { CacheEntry, CacheRequest, CacheRules } from "../cache/types.ts";
import { EmbedError, type VectorMatch } from "../ports.ts";
import type { Found } from "./found.ts";
import type { CachedRoute, ServingParts, SimilarityParts } from "./parts.ts";

/** A stored question near the one asked. */
export interface Neighbour {
  /** Its entry. */
  readonly entry: CacheEntry;
  /** Cosine. */
  readonly similarity: number;
  /** The guard that had refused the pair, one that can be learnt; `null` for none. */
  readonly guard: string | null;
}

/** What a search brought. */
export interface Sought {
  /** What may be served. */
  readonly found: Found | null;
  /** What the fresh answer is to be compared with. */
  readonly neighbours: readonly Neighbour[];
  /** The question's vector, where it was made on this side. */
  readonly vector: Float32Array | null;
}

/** One question. */
export interface Question {
  /** What may be found. */
  readonly request: CacheRequest & { readonly turn: string };
  /** The model asked for. */
  readonly route: CachedRoute;
  /** The client's own threshold, if it raises the configured one. */
  readonly threshold: number | null;
  /** When it arrived, on the clock. */
  readonly startedMs: number;
}

/** Below this nothing is learnt from a neighbour: the two have too little in common. */
const NEIGHBOUR_SIMILARITY_MIN = 0.6;

/** Entries whose features are kept: reading them costs ten times what comparing does. */
const FEATURES_MAX = 1_024;

/** Nothing was found, or looked for. */
export const NOTHING: Sought = { found: null, neighbours: [], vector: null };

/** Finds similar questions. */
export class Seeker {
  readonly #parts: ServingParts;
  readonly #similarity: SimilarityParts;
  readonly #features = new Map<number, GuardFeatures>();

  /** Takes its parts. */
  constructor(parts: ServingParts, similarity: SimilarityParts) {
    this.#parts = parts;
    this.#similarity = similarity;
  }

  /** Searches; whatever goes wrong is a miss, and counted. */
  async seek(question: Question): Promise<Sought> {
    const { index, embedder, deadlineMs } = this.#similarity;
    const { request, route, startedMs } = question;
    const untilMs = startedMs + deadlineMs;
    let vector: Float32Array | null = null;
    let matches: readonly VectorMatch[];
    try {
      if (embedder === null) {
        matches = await index.search(request.scope, { text: request.turn }, untilMs);
      } else {
        vector = (await embedder.embed([request.turn], untilMs))[0] ?? null;
        if (vector === null) return NOTHING;
        matches = await index.search(request.scope, { vector }, untilMs);
      }
    } catch (error) {
      if (!(error instanceof EmbedError)) throw error;
      const outcome = error.kind === "late" || error.kind === "full" ? error.kind : "failed";
      this.#parts.cacheMetrics.lookedUp(route.name, "semantic", outcome);
      return { found: null, neighbours: [], vector };
    }
    return { ...this.#choose(question, matches), vector };
  }

  #choose(question: Question, matches: readonly VectorMatch[]): Omit<Sought, "vector"> {
    const { candidates, refused } = this.#candidates(question, matches);
    let verdict = refused;
    for (const candidate of candidates) {
      const outcome = this.#decide(question, candidate);
      if (outcome === "hit") return { found: this.#hit(question, candidate), neighbours: [] };
      if (verdict === null || candidate.guard === null) verdict = { ...candidate, outcome };
    }
    this.#count(question, verdict);
    const near = candidates.filter(({ similarity }) => similarity >= NEIGHBOUR_SIMILARITY_MIN);
    return { found: null, neighbours: near };
  }

  /**
   * The nearest that passes all guards, and the nearest that only a guard keeps back
   * which may be learnt to be wrong; and the nearest that is refused for good.
   */
  #candidates(question: Question, matches: readonly VectorMatch[]): {
    readonly candidates: readonly Neighbour[];
    readonly refused: Verdict | null;
  } {
    const { store, clock } = this.#parts;
    const { guardLevel } = this.#similarity;
    const { request, route } = question;
    const leastUseful = leastUsefulSimilarity(route.rules);
    const wallMs = clock.wallMs();
    let asked: GuardFeatures | null = null;
    let passed: Neighbour | null = null;
    let learnable: Neighbour | null = null;
    let refused: Verdict | null = null;
    for (const { id, similarity } of matches) {
      const isUseful = similarity >= leastUseful;
      // Of those too far away for anything, the nearest is shown to operators.
      if (!isUseful && (learnable ?? refused) !== null) break;
      const entry = store.alive(id, request.scope, wallMs);
      if (entry === null || entry.turn === null) continue;
      if (!isUseful && similarity < NEIGHBOUR_SIMILARITY_MIN) {
        refused ??= { entry, similarity, guard: null, outcome: "threshold" };
        break;
      }
      asked ??= guardFeatures(request.turn);
      const guard = compareFeatures(asked, this.#featuresOf(entry.id, entry.turn), guardLevel);
      if (guard === null) {
        passed = { entry, similarity, guard };
        break;
      }
      if (isLearnable(route.rules.semantic, guard)) learnable ??= { entry, similarity, guard };
      else refused ??= { entry, similarity, guard, outcome: "guard" };
    }
    return { candidates: [passed, learnable].filter((one) => one !== null), refused };
  }

  /** What the guards look at, kept for the entries that were looked at last. */
  #featuresOf(id: number, turn: string): GuardFeatures {
    const known = this.#features.get(id);
    if (known !== undefined) return known;
    const features = guardFeatures(turn);
    if (this.#features.size >= FEATURES_MAX) this.#features.clear();
    this.#features.set(id, features);
    return features;
  }

  #hit({ route }: Question, { entry, similarity, guard }: Neighbour): Found {
    const { store, cacheMetrics } = this.#parts;
    store.use(entry.id);
    cacheMetrics.lookedUp(route.name, "semantic", "hit");
    cacheMetrics.similarity("served", similarity);
    return { entry, layer: "semantic", similarity, guard, stale: false };
  }

  #decide(
    { request, route, threshold }: Question,
    { entry, similarity, guard }: Neighbour,
  ): "hit" | VerdictOutcome {
    const { rules } = route;
    if (threshold !== null && similarity < threshold) return "threshold";
    const { serve, reason } = this.#parts.policy.decide({
      mode: rules.semantic,
      tenant: request.tenant,
      route: request.route,
      embedder: this.#similarity.embedderId,
      entryId: entry.id,
      similarity,
      threshold: rules.semantic === "verified" ? threshold : rules.threshold,
      errorBound: rules.errorBound,
      guard,
    });
    if (serve) return "hit";
    if (reason === "observe" || reason === "unverified" || reason === "guard") return reason;
    return "threshold";
  }

  /** Every lookup that served nothing is counted once; the near ones are remembered. */
  #count({ request, route }: Question, verdict: Verdict | null): void {
    const { cacheMetrics, nearMisses, clock } = this.#parts;
    if (verdict === null) return cacheMetrics.lookedUp(route.name, "semantic", "miss");
    const { entry, similarity, outcome, guard } = verdict;
    const isNear = similarity >= NEIGHBOUR_SIMILARITY_MIN;
    cacheMetrics.lookedUp(route.name, "semantic", isNear ? outcome : "miss");
    cacheMetrics.similarity("refused", similarity);
    if (!isNear) return;
    const { logTexts } = this.#similarity;
    nearMisses.record({
      atMs: clock.wallMs(),
      route: route.name,
      tenant: request.tenant,
      similarity,
      layer: "semantic",
      verdict: outcome,
      guard,
      entryId: entry.id,
      asked: logTexts ? request.turn : null,
      stored: logTexts ? entry.turn : null,
    });
  }
}

/** The similarity below which a candidate can neither be served nor be learnt from. */
function leastUsefulSimilarity({ semantic, threshold }: CacheRules): number {
  return semantic === "static" ? threshold ?? Infinity : NEIGHBOUR_SIMILARITY_MIN;
}

type VerdictOutcome = "guard" | "threshold" | "unverified" | "observe";

interface Verdict extends Neighbour {
  readonly outcome: VerdictOutcome;
}
