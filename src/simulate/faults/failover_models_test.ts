import assert from "node:assert/strict";
import {
  FAILOVER_ANSWER,
  FAILOVER_MODELS,
  FAILOVER_TIMINGS,
  failoverFaults,
  isFailoverModel,
} from "./failover_models.ts";

Deno.test("FAILOVER_ANSWER has exactly sixty words", () => {
  assert.equal(FAILOVER_ANSWER.split(" ").length, 60);
  assert.equal(FAILOVER_ANSWER.match(/\S+/g)?.length, 60);
});

Deno.test("failoverFaults() knows every listed model, with prefix and in any case", () => {
  const { full } = FAILOVER_TIMINGS;
  for (const model of FAILOVER_MODELS) {
    const faults = failoverFaults(model, full);
    assert.notEqual(faults, null, model);
    assert.deepEqual(failoverFaults(`openai/${model.toUpperCase()}`, full), faults);
    assert.equal(Object.keys(faults ?? {}).length === 0, model === "fb-ok", model);
  }
  assert.equal(failoverFaults("fb-s17-new", full), null);
  assert.equal(failoverFaults("fb-s01x", full), null);
  assert.equal(isFailoverModel("gpt-fb-ok"), false);
});

Deno.test("failoverFaults() takes times and counts from the timing", () => {
  const { full, fast } = FAILOVER_TIMINGS;
  const both = (model: string) => [failoverFaults(model, full), failoverFaults(model, fast)];
  const s01 = { status: 429, retryAfterSeconds: 2, times: 1 };
  assert.deepEqual(both("fb-s01-a"), [s01, s01]);
  assert.deepEqual(both("fb-s06-a"), [{ silenceSeconds: 120 }, { silenceSeconds: 15 }]);
  assert.deepEqual(both("fb-s07-a"), [{ slowSeconds: 20 }, { slowSeconds: 3 }]);
  assert.deepEqual(both("fb-s08-a"), [{ cutTokens: 40 }, { cutTokens: 40 }]);
  assert.deepEqual(both("fb-s09-a"), [
    { stallTokens: 20, stallSeconds: 30 },
    { stallTokens: 20, stallSeconds: 4 },
  ]);
  assert.deepEqual(both("fb-s15-a"), [{ flapDownSeconds: 60 }, { flapDownSeconds: 6 }]);
});
