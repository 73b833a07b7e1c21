/**
 * Boundaries of pieces.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { appendPiece, arePieces, piecesOf } from "./text_pieces.ts";

/** Lengths after these pieces, as the recorder notes them. */
function lengthsOf(pieces: readonly string[]): number[] {
  const lengths: number[] = [];
  let text = "";
  for (const piece of pieces) {
    appendPiece(lengths, text, piece);
    text += piece;
  }
  return lengths;
}

const UNITS = fc.array(
  fc.array(fc.constantFrom("a", "ß", "\ud83d", "\ude00"), { maxLength: 4 })
    .map((units) => units.join("")),
);

Deno.test("appendPiece() and piecesOf() keep every boundary but those inside a character", () => {
  assert.deepEqual(piecesOf("abc", lengthsOf(["a", "", "bc"])), ["a", "bc"]);
  assert.deepEqual(piecesOf("a😀b", lengthsOf(["a\ud83d", "\ude00b"])), ["a😀", "b"]);
  fc.assert(fc.property(UNITS, (pieces) => {
    const text = pieces.join("");
    const lengths = lengthsOf(pieces);
    assert.ok(arePieces(text, lengths));
    if (text === "") return;
    const again = piecesOf(text, lengths);
    assert.equal(again.join(""), text);
    assert.deepEqual(again.map((piece) => piece.length), lengths);
  }));
});

Deno.test("piecesOf() never ends a piece inside a character, whatever the lengths", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 12 });
  fc.assert(fc.property(cuts, fc.string({ unit: "binary", minLength: 1 }), (lengths, seed) => {
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const text = (seed + "😀").repeat(total).slice(0, total);
    const pieces = piecesOf(text, lengths);
    assert.equal(pieces.join(""), text);
    assert.ok(pieces.every((piece) => piece !== ""));
    if (text.isWellFormed()) assert.ok(pieces.every((piece) => piece.isWellFormed()));
  }));
});

Deno.test("arePieces() wants whole positive lengths of the whole text, or none", () => {
  assert.ok(arePieces("abc", []));
  assert.ok(arePieces("abc", [1, 2]));
  for (const lengths of [[1], [4], [0, 3], [1.5, 1.5], ["3"], [null]]) {
    assert.ok(!arePieces("abc", lengths), JSON.stringify(lengths));
  }
});
