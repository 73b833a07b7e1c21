import assert from "node:assert/strict";
import { encodeKey } from "../keyspace/key_codec.ts";
import { ENCODING_BYTES, ENCODING_LE64, ENCODING_V8 } from "../types.ts";
import { encodeValue } from "../values/value.ts";
import { lineOf, rowOfLine } from "./row_json.ts";

const STAMP = Uint8Array.from([0, 0, 1, 2, 3, 4, 5, 6, 0, 1]);

Deno.test("lineOf() and rowOfLine() keep keys, bytes, encodings and expiry", () => {
  const keys = [
    encodeKey(["users", 1, -0, 12n, true, Uint8Array.of(0, 255), NaN]),
    encodeKey(["line\nbreak", "\u2028"]),
    Uint8Array.of(0x30, 1), // No key of Deno's.
    Uint8Array.of(0x21, 0, 7, 255, 255, 255, 255, 255, 255), // A NaN with another payload.
  ];
  const values = [
    encodeValue({ name: "Ada", when: new Date(0), big: 2n ** 70n, set: new Set([1]) }),
    encodeValue(Uint8Array.of(1, 2)),
    { data: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 128), encoding: ENCODING_LE64 } as const,
    { data: Uint8Array.of(9, 9), encoding: ENCODING_V8 } as const, // V8 cannot read it.
    { data: new Uint8Array(0), encoding: ENCODING_BYTES } as const,
  ];
  for (const key of keys) {
    for (const value of values) {
      for (const expiresMs of [null, 0, 1_800_000_000_123, Number.MAX_SAFE_INTEGER]) {
        const line = lineOf({ key, ...value, expiresMs, stamp: STAMP });
        assert.ok(!line.includes("\n"));
        assert.deepEqual(rowOfLine(line), { key, ...value, expiresMs });
      }
    }
  }
});

Deno.test("lineOf() tells the versionstamp, and rowOfLine() takes a line without it", () => {
  const row = { key: encodeKey(["a"]), ...encodeValue(1), expiresMs: null, stamp: STAMP };
  assert.equal(lineOf(row), '{"key":["a"],"value":1,"versionstamp":"00000102030405060001"}');
  assert.deepEqual(rowOfLine('{"key":["a"],"value":1}').key, encodeKey(["a"]));
});

Deno.test("rowOfLine() refuses what is no row, and repeats nothing of it", () => {
  const lines = [
    "",
    "secret",
    "[1]",
    '{"key":["a"]}',
    '{"value":1}',
    '{"key":"a","value":1}',
    '{"key":[],"value":1}',
    '{"key":["a"],"value":1,"secret":2}',
    '{"key":["a"],"value":1,"expires":"secret"}',
    '{"key":["a"],"value":1,"expires":-1}',
    '{"key":["a"],"value":{"$raw":[9,"AA=="]}}',
  ];
  for (const line of lines) {
    assert.throws(() => rowOfLine(line), (error) => {
      return error instanceof TypeError && error.message.startsWith("Cannot read JSON: ") &&
        !error.message.includes("secret");
    }, line);
  }
});
