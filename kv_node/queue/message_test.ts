import assert from "node:assert/strict";
import fc from "fast-check";
import { compareBytes } from "../keyspace/bytes.ts";
import type { Encoding } from "../types.ts";
import { decodeMessage, encodeMessage, type StoredMessage } from "./message.ts";
import { appendedKey, keyOfText, textOfKey, timeKey, timeOf } from "./message_key.ts";
import { receiptOf, receiptParts } from "./settlement.ts";

const SPACE = Uint8Array.of(0, 0, 0, 5);

const bytes = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength });

const messages: fc.Arbitrary<StoredMessage> = fc.record({
  payload: fc.record({ data: bytes(300), encoding: fc.constantFrom<Encoding>(1, 2, 3) }, {
    noNullPrototype: true,
  }),
  attempts: fc.nat(11),
  backoffMs: fc.array(fc.nat(3_600_000), { maxLength: 10 }),
  undeliveredKeys: fc.array(bytes(60, 1), { maxLength: 10 }),
  enqueuedMs: fc.nat(2 ** 31),
  origin: fc.option(bytes(12, 12)),
  lastError: fc.string({ unit: "grapheme", maxLength: 60 }),
}, { noNullPrototype: true });

Deno.test("decodeMessage gives back what encodeMessage was given", () => {
  fc.assert(fc.property(messages, (message) => {
    const decoded = decodeMessage(encodeMessage(message));
    assert.ok(decoded !== null);
    const plain = {
      ...decoded,
      payload: { ...decoded.payload, data: Uint8Array.from(decoded.payload.data) },
      undeliveredKeys: decoded.undeliveredKeys.map((key) => Uint8Array.from(key)),
      origin: decoded.origin === null ? null : Uint8Array.from(decoded.origin),
    };
    assert.deepEqual(plain, message);
  }));
});

Deno.test("decodeMessage takes no bytes that end before the payload, and throws at none", () => {
  fc.assert(fc.property(messages, fc.nat(), (message, at) => {
    const encoded = encodeMessage(message);
    const head = encoded.length - message.payload.data.length;
    assert.equal(decodeMessage(encoded.subarray(0, at % head)), null);
  }));
  fc.assert(fc.property(bytes(200), (random) => {
    decodeMessage(random);
    decodeMessage(Uint8Array.of(1, 1, ...random));
  }));
});

Deno.test("message keys sort by time, then by versionstamp and place", () => {
  const moment = fc.tuple(fc.nat({ max: 2 ** 45 }), bytes(10, 10), fc.nat(0xffff));
  fc.assert(fc.property(moment, moment, (one, other) => {
    const [oneKey, otherKey] = [one, other].map(([timeMs, stamp, place]) =>
      appendedKey(SPACE, timeMs, stamp, place)
    );
    assert.ok(oneKey !== undefined && otherKey !== undefined);
    assert.equal(timeOf(oneKey), one[0]);
    const expected = one[0] - other[0] || compareBytes(one[1], other[1]) || one[2] - other[2];
    assert.equal(Math.sign(compareBytes(oneKey, otherKey)), Math.sign(expected));
    assert.ok(compareBytes(timeKey(SPACE, one[0]), oneKey) < 0);
  }));
});

Deno.test("receipts and texts of keys are read back, and nothing else is", () => {
  const key = appendedKey(SPACE, 1_700_000_000_123, new Uint8Array(10).fill(7), 300);
  assert.deepEqual(keyOfText(SPACE, textOfKey(key)), key);
  const receipt = receiptOf({ key, number: 2 ** 52 + 1 });
  assert.deepEqual(receiptParts(receipt, SPACE), { key, number: 2 ** 52 + 1 });
  const wrong = [
    "",
    "x",
    receipt.slice(1),
    `${receipt}A`,
    receipt.replace(/^./, "*"),
    "-".repeat(38),
  ];
  for (const text of wrong) {
    const parts = receiptParts(text, SPACE);
    assert.ok(parts === null || parts.number !== 2 ** 52 + 1, text);
  }
  assert.equal(keyOfText(SPACE, "AAAA"), null);
});
