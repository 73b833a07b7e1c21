/**
 * What the balancer is compared with: simple policies, and oracles, which cheat.
 *
 * The oracle knows the true state of every backend and takes the best; the
 * oracle of two knows as much and is held to two random choices.
 *
 * All of them retry at once on an untried target, at most three attempts, under
 * the same retry budget as the balancer.
 *
 * @module
 */
import { Breaker } from "../../src/balance/breaker.ts";
import { BALANCER_POLICY, POOL_POLICY } from "../../src/balance/policy.ts";
import { TokenBucket } from "../../src/balance/token_bucket.ts";
import type {
  Attempt,
  Demand,
  DispatchAction,
  DispatchEvent,
  TargetSpec,
} from "../../src/balance/types.ts";
import type { Random } from "../../src/ports.ts";
import { calmSeconds, type SimBackend } from "./balancing_model.ts";

/** The part of `Dispatch` that the driver uses. */
export interface Walk {
  start(nowSeconds: number): DispatchAction[];
  step(event: DispatchEvent, nowSeconds: number): DispatchAction[];
}

/** The part of `Pool` that the driver uses. */
export interface Router {
  dispatch(demand: Demand, nowSeconds: number): Walk;
}

/** Name of a baseline. */
export type Baseline =
  | "round robin"
  | "random"
  | "least request"
  | "least + breaker"
  | "oracle"
  | "oracle of two";

/** A baseline over these targets, in the order of the backends. */
export class BaselineRouter implements Router {
  /** Its name. */
  readonly kind: Baseline;
  /** Targets by place. */
  readonly targets: readonly TargetSpec[];
  /** Attempts in flight by place. */
  readonly inFlight: number[];
  /** Breakers by place; `null` where the policy has none. */
  readonly breakers: readonly Breaker[] | null;
  /** Bounds retries. */
  readonly retries: TokenBucket;
  readonly #backends: readonly SimBackend[];
  readonly #random: Random;
  #turn = 0;

  /** `backends` are looked into by the oracle only. */
  constructor(
    kind: Baseline,
    targets: readonly TargetSpec[],
    backends: readonly SimBackend[],
    random: Random,
  ) {
    this.kind = kind;
    this.targets = targets;
    this.inFlight = targets.map(() => 0);
    this.breakers = kind === "least + breaker"
      ? targets.map(() => new Breaker(BALANCER_POLICY, random))
      : null;
    const { retryBudgetMax, retryPerRequest, retryPerSecond } = POOL_POLICY;
    this.retries = new TokenBucket({
      max: retryBudgetMax,
      perRequest: retryPerRequest,
      perSecond: retryPerSecond,
    });
    this.#backends = backends;
    this.#random = random;
  }

  dispatch(demand: Demand, _nowSeconds: number): BaselineWalk {
    return new BaselineWalk(this, demand);
  }

  /** The place of the next target among those not tried; -1 if there is none. */
  pick(tried: ReadonlySet<number>, demand: Demand, nowSeconds: number): number {
    let places = this.targets.map((_, place) => place).filter((place) => !tried.has(place));
    const { breakers } = this;
    if (breakers !== null) {
      const probe = places.find((place) => breakers[place]?.probeFree(nowSeconds));
      if (probe !== undefined) return probe;
      places = places.filter((place) => breakers[place]?.phase(nowSeconds) === "closed");
    }
    if (places.length === 0) return -1;
    switch (this.kind) {
      case "round robin": {
        for (;;) {
          const place = this.#turn++ % this.targets.length;
          if (places.includes(place)) return place;
        }
      }
      case "random":
        return this.#least(places, () => 0);
      case "least request":
      case "least + breaker":
        return this.#least(places, (place) => this.inFlight[place] ?? 0);
      case "oracle":
        return this.#least(places, (place) => this.#trueSeconds(place, demand));
      case "oracle of two": {
        const first = this.#least(places, () => 0);
        const second = this.#least(places.filter((place) => place !== first), () => 0);
        const pair = [first, second].filter((place) => place >= 0);
        return this.#least(pair, (place) => this.#trueSeconds(place, demand));
      }
    }
  }

  /** The place with the least of something; any of several. */
  #least(places: readonly number[], of: (place: number) => number): number {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    let ties = 0;
    for (const place of places) {
      const value = of(place);
      ties = value === least ? ties + 1 : 1;
      if (value < least || (value === least && this.#random() * ties < 1)) best = place;
      least = Math.min(least, value);
    }
    return best;
  }

  #trueSeconds(place: number, demand: Demand): number {
    const backend = this.#backends[place];
    if (backend === undefined) return Number.POSITIVE_INFINITY;
    const { fault, load, speed } = backend;
    const full = fault.limit !== undefined && load * backend.slots >= fault.limit;
    const broken = full || fault.hole || (fault.errors ?? 0) > 0.05 || (fault.cuts ?? 0) > 0.05;
    const queue = Math.max(0, load - 1) * 10;
    return (broken ? 1e6 : 0) + queue + calmSeconds(demand.promptTokens) / speed *
        (fault.slowness ?? 1) * (1 + 0.5 * load);
  }
}

/** One request under a baseline. */
class BaselineWalk implements Walk {
  readonly #router: BaselineRouter;
  readonly #demand: Demand;
  readonly #tried = new Set<number>();
  #attempt: Attempt | null = null;
  #place = -1;
  #epoch = 0;
  #answered = false;

  constructor(router: BaselineRouter, demand: Demand) {
    this.#router = router;
    this.#demand = demand;
  }

  start(nowSeconds: number): DispatchAction[] {
    this.#router.retries.request(nowSeconds);
    return this.#send(nowSeconds) ?? [{
      type: "give_up",
      failure: null,
      code: "no_healthy_backend",
      retryAfterSeconds: 1,
    }];
  }

  step(event: DispatchEvent, nowSeconds: number): DispatchAction[] {
    const router = this.#router;
    const breaker = router.breakers?.[this.#place];
    switch (event.type) {
      case "first_token":
        this.#answered = true;
        breaker?.success(this.#epoch, nowSeconds);
        return [];
      case "finished":
        this.#leave();
        return [];
      case "failed": {
        this.#leave();
        if (event.failure.reason !== "rate_limited") {
          breaker?.failure(this.#epoch, nowSeconds, null);
        }
        const { attempt, failure } = event;
        const retried = !this.#answered && this.#tried.size < POOL_POLICY.attemptsMax &&
          router.retries.take(nowSeconds);
        return (retried ? this.#send(nowSeconds) : null) ??
          [{
            type: "give_up",
            failure: { attempt, failure },
            code: "failed",
            retryAfterSeconds: null,
          }];
      }
      default:
        return [];
    }
  }

  #send(nowSeconds: number): DispatchAction[] | null {
    const router = this.#router;
    const place = router.pick(this.#tried, this.#demand, nowSeconds);
    const target = router.targets[place];
    if (target === undefined) return null;
    this.#place = place;
    this.#tried.add(place);
    router.inFlight[place] = (router.inFlight[place] ?? 0) + 1;
    const breaker = router.breakers?.[place];
    this.#epoch = breaker?.epoch ?? 0;
    if (breaker?.phase(nowSeconds) === "half_open") breaker.takeProbe();
    const id = this.#tried.size;
    const kind = id === 1 ? "first" : "retry";
    this.#attempt = { id, target, kind, startedSeconds: nowSeconds };
    return [{ type: "send", attempt: this.#attempt }];
  }

  #leave(): void {
    const { inFlight } = this.#router;
    inFlight[this.#place] = (inFlight[this.#place] ?? 0) - 1;
  }
}
