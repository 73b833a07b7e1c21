/**
 * Tokens: what was signed is good, whatever else is not.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { HmacTokenSigner, type TokenClaims } from "./token.ts";

const KEY_ONE = new Uint8Array(32).fill(1);
const KEY_TWO = new Uint8Array(32).fill(2);
const KEY_THREE = new Uint8Array(32).fill(3);

const CLAIMS: TokenClaims = {
  databaseId: "00000000-0000-4000-8000-000000000001",
  scope: "data",
  epoch: 7,
  expiresMs: 2_000_000,
};

Deno.test("HmacTokenSigner reads what it signed, from its memory too", () => {
  const signer = new HmacTokenSigner([KEY_ONE]);
  const token = signer.sign(CLAIMS);
  assert.deepEqual(signer.verify(token, 0), CLAIMS);
  assert.equal(signer.cached, 1);
  assert.deepEqual(signer.verify(token, 1_999_999), CLAIMS);
});

Deno.test("HmacTokenSigner calls a token expired at its time, known or not", () => {
  const signer = new HmacTokenSigner([KEY_ONE]);
  const token = signer.sign(CLAIMS);
  assert.equal(signer.verify(token, 2_000_000), "expired");
  assert.deepEqual(signer.verify(token, 0), CLAIMS);
  assert.equal(signer.verify(token, 2_000_000), "expired");
  assert.equal(signer.cached, 0);
});

Deno.test("HmacTokenSigner refuses a token with any one character changed, added or taken", () => {
  const signer = new HmacTokenSigner([KEY_ONE]);
  const token = signer.sign(CLAIMS);
  signer.verify(token, 0);
  for (let at = 0; at < token.length; at++) {
    for (const other of ["A", "B", "0", "9", ".", "é"]) {
      const before = token.slice(0, at);
      const after = token.slice(at + 1);
      for (const wrong of [before + other + after, before + other + token.slice(at)]) {
        if (wrong !== token) assert.equal(signer.verify(wrong, 0), "invalid", wrong);
      }
      assert.equal(signer.verify(before + after, 0), "invalid");
    }
  }
});

Deno.test("HmacTokenSigner refuses arbitrary texts", () => {
  const signer = new HmacTokenSigner([KEY_ONE, KEY_TWO]);
  fc.assert(fc.property(fc.string({ maxLength: 400 }), (text) => {
    assert.equal(signer.verify(text, 0), "invalid");
  }));
});

Deno.test("HmacTokenSigner accepts the key before for as long as it is known", () => {
  const signer = new HmacTokenSigner([KEY_ONE]);
  const token = signer.sign(CLAIMS);
  signer.verify(token, 0);
  signer.useKeys([KEY_ONE]);
  assert.equal(signer.cached, 1);
  signer.useKeys([KEY_TWO, KEY_ONE]);
  assert.equal(signer.cached, 0);
  assert.deepEqual(signer.verify(token, 0), CLAIMS);
  assert.notEqual(signer.sign(CLAIMS), token);
  signer.useKeys([KEY_THREE, KEY_TWO]);
  assert.equal(signer.verify(token, 0), "invalid");
});

Deno.test("HmacTokenSigner remembers no more tokens than it was told", () => {
  const signer = new HmacTokenSigner([KEY_ONE], 3);
  for (let epoch = 0; epoch < 10; epoch++) {
    assert.equal(typeof signer.verify(signer.sign({ ...CLAIMS, epoch }), 0), "object");
  }
  assert.equal(signer.cached, 3);
});

Deno.test("HmacTokenSigner takes one or two keys of 32 bytes, and proper claims", () => {
  assert.throws(() => new HmacTokenSigner([]), RangeError);
  assert.throws(() => new HmacTokenSigner([KEY_ONE, KEY_TWO, KEY_THREE]), RangeError);
  assert.throws(() => new HmacTokenSigner([new Uint8Array(31)]), RangeError);
  const signer = new HmacTokenSigner([KEY_ONE]);
  for (const wrong of [{ scope: "a.b" }, { databaseId: "x" }, { epoch: -1 }, { expiresMs: NaN }]) {
    assert.throws(() => signer.sign({ ...CLAIMS, ...wrong }), TypeError);
  }
});
