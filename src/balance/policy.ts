/**
 * The balancer's constants, with their defaults.
 *
 * Most are not meant to be tuned: they were chosen together, by simulation
 * (`bench/routing_sim.ts`). What an operator decides is in {@linkcode PoolPolicy}.
 *
 * @module
 */

/**
 * Rules that can be taken out, to see what each is worth.
 *
 * For the simulation only: every rule here has a scenario that gets worse without it.
 */
export interface Ablation {
  /** No effect of attempts that wait with no first token. */
  readonly silence: boolean;
  /** Latencies are not divided by the prompt factor. */
  readonly normalisation: boolean;
  /** Failures leave the latency estimate alone. */
  readonly doubling: boolean;
  /** A hedge that is overtaken without progress is no failure. */
  readonly lostHedge: boolean;
  /** Half-open probes wait alone. */
  readonly rescue: boolean;
  /** Breakers never open. */
  readonly breaker: boolean;
}

/** How targets are measured and tripped; the same for all pools of a balancer. */
export interface BalancerPolicy {
  /** Time constant of the latency estimate. */
  readonly decaySeconds: number;
  /** Time constant of what is usual: baseline and time a token. */
  readonly meanDecaySeconds: number;
  /** Baseline while no target of the pool has one. */
  readonly unknownSeconds: number;
  /** Upper bound of a failure's latency sample. */
  readonly failureMaxSeconds: number;
  /** Time a target takes to its full weight after joining or recovering. */
  readonly slowStartSeconds: number;
  /** Failures in a row that open a breaker. */
  readonly failuresInRow: number;
  /** Share of failures in the window that opens a breaker. */
  readonly failureShare: number;
  /** Outcomes in the window below which the share says nothing. */
  readonly outcomesMin: number;
  /** Length of the window. */
  readonly windowSeconds: number;
  /** First open time, before jitter; doubles with each trip in a row. */
  readonly openBaseSeconds: number;
  /** Longest open time, before jitter. */
  readonly openMaxSeconds: number;
  /** Closed for this long, a breaker forgets its trips. */
  readonly tripsForgottenSeconds: number;
  /** Successful probes that close a breaker at most; `trips + 1` below. */
  readonly probesMax: number;
  /** A probe with no first token by then is sent elsewhere too. */
  readonly rescueMaxSeconds: number;
  /** A rescued probe has failed if it took this many times the baseline. */
  readonly probeLostFactor: number;
  /** Longest that a Retry-After keeps a target out, after a 429 or a 503. */
  readonly retryAfterMaxSeconds: number;
  /** Longest cooldown after a 429 without Retry-After, before jitter. */
  readonly cooldownMaxSeconds: number;
  /** How long a model that the backend does not know is left alone there. */
  readonly modelMissingSeconds: number;
  /** Share of a target's concurrency that may try it although its breaker is open. */
  readonly panicShare: number;
  /** Rules taken out; simulation only. */
  readonly ablation: Ablation;
}

/** What an operator decides for one pool. */
export interface PoolPolicy {
  /** Attempts for one request at most, the first one, hedges and rescues included. */
  readonly attemptsMax: number;
  /** Retries saved up at most. */
  readonly retryBudgetMax: number;
  /** Retries earned by a client request. */
  readonly retryPerRequest: number;
  /** Retries earned by a second. */
  readonly retryPerSecond: number;
  /** Longest Retry-After that a request waits for. */
  readonly retryAfterWaitMaxSeconds: number;
  /** Whether a request with no first token in usual time is sent a second time. */
  readonly hedging: boolean;
  /** What is usual: this share of first tokens. */
  readonly hedgePercentile: number;
  /** Earliest hedge. */
  readonly hedgeDelayMinSeconds: number;
  /** Latest hedge. */
  readonly hedgeDelayMaxSeconds: number;
  /** First tokens seen before the first hedge. */
  readonly hedgeSamplesMin: number;
  /** Hedges saved up at most. */
  readonly hedgeBudgetMax: number;
  /** Hedges earned by a client request. */
  readonly hedgePerRequest: number;
  /** Whether requests with the same key prefer the same target. */
  readonly affinity: boolean;
  /** Load that affinity may put on a target, as a multiple of its fair share. */
  readonly affinityLoadFactor: number;
  /** `proportional`: a tier that lost targets gives a part of its requests to the next. */
  readonly spill: "off" | "proportional";
}

/** Every rule in force. */
export const NO_ABLATION: Ablation = {
  silence: false,
  normalisation: false,
  doubling: false,
  lostHedge: false,
  rescue: false,
  breaker: false,
};

/** Defaults of {@linkcode BalancerPolicy}. */
export const BALANCER_POLICY: BalancerPolicy = {
  decaySeconds: 10,
  meanDecaySeconds: 30,
  unknownSeconds: 1,
  failureMaxSeconds: 60,
  slowStartSeconds: 10,
  failuresInRow: 5,
  failureShare: 0.5,
  outcomesMin: 10,
  windowSeconds: 30,
  openBaseSeconds: 2,
  openMaxSeconds: 15,
  tripsForgottenSeconds: 60,
  probesMax: 5,
  rescueMaxSeconds: 1,
  probeLostFactor: 3,
  retryAfterMaxSeconds: 60,
  cooldownMaxSeconds: 30,
  modelMissingSeconds: 60,
  panicShare: 0.1,
  ablation: NO_ABLATION,
};

/** Defaults of {@linkcode PoolPolicy}. */
export const POOL_POLICY: PoolPolicy = {
  attemptsMax: 3,
  retryBudgetMax: 10,
  retryPerRequest: 0.2,
  retryPerSecond: 1,
  retryAfterWaitMaxSeconds: 3,
  hedging: false,
  hedgePercentile: 0.95,
  hedgeDelayMinSeconds: 0.1,
  hedgeDelayMaxSeconds: 10,
  hedgeSamplesMin: 100,
  hedgeBudgetMax: 5,
  hedgePerRequest: 0.05,
  affinity: false,
  affinityLoadFactor: 1.25,
  spill: "off",
};
