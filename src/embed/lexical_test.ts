import assert from "node:assert/strict";
import fc from "fast-check";
import { LEXICAL_DIMS, LEXICAL_THRESHOLD, lexicalVector } from "./lexical.ts";

function similarity(one: string, other: string): number {
  const [left, right] = [lexicalVector(one), lexicalVector(other)];
  assert.ok(left !== null && right !== null);
  return left.reduce((sum, value, at) => sum + value * (right[at] ?? 0), 0);
}

Deno.test("lexicalVector is null where there is nothing to embed", () => {
  for (const text of ["", "  \n", "?!…", "— – -", "😀"]) assert.equal(lexicalVector(text), null);
});

Deno.test("lexicalVector has length 1 whatever the text", () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => {
    const vector = lexicalVector(text);
    if (vector === null) return;
    assert.equal(vector.length, LEXICAL_DIMS);
    const squares = vector.reduce((sum, value) => sum + value * value, 0);
    assert.ok(Math.abs(squares - 1) < 1e-4, `${squares}`);
  }));
});

Deno.test("lexicalVector gives equal texts equal vectors", () => {
  const text = "How tall is the Eiffel tower, in metres?";
  assert.deepEqual(lexicalVector(text), lexicalVector(text));
});

Deno.test("lexicalVector makes nothing of case, spaces, marks, contractions and courtesy", () => {
  const plain = "what is the boiling point of water";
  for (
    const text of [
      "What is the boiling point of WATER?",
      "  what  is the boiling\npoint of water ",
      "What's the boiling point of water",
      "Hello, please: what is the boiling point of water? Thank you so much!",
      "Can you tell me what is the boiling point of water, thanks in advance",
    ]
  ) assert.ok(similarity(plain, text) > 0.999, text);
});

Deno.test("lexicalVector embeds a text of courtesies alone", () => {
  assert.ok(similarity("thank you", "Thank you!") > 0.999);
  assert.ok(similarity("thanks", "hello") < 0.5);
});

Deno.test("lexicalVector stays near over swapped letters and far over other words", () => {
  const text = "how do I renew my passport before travelling abroad";
  assert.ok(similarity(text, "how do I renew my pasport before travelling abroad") > 0.8);
  assert.ok(similarity(text, "how do I renew my passprot before travelling abroad") > 0.9);
  assert.ok(similarity(text, "which cheese goes well with red wine") < 0.3);
});

Deno.test("lexicalVector embeds texts of other scripts", () => {
  for (
    const [text, near, far] of [
      ["Wie spät ist es in Zürich?", "wie spät ist es in zürich", "Was kostet ein Brot in Wien?"],
      ["Сколько стоит билет в Казань", "сколько стоит билет в Казань?", "Где ближайшая аптека"],
      ["今日の東京の天気は", "今日の東京の天気は?", "電車の切符を買いたい"],
      ["서울의 인구는 얼마입니까", "서울의 인구는 얼마입니까?", "김치를 만드는 방법"],
      ["ما هي عاصمة فرنسا", "ما هي عاصمة فرنسا؟", "كم عمر الكون"],
    ] as const
  ) {
    assert.ok(similarity(text, near) > 0.99, text);
    assert.ok(similarity(text, far) < LEXICAL_THRESHOLD - 0.2, text);
  }
});
