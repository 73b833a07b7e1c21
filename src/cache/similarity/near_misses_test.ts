import assert from "node:assert/strict";
import { type NearMiss, NearMisses } from "./near_misses.ts";

function nearMiss(atMs: number, changes: Partial<NearMiss> = {}): NearMiss {
  return {
    atMs,
    route: "gpt",
    tenant: "acme",
    similarity: 0.85,
    layer: "semantic",
    verdict: "threshold",
    guard: null,
    entryId: atMs,
    asked: null,
    stored: null,
    ...changes,
  };
}

Deno.test("NearMisses lists the newest first and drops the oldest", () => {
  const log = new NearMisses(3);
  for (let atMs = 1; atMs <= 5; atMs++) log.record(nearMiss(atMs));
  assert.deepEqual(log.list().map((one) => one.atMs), [5, 4, 3]);
  assert.deepEqual(log.list({ limit: 1 }).map((one) => one.atMs), [5]);
  assert.deepEqual(log.list({ limit: -1 }), []);
});

Deno.test("NearMisses filters by route before it limits", () => {
  const log = new NearMisses();
  log.record(nearMiss(1, { route: "other" }));
  log.record(nearMiss(2));
  log.record(nearMiss(3));
  assert.deepEqual(log.list({ route: "other", limit: 1 }).map((one) => one.atMs), [1]);
});

Deno.test("NearMisses holds a thousand", () => {
  const log = new NearMisses();
  for (let atMs = 1; atMs <= 1_500; atMs++) log.record(nearMiss(atMs));
  assert.equal(log.list().length, 1_000);
  assert.equal(log.list().at(-1)?.atMs, 501);
});

Deno.test("NearMisses says what another threshold would have done", () => {
  const log = new NearMisses();
  log.record(nearMiss(1, { similarity: 0.8 }));
  log.record(nearMiss(2, { similarity: 0.85 }));
  log.record(nearMiss(3, { similarity: 0.95, verdict: "guard", guard: "number" }));
  log.record(nearMiss(4, { similarity: 0.85, route: "other" }));
  assert.deepEqual(log.whatIf(0.85), { logged: 4, served: 2, guardRefused: 1 });
  assert.deepEqual(log.whatIf(0.85, "gpt"), { logged: 3, served: 1, guardRefused: 1 });
  assert.deepEqual(log.whatIf(0.99), { logged: 4, served: 0, guardRefused: 0 });
});

Deno.test("NearMisses refuses a capacity that is none", () => {
  assert.throws(() => new NearMisses(0), RangeError);
});
