import assert from "node:assert/strict";
import fc from "fast-check";
import { padTokens, runsOf, TokenEncoder } from "./model_tokens.ts";

/** A character is a token, its code the id; `?` is unknown. */
function encoder(opening: number[], closing: number[], tokensMax: number): TokenEncoder {
  return new TokenEncoder({
    tokensMax,
    unknownId: 63,
    tokenizer: {
      encode(text, { add_special_tokens }) {
        const ids = [...text].map((character) => character.codePointAt(0) ?? 0);
        return { ids: add_special_tokens ? [...opening, ...ids, ...closing] : ids };
      },
    },
  });
}

function codes(text: string): number[] {
  return [...text].map((character) => character.codePointAt(0) ?? 0);
}

Deno.test("TokenEncoder cuts the text and leaves what frames it", () => {
  assert.deepEqual(encoder([1], [2], 5).encode("abc"), [1, ...codes("abc"), 2]);
  assert.deepEqual(encoder([1], [2], 5).encode("abcdef"), [1, ...codes("abc"), 2]);
  assert.deepEqual(encoder([1, 1], [2, 2], 6).encode("abcdef"), [1, 1, ...codes("ab"), 2, 2]);
  assert.deepEqual(encoder([], [2], 3).encode("abcdef"), [...codes("ab"), 2]);
  assert.deepEqual(encoder([1], [], 3).encode("abcdef"), [1, ...codes("ab")]);
  assert.deepEqual(encoder([], [], 3).encode("abcdef"), codes("abc"));
});

Deno.test("TokenEncoder refuses a text of which it knows less than half, or nothing", () => {
  assert.deepEqual(encoder([1], [2], 9).encode("a?"), [1, ...codes("a?"), 2]);
  assert.equal(encoder([1], [2], 9).encode("a??"), null);
  assert.equal(encoder([1], [2], 9).encode("?"), null);
  assert.equal(encoder([1], [2], 9).encode(""), null);
});

Deno.test("padTokens fills up to the longest and masks what it filled", () => {
  const batch = padTokens([[5], [6, 7, 8], [9, 9]], 4);
  assert.deepEqual([batch.rows, batch.columns], [3, 3]);
  assert.deepEqual([...batch.ids], [5, 4, 4, 6, 7, 8, 9, 9, 4]);
  assert.deepEqual([...batch.mask], [1, 0, 0, 1, 1, 1, 1, 1, 0]);
});

Deno.test("runsOf places each text that has tokens once, within the budget or alone", () => {
  assert.deepEqual(runsOf([], 10), []);
  assert.deepEqual(runsOf([0, 0], 10), []);
  assert.deepEqual(runsOf([3, 20, 2, 0, 3], 9), [[2, 0, 4], [1]]);
  const lengths = fc.array(fc.nat({ max: 30 }), { maxLength: 40 });
  fc.assert(fc.property(lengths, fc.integer({ min: 1, max: 60 }), (texts, budget) => {
    const runs = runsOf(texts, budget);
    const placed = runs.flat().toSorted((one, other) => one - other);
    assert.deepEqual(placed, texts.flatMap((length, place) => length > 0 ? [place] : []));
    for (const run of runs) {
      const longest = Math.max(...run.map((place) => texts[place] ?? NaN));
      assert.ok(run.length === 1 || run.length * longest <= budget);
    }
  }));
});
