/**
 * A client that leaves is no longer paid for: `tests/long/client_aborts_test.ts`
 * has 1,000 of them, with the time it takes.
 */
import assert from "node:assert/strict";
import { runAborts, STAGES } from "../support/client_aborts.ts";

Deno.test("a client that leaves takes its upstream request with it, at every stage", async () => {
  const aborts = await runAborts(40);
  for (const stage of STAGES) {
    assert.equal(
      aborts.filter((abort) => abort.stage === stage).length,
      10,
      stage,
    );
  }
});
