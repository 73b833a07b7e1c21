import assert from "node:assert/strict";
import fc from "fast-check";
import { makeEntry } from "../../../tests/support/shared_gateways.ts";
import { decodeRecord, encodeRecord } from "../../cache/answer/record_codec.ts";
import type { CacheEntry } from "../../cache/types.ts";
import { encodeDocument } from "./document.ts";
import { decodeEntry, decodeEntryHead, encodeEntry } from "./entry_record.ts";
import { sequenceOf, sharedNumberOf } from "./numbering.ts";

const CODEC = { encode: encodeRecord, decode: decodeRecord };

Deno.test("encodeEntry gives back an entry, short or long", () => {
  for (const textLength of [1, 300, 200_000]) {
    const entry = makeEntry(7, { textLength, canonicalKey: null, turn: null, tags: [] });
    assert.deepEqual(roundTrip(entry), entry);
  }
});

Deno.test("encodeEntry refuses an answer of more parts than are kept", () => {
  assert.equal(encodeEntry(makeEntry(7, { textLength: 4_000_000 }), CODEC), null);
});

Deno.test("encodeEntry keeps of a sequence what other gateways have seen too", () => {
  const entry = makeEntry(1, { sequence: sequenceOf(5) + 3 });
  assert.equal(roundTrip(entry)?.sequence, sequenceOf(5));
  assert.equal(sharedNumberOf(sequenceOf(6) - 1), 5);
});

Deno.test("decodeEntryHead takes nothing that is not exactly an entry", () => {
  const { answer, ...fields } = makeEntry(7);
  const body = encodeRecord(answer);
  const withField = (name: string, value: unknown) => {
    const line = JSON.stringify({ ...fields, [name]: value });
    return decodeEntryHead(encodeDocument(line, body)?.head);
  };
  assert.notEqual(withField("id", 7), null);
  const wrong: Record<string, readonly unknown[]> = {
    id: [0, -1, 1.5, "7", null, 2 ** 53],
    sequence: [-1, 0.5, 2 ** 40],
    scope: [1, null],
    exactKey: [1, null],
    canonicalKey: [1],
    turn: [1],
    tags: ["tag", [1], null],
    storedMs: ["now", null],
    expiresMs: [-1],
    staleUntilMs: [null],
    sizeBytes: [0, 1.5, null],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) assert.equal(withField(name, value), null, `${name} ${value}`);
  }
});

Deno.test("decodeEntryHead survives whatever it is given", () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), fc.string(), (fields, body) => {
    const document = encodeDocument(fields.replaceAll("\n", " "), body);
    assert.equal(decodeEntryHead(document?.head), null);
  }));
});

function roundTrip(entry: CacheEntry): CacheEntry | null {
  const document = encodeEntry(entry, CODEC);
  const head = decodeEntryHead(document?.head);
  assert.ok(document !== null && head !== null);
  return decodeEntry(head, document.parts, CODEC);
}
