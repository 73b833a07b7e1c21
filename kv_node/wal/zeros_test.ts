import assert from "node:assert/strict";
import fc from "fast-check";
import { dataIn } from "./zeros.ts";

Deno.test("dataIn finds the first byte that is not zero, wherever the bytes begin", () => {
  const zeros = fc.uint8Array({ max: 0, maxLength: 40 });
  const anything = fc.uint8Array({ max: 3, maxLength: 12 });
  fc.assert(fc.property(zeros, anything, fc.nat(7), fc.nat(50), (head, rest, shift, cut) => {
    const whole = new Uint8Array(shift + head.length + rest.length);
    whole.set(head, shift);
    whole.set(rest, shift + head.length);
    for (const bytes of [whole, whole.subarray(shift)]) {
      const start = Math.min(cut, bytes.length);
      const end = Math.max(start, bytes.length - (cut % 3));
      const found = bytes.subarray(start, end).findIndex((byte) => byte !== 0);
      assert.equal(dataIn(bytes, start, end), found < 0 ? null : start + found);
    }
  }));
});
