import assert from "node:assert/strict";
import { CacheWorld } from "./cache_never_world.ts";
import { seeds } from "./harness.ts";

const SEEDS = 10;
const OPERATIONS = 10_000;
/** How often each thing has to happen for the whole to mean something. */
const ENOUGH: readonly (readonly [name: string, least: number])[] = [
  ...[["exact", 1_000], ["canonical", 500], ["static", 100], ["verified", 30]] as const,
  ...[["stale", 200], ["flight", 300], ["miss", 5_000], ["bypass", 500]] as const,
  ...[["ended left", 1_000], ["ended abnormal", 100], ["stored", 2_000]] as const,
  ...[["invalidated", 100], ["no_store", 100], ["spliced", 50], ["fallback", 50]] as const,
  ...[["error", 30], ["incomplete", 50], ["truncated", 50], ["filtered", 50]] as const,
  ...[["tool_call", 50], ["choices", 30], ["media", 50], ["empty", 50]] as const,
  ...[["unreadable", 50], ["too_large", 20]] as const,
];
/** Operations after which everything comes to rest. */
const STRETCH = 250;

async function play(seed: number): Promise<CacheWorld> {
  const world = new CacheWorld(seed);
  for (let operation = 1; operation <= OPERATIONS; operation++) {
    try {
      await world.step();
      if (operation % STRETCH === 0) await world.rest();
    } catch (cause) {
      throw new Error(`Seed ${seed} fails at operation ${operation}: replay it with SEED=${seed}`, {
        cause,
      });
    }
  }
  assert.equal(await world.counted("weir_cache_requests_total"), world.answers);
  return world;
}

Deno.test("CachedRelay never answers wrongly in 100,000 random operations", async () => {
  const seen = new Map<string, number>();
  const played = seeds(SEEDS);
  for (const seed of played) {
    const { oracle, stored } = await play(seed);
    for (const [name, count] of [...oracle.tally, ...stored]) {
      seen.set(name, (seen.get(name) ?? 0) + count);
    }
  }
  if (played.length < SEEDS) return;
  // Otherwise the operations would not show what they are meant to.
  for (const [name, least] of ENOUGH) {
    const count = seen.get(name) ?? 0;
    assert.ok(count >= least, `${name}: ${count} times`);
  }
});
