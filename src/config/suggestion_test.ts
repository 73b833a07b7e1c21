import assert from "node:assert/strict";
import { didYouMean, editDistance, nearestWord } from "./suggestion.ts";

Deno.test("editDistance() counts insertions, deletions, substitutions and swaps", () => {
  const cases: ReadonlyArray<readonly [string, string, number]> = [
    ["", "", 0],
    ["", "abc", 3],
    ["port", "prot", 1],
    ["port", "pot", 1],
    ["port", "sport", 1],
    ["port", "part", 1],
    ["kitten", "sitting", 3],
    ["ca", "abc", 3],
  ];
  for (const [from, to, expected] of cases) {
    assert.equal(editDistance(from, to), expected, `${from} -> ${to}`);
    assert.equal(editDistance(to, from), expected, `${to} -> ${from}`);
  }
});

Deno.test("nearestWord() finds typing errors and other spellings, not other words", () => {
  const known = ["serve", "check", "demo", "simulate", "baseUrl"];
  assert.equal(nearestWord("sevre", known), "serve");
  assert.equal(nearestWord("base_url", known), "baseUrl");
  assert.equal(nearestWord("BASE-URL", known), "baseUrl");
  assert.equal(nearestWord("frobnicate", known), undefined);
  assert.equal(nearestWord("anything", []), undefined);
});

Deno.test("didYouMean() is empty where nothing is near", () => {
  assert.equal(didYouMean("sevre", ["serve"]), " (did you mean serve?)");
  assert.equal(didYouMean("xyz", ["serve"]), "");
});
