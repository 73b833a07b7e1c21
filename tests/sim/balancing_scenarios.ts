/**
 * The scenarios of the balancing simulation (3.9).
 *
 * @module
 */
import { CALM, type Fault } from "./balancing_model.ts";
import { calm, type Scenario } from "./balancing_run.ts";

/** When a fault begins. */
export const FAULT_SECONDS = 60;
/** When it is over. */
export const HEALED_SECONDS = 120;

/** Four backends of 32 slots, 12 requests a second, nothing wrong. */
export const BASE: Scenario = {
  name: "no fault",
  speeds: [1, 1, 1, 1],
  slots: 32,
  rate: 12,
  gateways: 1,
  endSeconds: 180,
  faultAt: calm,
};

/** A fault of the first backend from 60 to 120 s. */
export function singleFault(
  name: string,
  fault: Fault | ((nowSeconds: number) => Fault),
): Scenario {
  return {
    ...BASE,
    name,
    faultAt: (place, nowSeconds) => {
      if (place !== 0 || nowSeconds < FAULT_SECONDS || nowSeconds >= HEALED_SECONDS) return CALM;
      return typeof fault === "function" ? fault(nowSeconds) : fault;
    },
  };
}

/** Fails within 5 ms. */
const FAST_FAILURE: Fault = { errors: 1, errorSeconds: 0.005 };

/** First tokens take ten times longer. */
export const SLOW: Scenario = singleFault("10x slow", { slowness: 10 });
/** Every second request fails after 50 ms. */
export const HALF: Scenario = singleFault("50 % 5xx", { errors: 0.5 });
/** Nothing comes back. */
export const HOLE: Scenario = singleFault("black hole", { hole: true });
/** Fails at once. */
export const FAST: Scenario = singleFault("fast 5xx", FAST_FAILURE);
/** Fails at once for 5 s, works for 5 s. */
export const FLAPPING: Scenario = singleFault(
  "flapping",
  (nowSeconds) => Math.floor((nowSeconds - FAULT_SECONDS) / 5) % 2 === 0 ? FAST_FAILURE : CALM,
);
/** Starts well, then crawls. */
export const CRAWL: Scenario = singleFault("crawl: 10x slow tokens", { crawl: 10 });
/** Cuts every second stream. */
export const CUTS: Scenario = singleFault("50 % cut streams", { cuts: 0.5 });
/** Answers 429 with Retry-After beyond three at once. */
export const LIMITED: Scenario = singleFault("429 beyond 3 at once", { limit: 3 });

/** All backends fail for 10 s. */
export const OUTAGE: Scenario = {
  ...BASE,
  name: "all fail for 10 s",
  faultAt: (_, nowSeconds) =>
    nowSeconds >= FAULT_SECONDS && nowSeconds < FAULT_SECONDS + 10 ? FAST_FAILURE : CALM,
};
/** One in a hundred fails, everywhere. */
export const BACKGROUND: Scenario = {
  ...BASE,
  name: "1 % 5xx everywhere",
  faultAt: () => ({ errors: 0.01 }),
};
/** Backends of different speed. */
export const SPEEDS: Scenario = {
  ...BASE,
  name: "speeds 1/4 : 1 : 2 : 4",
  speeds: [0.25, 1, 2, 4],
};
/** One first token in fifty takes ten times longer, everywhere. */
export const STRAGGLERS: Scenario = {
  ...BASE,
  name: "2 % stragglers",
  faultAt: () => ({ stragglers: 0.02 }),
};
/** Weights 1 : 1 : 2 : 4. */
export const WEIGHTS: Scenario = {
  ...BASE,
  name: "weights 1 : 1 : 2 : 4",
  target: (place) => ({ weight: [1, 1, 2, 4][place] ?? 1 }),
};
/** Two tiers of two; the whole first tier fails from 60 to 120 s. */
export const TIERS: Scenario = {
  ...BASE,
  name: "first tier of two fails",
  target: (place) => ({ tier: place < 2 ? 0 : 1 }),
  faultAt: (place, nowSeconds) =>
    place < 2 && nowSeconds >= FAULT_SECONDS && nowSeconds < HEALED_SECONDS ? FAST_FAILURE : CALM,
};

/** A scenario over several gateways that share 48 requests a second and 4 x 128 slots. */
export function shared(scenario: Scenario, gateways: number): Scenario {
  return {
    ...scenario,
    name: `${scenario.name}, ${gateways} gateways`,
    slots: 128,
    rate: 48,
    gateways,
  };
}

/** A scenario whose requests belong to 200 sessions. */
export function withSessions(scenario: Scenario): Scenario {
  return {
    ...scenario,
    name: `${scenario.name}, sessions`,
    demand: (request) => ({ affinityKey: request.session }),
  };
}

/** A scenario in which every second request belongs to one session, the others to none. */
export function hot(scenario: Scenario): Scenario {
  return {
    ...scenario,
    name: `${scenario.name}, one hot session`,
    demand: (request) => ({
      affinityKey: Number(request.session.slice("session-".length)) % 2 === 0 ? "hot" : null,
    }),
  };
}

/** A scenario whose broken streams may be carried on elsewhere. */
export function withContinuation(scenario: Scenario): Scenario {
  return {
    ...scenario,
    name: `${scenario.name}, continued`,
    demand: () => ({ continuable: true }),
  };
}
