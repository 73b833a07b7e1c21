import assert from "node:assert/strict";
import fc from "fast-check";
import { compareBytes } from "./bytes.ts";
import {
  DATABASES_MAX,
  endOfSpace,
  partsOfSpace,
  spaceOf,
  withoutSpace,
  withPrefix,
} from "./spaces.ts";

const anyKind = fc.constantFrom("data" as const, "queue" as const, "dead" as const);
const anyNumber = fc.integer({ min: 0, max: DATABASES_MAX - 1 });

Deno.test("spaceOf is a big-endian number, four to a database", () => {
  assert.deepEqual(spaceOf(0, "data"), Uint8Array.of(0, 0, 0, 0));
  assert.deepEqual(spaceOf(1, "queue"), Uint8Array.of(0, 0, 0, 5));
  assert.deepEqual(spaceOf(0x00c0_ffee, "dead"), Uint8Array.of(3, 3, 0xff, 0xba));
  assert.deepEqual(spaceOf(DATABASES_MAX - 1, "dead"), Uint8Array.of(255, 255, 255, 254));
});

Deno.test("spaceOf refuses numbers that fit in no space", () => {
  for (const number of [-1, 0.5, NaN, DATABASES_MAX]) {
    assert.throws(() => spaceOf(number, "data"), RangeError);
  }
});

Deno.test("partsOfSpace reads back what spaceOf wrote, from the front of any complete key", () => {
  fc.assert(fc.property(anyNumber, anyKind, fc.uint8Array(), (databaseNumber, kind, key) => {
    const complete = withPrefix(spaceOf(databaseNumber, kind), key);
    assert.deepEqual(partsOfSpace(complete), { databaseNumber, kind });
    assert.deepEqual(withoutSpace(complete), key);
  }));
});

Deno.test("partsOfSpace refuses the free kind and what is too short", () => {
  assert.throws(() => partsOfSpace(Uint8Array.of(0, 0, 0, 7)), RangeError);
  assert.throws(() => partsOfSpace(Uint8Array.of(0, 0, 0)), RangeError);
  assert.throws(() => endOfSpace(Uint8Array.of(255, 255, 255, 255)), RangeError);
});

Deno.test("endOfSpace is above every key of the space and at most the next space", () => {
  fc.assert(fc.property(anyNumber, anyKind, fc.uint8Array(), (databaseNumber, kind, key) => {
    const space = spaceOf(databaseNumber, kind);
    const end = endOfSpace(space);
    assert.ok(compareBytes(withPrefix(space, key), end) < 0);
    assert.ok(compareBytes(withPrefix(space, new Uint8Array(9).fill(255)), end) < 0);
    if (kind !== "dead") {
      assert.deepEqual(end, spaceOf(databaseNumber, kind === "data" ? "queue" : "dead"));
    }
  }));
});
