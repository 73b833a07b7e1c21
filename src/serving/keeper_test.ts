import assert from "node:assert/strict";
import { equalJudge } from "../cache/similarity/judge.ts";
import { SimilarityPolicy } from "../cache/similarity/decision.ts";
import { entryOf } from "../cache/store/store_fixture.ts";
import { CacheStore } from "../cache/store/store.ts";
import type { VectorIndex } from "../ports.ts";
import { Keeper } from "./keeper.ts";
import type { ServingParts } from "./parts.ts";

/** The ids of an index, at once. */
class Ids {
  readonly live = new Set<number>();

  add(_scope: string, id: number): void {
    this.live.add(id);
  }

  remove(_scope: string, id: number): void {
    this.live.delete(id);
  }
}

function keeperOver(ids: Ids): Keeper {
  const store = new CacheStore({ bytesMax: 1_000, tenantShare: 1, entryBytesMax: 1_000 });
  const similarity: ServingParts["similarity"] = {
    index: ids as unknown as VectorIndex,
    embedder: null,
    embedderId: "test",
    deadlineMs: 10,
    guardLevel: "words",
    judge: equalJudge,
    logTexts: false,
  };
  const parts: Partial<ServingParts> = {
    store,
    similarity,
    policy: new SimilarityPolicy(),
    clock: { nowMs: () => 0, wallMs: () => 0, after: () => ({ [Symbol.dispose]() {} }) },
    cacheMetrics: { left() {} } as unknown as ServingParts["cacheMetrics"],
    shared: null,
  };
  return new Keeper(parts as ServingParts);
}

Deno.test("Keeper.adopt keeps the vector of an entry that a request had read before the load", () => {
  const ids = new Ids();
  ids.live.add(7); // The index took it from its directory.
  const keeper = keeperOver(ids);
  const entry = entryOf(7, { turn: "what is a weir" });
  assert.ok(keeper.adopt(entry, null, false), "read for a request");
  assert.ok(keeper.adopt({ ...entry }, null, true), "came with the load");
  assert.deepEqual([...ids.live], [7]);
});

Deno.test("Keeper.adopt takes out the vector of an older answer to the same request", () => {
  const ids = new Ids();
  const keeper = keeperOver(ids);
  const exactKey = "the same";
  keeper.adopt(entryOf(1, { exactKey, turn: "what is a weir" }), null, false);
  keeper.adopt(entryOf(2, { exactKey, turn: "what is a weir" }), null, false);
  assert.deepEqual([...ids.live], [2]);
});
