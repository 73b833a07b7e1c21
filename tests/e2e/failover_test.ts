/**
 * FailoverBench's scenarios in shortened time; `tests/long/failover_test.ts` has
 * them in full. The backend is a process of its own.
 */
import assert from "node:assert/strict";
import { callChat } from "../support/failover_caller.ts";
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

const TIMING = { firstTokenSeconds: 2, idleSeconds: 2 };

Deno.test("failover: every single-call scenario ends in the best verdict", async (t) => {
  await using wall = await spawnSimulator({
    profile: INSTANT_PROFILE,
    failoverTiming: "fast",
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
    });
  }
  await t.step("afterwards a healthy call succeeds", async () => {
    const result = await callChat({
      baseUrl: `${gateway.url}/v1`,
      model: "fb-ok",
      requestId: "alive",
      stream: false,
      maxSeconds: 10,
    });
    assert.equal(result.outcome, "success");
  });
});

Deno.test("failover: S15 a flapping primary is left, probed, and serves again", async () => {
  await using wall = await spawnSimulator({
    profile: INSTANT_PROFILE,
    failoverTiming: "fast",
  });
  await using gateway = serveGateway(failoverConfig(wall.url, TIMING));
  await wall.reset();
  let primaryServed = false;
  for (let call = 0; call < 40 && !primaryServed; call++) {
    const result = await callChat({
      baseUrl: `${gateway.url}/v1`,
      model: FLAPPING,
      requestId: `flap-${call}`,
      stream: true,
      maxSeconds: 20,
    });
    rescued({ result, primary: [], fallback: [] });
    primaryServed = result.model === FLAPPING;
  }
  assert.ok(primaryServed, "the primary serves again");
});
