/**
 * What is read back from shared storage, and what is not. The round trip itself
 * is in `round_trip_test.ts`.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { AnswerRecord, JsonObject } from "../types.ts";
import { decodeRecord, encodeRecord, recordBytes } from "./record_codec.ts";

const RECORD: AnswerRecord = {
  surface: "chat",
  text: "Hello",
  pieces: [3, 2],
  reasoning: { field: "reasoning", text: "Hm" },
  finish: "stop",
  stopSequence: null,
  model: "m",
  usage: { prompt_tokens: 1 },
  extra: { system_fingerprint: "fp" },
};

Deno.test("decodeRecord() takes nothing that is not exactly a record", () => {
  const written: JsonObject = JSON.parse(encodeRecord(RECORD));
  assert.deepEqual(decodeRecord(JSON.stringify(written)), RECORD);
  const wrong: Readonly<Record<string, readonly unknown[]>> = {
    version: [0, 2, "1", null],
    surface: ["embeddings", "toString", "__proto__", 1, null, "messages"],
    text: ["", "Hello!", 5, null, ["Hello"]],
    pieces: [[5, 1], [3], [3, 2, 0], [2.5, 2.5], [-1, 6], ["3", "2"], [NaN, 2], null, "32", {}],
    reasoning: [{}, { field: "role", text: "x" }, { field: "reasoning", text: "" }, "Hm", [], {
      ...RECORD.reasoning,
      more: 1,
    }],
    finish: ["length", "end_turn", "", null, 1],
    stopSequence: ["END", 1, undefined],
    model: [null, 1, undefined],
    usage: [[], 1, "1", undefined],
    extra: [null, [], { id: "x" }, { system_fingerprint: 1 }, { choices: [] }],
    more: [1, null],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const text = JSON.stringify({ ...written, [name]: value });
      assert.equal(decodeRecord(text), null, `${name}: ${JSON.stringify(value)}`);
    }
  }
  const completion = { ...written, surface: "completions" };
  assert.equal(decodeRecord(JSON.stringify(completion)), null, "reasoning where there is none");
  assert.ok(decodeRecord(JSON.stringify({ ...completion, reasoning: null })));
  for (const text of ["", "null", "[]", "1", '"x"', "{", "{}"]) {
    assert.equal(decodeRecord(text), null, text);
  }
});

Deno.test("decodeRecord() takes nothing that nests too deep", () => {
  const deep = '{"a":'.repeat(20_000) + "1" + "}".repeat(20_000);
  const text = encodeRecord({ ...RECORD, usage: null }).replace('"usage":null', `"usage":${deep}`);
  assert.equal(decodeRecord(text), null);
});

Deno.test("decodeRecord() survives any damage, and what it takes can be written again", () => {
  const written = encodeRecord(RECORD);
  const damage = fc.record({ at: fc.nat(written.length), text: fc.string({ maxLength: 4 }) });
  fc.assert(
    fc.property(damage, ({ at, text }) => {
      const record = decodeRecord(written.slice(0, at) + text + written.slice(at + text.length));
      if (record === null) return;
      assert.deepEqual(decodeRecord(encodeRecord(record)), record);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("recordBytes() grows with everything that a record holds", () => {
  const base = recordBytes(RECORD);
  const larger: readonly Partial<AnswerRecord>[] = [
    { text: RECORD.text.repeat(2) },
    { pieces: [1, 2, 2] },
    { reasoning: { field: "reasoning", text: "Hmmm" } },
    { model: "model" },
    { usage: { prompt_tokens: 1, completion_tokens: 2 } },
    { extra: { system_fingerprint: "fp_1" } },
    { text: "Hellō" },
  ];
  for (const change of larger) {
    assert.ok(recordBytes({ ...RECORD, ...change }) > base, JSON.stringify(change));
  }
  const plain = recordBytes({ ...RECORD, text: "x".repeat(10_000), pieces: [] });
  const wide = recordBytes({ ...RECORD, text: "ō".repeat(10_000), pieces: [] });
  assert.equal(wide - plain, 10_000, "two bytes a character beyond Latin-1");
});
