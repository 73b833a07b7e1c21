import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesEqual, compareBytes, isNextTo, startsWith } from "./bytes.ts";

const anyBytes = fc.uint8Array({ maxLength: 6, max: 3 });

Deno.test("compareBytes orders like Buffer.compare", async () => {
  const { Buffer } = await import("node:buffer");
  fc.assert(fc.property(anyBytes, anyBytes, (one, other) => {
    assert.equal(Math.sign(compareBytes(one, other)), Buffer.compare(one, other));
  }));
});

Deno.test("bytesEqual is true exactly where the order is a tie", () => {
  fc.assert(fc.property(anyBytes, anyBytes, (one, other) => {
    assert.equal(bytesEqual(one, other), compareBytes(one, other) === 0);
    assert.ok(bytesEqual(one, one.slice()));
  }));
});

Deno.test("startsWith agrees with comparing the front", () => {
  fc.assert(fc.property(anyBytes, anyBytes, (bytes, prefix) => {
    const front = bytes.subarray(0, prefix.length);
    assert.equal(startsWith(bytes, prefix), compareBytes(front, prefix) === 0);
  }));
});

Deno.test("isNextTo is true where nothing lies between", () => {
  fc.assert(fc.property(anyBytes, anyBytes, (bytes, other) => {
    const next = Uint8Array.of(...bytes, 0);
    assert.ok(isNextTo(bytes, next));
    assert.ok(!isNextTo(bytes, bytes));
    assert.ok(!isNextTo(bytes, Uint8Array.of(...next, 0)));
    assert.ok(!isNextTo(bytes, Uint8Array.of(...bytes, 1)));
    assert.equal(isNextTo(bytes, other), compareBytes(next, other) === 0);
  }));
});
