import assert from "node:assert/strict";
import { sumOf } from "./gateway.ts";
import { prompt } from "./prompts.ts";
import { addedMs, type Line, ratioOf, type Round, tableFrom } from "./targets.ts";
import { foldText } from "../../src/cache/request/fold.ts";
import { compareFeatures, guardFeatures } from "../../src/cache/guards/guard.ts";
import { LEXICAL_THRESHOLD, lexicalVector } from "../../src/embed/lexical.ts";

function round(p50Ms: number, p99Ms = p50Ms): Round {
  return { p50Ms, p99Ms, cpuMs: p50Ms / 2, requests: 1, errors: 0 };
}

Deno.test("addedMs takes the baseline of the same round off, and then the median", () => {
  const rounds = {
    hit: [round(1.1), round(9.1), round(1.2)],
    trivial: [round(1.0), round(9.0), round(0.9)],
  };
  assert.ok(Math.abs(addedMs(rounds, "hit", "trivial", "p50Ms") - 0.1) < 1e-9);
});

Deno.test("addedMs is no number where the baseline was not measured", () => {
  assert.ok(Number.isNaN(addedMs({ hit: [round(1)] }, "hit", "trivial", "p50Ms")));
});

Deno.test("ratioOf divides medians", () => {
  const rounds = { hit: [round(1), round(2), round(30)], pass: [round(4), round(4), round(4)] };
  assert.equal(ratioOf(rounds, "hit", "pass", "p50Ms"), 0.5);
  assert.equal(ratioOf(rounds, "hit", "pass", "cpuMs"), 0.5);
});

Deno.test("tableFrom says met, MISSED or nothing", () => {
  const line: Line = { what: "w", limit: 1, measured: 0.5, ratio: null, met: true };
  const rows = tableFrom([
    line,
    { ...line, measured: 2, ratio: 4, met: false },
    { ...line, limit: null, met: null },
  ]).split("\n").slice(2);
  assert.deepEqual(rows, [
    "| w | 1.00 | 0.500 | – | met |",
    "| w | 1.00 | 2.00 | 4.00 | MISSED |",
    "| w | – | 0.500 | – |  |",
  ]);
});

Deno.test("sumOf adds up the samples whose labels include those wanted, of that metric only", () => {
  const page = [
    "# HELP a_total Help.",
    'a_total{layer="exact",outcome="hit"} 2',
    'a_total{layer="exact",outcome="miss"} 3',
    'a_total{layer="semantic",outcome="hit"} 4',
    "a_total_more 100",
    "b 7",
  ].join("\n");
  assert.equal(sumOf(page, "a_total", {}), 9);
  assert.equal(sumOf(page, "a_total", { outcome: "hit" }), 6);
  assert.equal(sumOf(page, "a_total", { layer: "exact", outcome: "hit" }), 2);
  assert.equal(sumOf(page, "b", {}), 7);
  assert.equal(sumOf(page, "c", {}), 0);
});

const NUMBERS = Array.from({ length: 400 }, (_, i) => i * 97);

Deno.test("prompt asks something else for every number", () => {
  assert.equal(new Set(NUMBERS.map((number) => prompt(number, "stored"))).size, NUMBERS.length);
});

Deno.test("a respelt prompt is another text, and the same when folded", () => {
  for (const number of NUMBERS) {
    const [stored, respelt] = [prompt(number, "stored"), prompt(number, "respelt")];
    assert.notEqual(respelt, stored);
    assert.equal(foldText(respelt), foldText(stored));
  }
});

Deno.test("a reworded prompt is near the stored one, and no guard keeps them apart", () => {
  for (const number of NUMBERS) {
    const [stored, reworded] = [prompt(number, "stored"), prompt(number, "reworded")];
    assert.notEqual(foldText(reworded), foldText(stored));
    assert.equal(compareFeatures(guardFeatures(reworded), guardFeatures(stored), "words"), null);
    assert.ok(cosine(stored, reworded) >= LEXICAL_THRESHOLD + 0.05);
  }
});

function cosine(one: string, other: string): number {
  const [left, right] = [lexicalVector(one), lexicalVector(other)];
  assert.ok(left !== null && right !== null);
  return left.reduce((sum, value, i) => sum + value * (right[i] ?? 0), 0);
}
