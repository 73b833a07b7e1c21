import assert from "node:assert/strict";
import { deserialize, serialize } from "node:v8";
import fc from "fast-check";
import { readV8Number, writeV8Number } from "./v8_number.ts";

const anyNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.integer({ min: -(2 ** 33), max: 2 ** 33 }),
  fc.constantFrom(-0, 2 ** 31, 2 ** 31 - 1, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32),
);
const anyBigint = fc.oneof(fc.bigInt(), fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }));

function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text);
}

function asBytes(value: unknown): Uint8Array {
  return new Uint8Array(serialize(value));
}

Deno.test("writeV8Number writes the bytes of V8", () => {
  fc.assert(fc.property(fc.oneof(anyNumber, anyBigint), (value) => {
    // V8 keeps some whole numbers as doubles, and writes them so.
    const whole = typeof value === "number" && Object.is(value, value | 0) ? value | 0 : value;
    assert.equal(writeV8Number(value).toHex(), asBytes(whole).toHex());
    assert.deepEqual(deserialize(writeV8Number(value)), value);
  }));
});

Deno.test("readV8Number reads the bytes of V8", () => {
  fc.assert(fc.property(fc.oneof(anyNumber, anyBigint), (value) => {
    assert.deepEqual(readV8Number(asBytes(value)), value);
  }));
});

Deno.test("readV8Number reads what Deno stores, a uint32 and padding", () => {
  assert.equal(readV8Number(hex("ff104902")), 1);
  assert.equal(readV8Number(hex("ff0d55ffffffff0f")), 2 ** 32 - 1);
  assert.equal(readV8Number(hex("ff0f00000049ffffffff0f")), -(2 ** 31));
  assert.equal(readV8Number(hex("ff0f4e0000000000001440")), 5);
  assert.equal(readV8Number(hex("ff0f5a110a00000000000000")), -10n);
  assert.equal(readV8Number(hex("ff0f5a01")), 0n);
});

Deno.test("readV8Number takes nothing else for a number", () => {
  for (const value of ["1", true, null, undefined, new Date(1), { value: 1 }, [1], new Number(1)]) {
    assert.equal(readV8Number(asBytes(value)), null);
  }
  const broken = ["", "ff", "ff0f", "ff0f49", "ff0f4980", "ff0f490200", "ff0c4902", "ff114902"];
  const cut = ["004902", "ff0f4e00000000000014", "ff0f4e000000000000144000", "ff0f49ffffffff1f"];
  const odd = ["ff0f5a08000000", "ff0f5a1000000000000000", "ff0f5a10000000000000000000"];
  for (const text of [...broken, ...cut, ...odd, "ff0f4980808080808001", "ff0f5affffffff0f"]) {
    assert.equal(readV8Number(hex(text)), null, text);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
    const value = readV8Number(Uint8Array.of(0xff, 0x0f, ...bytes));
    if (value !== null) assert.deepEqual(readV8Number(writeV8Number(value)), value);
  }));
});

Deno.test("writeV8Number writes one NaN for all", () => {
  const negative = new Float64Array(Uint8Array.of(1, 0, 0, 0, 0, 0, 0xf8, 0xff).buffer)[0] ?? 0;
  assert.equal(writeV8Number(negative).toHex(), writeV8Number(NaN).toHex());
});
