import assert from "node:assert/strict";
import * as fc from "fast-check";
import { KV_STATUS, KvError, type KvErrorCode } from "../errors.ts";
import { DEFAULT_LIMITS } from "../types.ts";
import {
  decodeFailure,
  decodeHello,
  decodeWelcome,
  encodeFailure,
  encodeHello,
  encodeWelcome,
  MESSAGE,
} from "./messages.ts";

const encoder = new TextEncoder();

Deno.test("decodeHello and decodeWelcome give back what was encoded", () => {
  const hello = { protocol: 1, database: "orders", token: "grüße" };
  assert.deepEqual(decodeHello(encodeHello(hello)), hello);
  const limits = { ...DEFAULT_LIMITS, valueBytesMax: 1_000_000 };
  const welcome = { protocol: 1, databaseId: "id", inFlightMax: 7, limits };
  assert.deepEqual(decodeWelcome(encodeWelcome(welcome)), welcome);
});

Deno.test("decodeWelcome takes Deno's own limit for one that is missing or no number", () => {
  const text = JSON.stringify({
    protocol: 1,
    databaseId: "id",
    inFlightMax: 7,
    limits: { keyBytesMax: "many", rangesMax: 3, colour: 1 },
  });
  const { limits } = decodeWelcome(encoder.encode(text));
  assert.deepEqual(limits, { ...DEFAULT_LIMITS, rangesMax: 3 });
});

Deno.test("decodeFailure gives back every code, and internal for what is none", () => {
  for (const code of Object.keys(KV_STATUS)) {
    const error = new KvError(code as KvErrorCode, "Cannot: because");
    const decoded = decodeFailure(encodeFailure(error));
    assert.deepEqual([decoded.code, decoded.message], [code, "Cannot: because"]);
  }
  for (const body of ["", "{}", "[]", "null", '{"code":"toString"}', '{"code":1,"message":2}']) {
    assert.equal(decodeFailure(encoder.encode(body)).code, "internal");
  }
});

Deno.test("decodeHello and decodeWelcome refuse any other bytes with bad_request", () => {
  const refused = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      assert.ok(error instanceof KvError && error.code === "bad_request");
    }
  };
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array(), fc.json().map((text) => encoder.encode(text))),
      (body) => {
        refused(() => decodeHello(body));
        refused(() => decodeWelcome(body));
        assert.ok(decodeFailure(body) instanceof KvError);
      },
    ),
    { numRuns: 500 },
  );
  assert.throws(() => decodeHello(encoder.encode('{"protocol":1}')), KvError);
});

Deno.test("MESSAGE gives every number once", () => {
  const numbers = Object.values(MESSAGE);
  assert.equal(new Set(numbers).size, numbers.length);
});
