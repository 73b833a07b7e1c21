/**
 * No silent truncation, in small: `tests/long/cut_streams_test.ts` has 10,000 streams.
 */
import assert from "node:assert/strict";
import { runCutStreams } from "../support/cut_streams.ts";

Deno.test("streams cut at random bytes end complete or as an error", async () => {
  const tally = await runCutStreams({
    streams: 300,
    concurrency: 32,
    seed: 1,
    continuation: false,
  });
  assert.equal(tally.complete + tally.failed, 300);
  assert.ok(tally.failed > 100 && tally.complete > 5, JSON.stringify(tally));
});

Deno.test("streams cut at random bytes end complete where they can be carried on", async () => {
  const tally = await runCutStreams({
    streams: 300,
    concurrency: 32,
    seed: 2,
    continuation: true,
  });
  assert.equal(tally.complete, 300, JSON.stringify(tally));
  assert.ok(tally.continued > 100, JSON.stringify(tally));
});
