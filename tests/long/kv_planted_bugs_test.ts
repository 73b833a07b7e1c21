/**
 * Bugs put in on purpose must be found by the simulation of a node, each within
 * as many schedules as one run has.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { KvPlant } from "../sim/kv_life.ts";
import { KV_PLANTS } from "../sim/kv_plants.ts";
import { KvWorld } from "../sim/kv_world.ts";

const SCHEDULES = 2_000;

for (const plant of KV_PLANTS) {
  Deno.test(`the simulation finds that ${plant.name}`, async () => {
    for (let seed = 1; seed <= SCHEDULES; seed++) {
      // A schedule that fails without the bug as well has found something else.
      if (await isFailing(seed, plant) && !await isFailing(seed, null)) return;
    }
    assert.fail(`not found in ${SCHEDULES} schedules`);
  });
}

async function isFailing(seed: number, plant: KvPlant | null): Promise<boolean> {
  try {
    await new KvWorld(seed, plant).run();
    return false;
  } catch {
    return true;
  }
}
