/**
 * A node under mixed load of real clients for three minutes: what it costs is level,
 * watches live, nothing that was acknowledged is lost, then or after a stop or a kill.
 *
 * `SEED=n` chooses the same actions again; `deno task soak` runs it for longer.
 */
import assert from "node:assert/strict";
import { soak } from "../support/kv_soak_run.ts";
import { chosenSeed } from "../support/random.ts";

const MINUTES = 3;

Deno.test(`a node under mixed load for ${MINUTES} minutes stays level and loses nothing`, async () => {
  const seed = chosenSeed();
  const lines: string[] = [];
  const complaints = await soak({ seed, minutes: MINUTES, print: (line) => lines.push(line) });
  assert.deepEqual(complaints, [], lines.join("\n"));
});
