import assert from "node:assert/strict";
import fc from "fast-check";
import { EmbedError } from "../ports.ts";
import { answerBytesMax, decodeAnswer, encodeQuestion } from "./embeddings_wire.ts";

const QUESTION = { model: "m", dimensions: null, encoding: "float" } as const;

function decode(answer: unknown, texts: number, dims = 2): readonly (number[] | string)[] {
  const text = typeof answer === "string" ? answer : JSON.stringify(answer);
  return decodeAnswer(new TextEncoder().encode(text), texts, dims).map((result) =>
    result instanceof EmbedError ? result.kind : [...result]
  );
}

function base64(...values: readonly number[]): string {
  return Buffer.from(Float32Array.from(values).buffer).toString("base64");
}

function refuses(answer: unknown, texts: number): void {
  assert.throws(() => decode(answer, texts), (error) => {
    return error instanceof EmbedError && error.kind === "failed";
  }, JSON.stringify(answer));
}

Deno.test("encodeQuestion asks for floats, and for dimensions only if told so", () => {
  const read = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));
  assert.deepEqual(read(encodeQuestion(["a", "é"], QUESTION)), {
    model: "m",
    input: ["a", "é"],
    encoding_format: "float",
  });
  assert.equal(read(encodeQuestion(["a"], { ...QUESTION, dimensions: 8 })).dimensions, 8);
});

Deno.test("decodeAnswer places vectors by index, floats and base64 alike", () => {
  const data = [
    { index: 2, embedding: [0, 5] },
    { index: 0, embedding: base64(-1, 0) },
    { index: 1, embedding: [2, 0], object: "embedding" },
  ];
  assert.deepEqual(decode({ data, usage: {} }, 3), [[-1, 0], [1, 0], [0, 1]]);
  const plain = data.map(({ embedding }) => ({ embedding }));
  assert.deepEqual(decode({ data: plain }, 3), [[0, 1], [-1, 0], [1, 0]]);
});

Deno.test("decodeAnswer fails a bad vector by itself", () => {
  const embeddings = [[1, 0], [1, 0, 0], [null, 1], [0, 0], base64(NaN, 1), "%%", "AAA=", 7, null];
  const data = embeddings.map((embedding, index) => ({ index, embedding }));
  assert.deepEqual(decode({ data }, data.length), [
    [1, 0],
    "dims",
    ...new Array(7).fill("unusable"),
  ]);
});

Deno.test("decodeAnswer refuses what does not answer the question", () => {
  const item = (index: unknown) => ({ index, embedding: [1, 0] });
  for (const text of ["", "{", "null", "7", "[]", '"x"', "{}", '{"data":[NaN]}']) refuses(text, 1);
  refuses({ error: { message: "no" } }, 1);
  refuses({ data: {} }, 1);
  refuses({ data: [null] }, 1);
  refuses({ data: [item(0)] }, 2);
  refuses({ data: [item(0), item(1)] }, 1);
  refuses({ data: [item(0), item(0)] }, 2);
  for (const index of [2, -1, 0.5, "1", null, NaN]) refuses({ data: [item(0), item(index)] }, 2);
  refuses({ data: [item(0), { embedding: [1, 0] }] }, 2);
  assert.throws(() => decodeAnswer(Uint8Array.of(0x22, 0xff, 0x22), 1, 2), EmbedError);
});

Deno.test("decodeAnswer gives back any honest answer, in whatever order, and within its bound", () => {
  const number = fc.float({ noNaN: true, noDefaultInfinity: true });
  const vector = fc.array(number, { minLength: 3, maxLength: 3 })
    .filter((values) => values.some((value) => value !== 0));
  fc.assert(fc.property(
    fc.array(fc.tuple(vector, fc.boolean()), { minLength: 1, maxLength: 9 }),
    fc.nat(),
    (vectors, turn) => {
      const items = vectors.map(([values, isText], index) => ({
        index,
        embedding: isText ? base64(...values) : values,
      }));
      const by = turn % items.length;
      const text = JSON.stringify({ data: [...items.slice(by), ...items.slice(0, by)] });
      assert.ok(text.length <= answerBytesMax(vectors.length, 3));
      for (const [place, result] of decode(text, vectors.length, 3).entries()) {
        const values = vectors[place]?.[0] ?? [];
        const norm = Math.hypot(...values);
        assert.ok(typeof result !== "string");
        for (const [i, value] of values.entries()) {
          assert.ok(Math.abs((result[i] ?? NaN) - value / norm) < 1e-6);
        }
      }
    },
  ));
});
