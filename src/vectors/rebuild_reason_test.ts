import assert from "node:assert/strict";
import type { Counts } from "./messages.ts";
import { rebuildReason } from "./rebuild_reason.ts";
import { VECTOR_DEFAULTS } from "./types.ts";

const FRESH: Counts = {
  live: 5_000,
  rows: 5_000,
  scopes: 1,
  graphs: 1,
  graphLive: 5_000,
  graphTombstones: 0,
  capacity: 8_192,
  capacityFresh: 8_192,
  backlog: 0,
  changes: 10_000,
  recall: 1,
  bytes: 0,
};

function reason(counts: Partial<Counts>): string | null {
  return rebuildReason({ ...FRESH, ...counts }, VECTOR_DEFAULTS.rebuild);
}

Deno.test("rebuildReason() leaves a good index alone", () => {
  assert.equal(reason({}), null);
  assert.equal(reason({ recall: null }), null);
  // A turnover that is under way: the backlog takes the places of the removed.
  const turnover = { graphLive: 2_000, graphTombstones: 3_000, backlog: 3_000 };
  assert.equal(reason({ ...turnover, capacity: 8_192 }), null);
  assert.equal(reason({ rows: 6_000, graphTombstones: 1_000 }), null);
});

Deno.test("rebuildReason() names what is wrong", () => {
  assert.equal(reason({ capacity: 16_384 }), "capacity");
  assert.equal(reason({ rows: 7_200 }), "tombstones");
  assert.equal(reason({ graphTombstones: 2_200 }), "tombstones");
  assert.equal(reason({ recall: 0.97 }), "recall");
});

Deno.test("rebuildReason() asks for nothing that building again would not change", () => {
  // Just above a power of two any graph is nearly twice as large as it need be.
  const tight = { live: 4_090, rows: 4_097, graphLive: 4_090, graphTombstones: 7 };
  assert.equal(reason({ ...tight, capacity: 8_192, capacityFresh: 8_192 }), null);
  // Poor when it was fresh: it would be poor again.
  assert.equal(reason({ recall: 0.9, changes: 2_000 }), null);
  assert.equal(reason({ capacity: 16_384, changes: 100 }), null);
  // Too small to matter.
  const tiny = { live: 10, rows: 900, graphLive: 10, graphTombstones: 890 };
  assert.equal(reason({ ...tiny, capacity: 1_000, capacityFresh: 16 }), null);
});
