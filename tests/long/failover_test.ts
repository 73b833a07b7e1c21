/**
 * FailoverBench's scenarios in their full timing: first token after 20 s,
 * silence of 120 s, stall of 30 s, outage of 60 s.
 */
import assert from "node:assert/strict";
import { callChat, type CallResult } from "../support/failover_caller.ts";
import {
  failoverConfig,
  FLAPPING,
  play,
  rescued,
  SCENARIOS,
} from "../support/failover_scenarios.ts";
import { serveGateway } from "../support/gateway_fixture.ts";
import { INSTANT_PROFILE } from "../../src/simulate/profiles.ts";
import { spawnSimulator } from "../support/simulator_process.ts";

const TIMING = { firstTokenSeconds: 10, idleSeconds: 30 };

Deno.test("failover, full timing: every single-call scenario ends in the best verdict", async (t) => {
  await using wall = await spawnSimulator({
    profile: INSTANT_PROFILE,
    failoverTiming: "full",
  });
  await using gateway = serveGateway(failoverConfig(wall.url, TIMING));
  const views = await Promise.all(
    SCENARIOS.map((scenario) => play(scenario, `${gateway.url}/v1`, () => wall.log())),
  );
  for (const [index, scenario] of SCENARIOS.entries()) {
    await t.step(`${scenario.id} ${scenario.title}`, () => {
      const view = views[index];
      assert.ok(view);
      scenario.check(view);
      const { elapsedSeconds } = view.result;
      const withinSeconds = scenario.withinSeconds ?? scenario.maxSeconds;
      assert.ok(elapsedSeconds <= withinSeconds, `took ${elapsedSeconds} s`);
    });
  }
});

Deno.test("failover, full timing: S15 serves through the outage and returns within 30 s", async () => {
  const outageSeconds = 60;
  await using wall = await spawnSimulator({
    profile: INSTANT_PROFILE,
    failoverTiming: "full",
  });
  await using gateway = serveGateway(failoverConfig(wall.url, TIMING));
  await wall.reset();
  const resetMs = performance.now();
  const calls: {
    readonly sentSeconds: number;
    readonly result: Promise<CallResult>;
  }[] = [];
  for (let call = 0; call < 23; call++) {
    // The catalogue's rhythm: one call every 4 s. It is the load, not a wait for something.
    const dueMs = resetMs + call * 4_000 - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs)));
    const result = callChat({
      baseUrl: `${gateway.url}/v1`,
      model: FLAPPING,
      requestId: `flap-${call}`,
      stream: true,
      maxSeconds: 30,
    });
    calls.push({ sentSeconds: (performance.now() - resetMs) / 1_000, result });
  }
  let returnedSeconds = Infinity;
  for (const { sentSeconds, result } of calls) {
    const done = await result;
    rescued({ result: done, primary: [], fallback: [] });
    if (done.model === FLAPPING) {
      returnedSeconds = Math.min(returnedSeconds, sentSeconds);
    }
  }
  assert.ok(
    returnedSeconds <= outageSeconds + 30,
    `the primary served again at ${returnedSeconds} s`,
  );
  const during = (await wall.log())
    .filter((entry) => entry.model === FLAPPING && entry.sinceResetSeconds < outageSeconds);
  assert.ok(
    during.length <= 15,
    `${during.length} attempts on a dead primary for 15 calls`,
  );
});
