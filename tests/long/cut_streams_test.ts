/**
 * No silent truncation: 10,000 streams with a cut, a stall or a reset at a random byte.
 */
import assert from "node:assert/strict";
import { runCutStreams } from "../support/cut_streams.ts";

Deno.test("10,000 cut streams: none ends as a clean short answer", async () => {
  const plan = {
    streams: 10_000,
    concurrency: 64,
    seed: 20_261_124,
    continuation: false,
  };
  const tally = await runCutStreams(plan);
  assert.equal(tally.complete + tally.failed, 10_000);
  assert.ok(tally.failed > 5_000, JSON.stringify(tally));
});

Deno.test("2,000 cut streams with verified continuation: every one is complete", async () => {
  const plan = {
    streams: 2_000,
    concurrency: 64,
    seed: 20_261_125,
    continuation: true,
  };
  const tally = await runCutStreams(plan);
  assert.equal(tally.complete, 2_000, JSON.stringify(tally));
  assert.ok(tally.continued > 1_000, JSON.stringify(tally));
});
