import assert from "node:assert/strict";
import {
  footprintBytes,
  hitRatio,
  LruCache,
  replayTrace,
  requestNanoseconds,
  StoreCache,
  type ZipfOptions,
  zipfTrace,
} from "./cache_eviction.ts";

const ZIPF: ZipfOptions = {
  keys: 10_000,
  requests: 100_000,
  exponent: 0.9,
  scanEvery: 0,
  scanLength: 0,
};
const WITH_SCANS: ZipfOptions = { ...ZIPF, scanEvery: 5000, scanLength: 2000 };

for (const share of [0.01, 0.1, 0.3]) {
  Deno.test(`CacheStore hits at least 10 % more often than LRU on scans, room for ${share}`, () => {
    const trace = zipfTrace(WITH_SCANS, 4);
    const room = Math.round(share * footprintBytes(zipfTrace(ZIPF, 4)));
    const lru = hitRatio(new LruCache(room), trace);
    const own = hitRatio(new StoreCache(room), trace);
    assert.ok(own >= 1.1 * lru, `${own} to ${lru}`);
  });
  Deno.test(`CacheStore hits at least as often as LRU without scans, room for ${share}`, () => {
    const trace = zipfTrace(ZIPF, 4);
    const room = Math.round(share * footprintBytes(trace));
    const lru = hitRatio(new LruCache(room), trace);
    const own = hitRatio(new StoreCache(room), trace);
    assert.ok(own >= lru, `${own} to ${lru}`);
  });
}

Deno.test("LruCache evicts what was used least recently", () => {
  const cache = new LruCache(250);
  for (const key of ["a", "b"]) cache.store({ key, sizeBytes: 100 });
  assert.ok(cache.has("a"));
  cache.store({ key: "c", sizeBytes: 100 });
  assert.deepEqual(["a", "b", "c"].map((key) => cache.has(key)), [true, false, true]);
});

Deno.test("both caches answer everything but first requests where all fits", () => {
  const trace = zipfTrace(ZIPF, 4);
  const expected = 1 - new Set(trace.map(({ key }) => key)).size / trace.length;
  assert.equal(hitRatio(new LruCache(1e9), trace), expected);
  assert.equal(hitRatio(new StoreCache(1e9), trace), expected);
});

Deno.test("zipfTrace() has frequent keys, and scans of keys that come once", () => {
  const trace = zipfTrace(WITH_SCANS, 4);
  assert.equal(trace.length, WITH_SCANS.requests);
  const counts = new Map<string, number>();
  for (const { key } of trace) counts.set(key, (counts.get(key) ?? 0) + 1);
  const most = Math.max(...counts.values());
  // The first of 10,000 keys has 1/16.5 of the probability at exponent 0.9.
  assert.ok(Math.abs(most / (trace.length * 5 / 7) - 1 / 16.5) < 0.02, `${most}`);
  const scanned = trace.slice(5000, 7000);
  assert.ok(scanned.every(({ key }) => counts.get(key) === 1));
});

Deno.test("replayTrace() takes texts for equal but for case and outer spaces", () => {
  const lines = '{"text":"Where? ","group":"g"}\n{"text":"where?","group":"h"}\n';
  assert.deepEqual(replayTrace(lines, "text").map(({ key }) => key), ["where?", "where?"]);
  assert.deepEqual(replayTrace(lines, "group").map(({ key }) => key), ["g", "h"]);
});

Deno.test("requestNanoseconds() gives a figure for each kind of cache", () => {
  const trace = zipfTrace({ ...ZIPF, requests: 1000 }, 4);
  const figures = requestNanoseconds(
    [() => new LruCache(1e6), () => new StoreCache(1e6)],
    trace,
    2,
  );
  assert.equal(figures.length, 2);
  assert.ok(figures.every((figure) => figure > 0 && Number.isFinite(figure)));
});
