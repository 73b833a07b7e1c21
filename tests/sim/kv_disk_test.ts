/**
 * A whole node over a simulated disk: 2,000 seeded schedules of commits, crashes
 * and faults. `SEED=n` replays one.
 *
 * @module
 */
import assert from "node:assert/strict";
import { seeds } from "./harness.ts";
import { type KvFigures, KvWorld } from "./kv_world.ts";

const SCHEDULES = 2_000;
/** Each thing that can happen does so this often at least, or the schedules prove little. */
const EACH_MIN = SCHEDULES / 20;

Deno.test("a node keeps what it acknowledged, through whatever happens to its disk", async () => {
  const total = new Map<string, number>();
  const run = seeds(SCHEDULES);
  for (const seed of run) {
    for (const [name, count] of Object.entries(await runSeed(seed))) {
      total.set(name, (total.get(name) ?? 0) + count);
    }
  }
  if (run.length < SCHEDULES) return;
  for (const [name, count] of total) {
    assert.ok(count >= EACH_MIN, `too few ${name}: ${count} in ${SCHEDULES} schedules`);
  }
});

Deno.test("a schedule follows from its seed alone", async () => {
  assert.deepEqual(await runSeed(5), await runSeed(5));
  assert.notDeepEqual(await runSeed(5), await runSeed(6));
});

async function runSeed(seed: number): Promise<KvFigures> {
  try {
    return await new KvWorld(seed, null).run();
  } catch (cause) {
    throw new Error(`Seed ${seed} fails: replay it with SEED=${seed}`, { cause });
  }
}
