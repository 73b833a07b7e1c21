/**
 * A busy pool of 16 targets, for measuring what a pick costs.
 *
 * @module
 */
import { Balancer } from "../src/balance/balancer.ts";
import type { Pool } from "../src/balance/pool.ts";
import type { Demand, TargetSpec } from "../src/balance/types.ts";
import { demandOf } from "../tests/support/dispatch_script.ts";
import { randomFrom } from "../tests/sim/harness.ts";

/** A plain request for a stream. */
export const DEMAND: Demand = demandOf({ answerTokensMax: 500 });

/** A pool of `size` targets, each with latencies, decode times and eight attempts in flight. */
export function busyPool(size: number): Pool {
  const random = randomFrom(1);
  const balancer = new Balancer(random);
  const targets = Array.from({ length: size }, (_, place): TargetSpec => ({
    key: `target-${place}`,
    backend: `backend-${place}`,
    model: "chat",
    weight: 1 + place % 3,
    tier: 0,
    maxConcurrency: 64,
    hedge: true,
    capabilities: {
      contextTokens: 128_000,
      streaming: true,
      tools: true,
      vision: true,
      jsonSchema: true,
      prefill: true,
    },
  }));
  const pool = balancer.pool("chat", targets, { affinity: true }, 0);
  for (const { state } of pool.members) {
    for (let i = 0; i < 8; i++) {
      const flight = state.open(1, "normal", i / 10);
      if (i < 6) state.firstToken(flight, 0.5, i / 10 + 0.3);
      state.observe(0.2 + 0.3 * random(), i / 10 + 0.3);
      state.observeDecode(0.01 + 0.02 * random(), i / 10 + 0.3);
    }
  }
  return pool;
}

/** One request from start to end on that pool, answered at once. */
export function walk(pool: Pool, demand: Demand, nowSeconds: number): void {
  const dispatch = pool.dispatch(demand, nowSeconds);
  for (const action of dispatch.start(nowSeconds)) {
    if (action.type !== "send") continue;
    const { attempt } = action;
    dispatch.step({ type: "first_token", attempt }, nowSeconds + 0.3);
    dispatch.step({
      type: "finished",
      attempt,
      tokens: 100,
      decodeSeconds: 2,
      promptTokens: null,
    }, nowSeconds + 2.3);
  }
}
