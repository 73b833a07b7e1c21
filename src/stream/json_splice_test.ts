import assert from "node:assert/strict";
import fc from "fast-check";
import { depthExceeds, spliceTopLevel } from "./json_splice.ts";

/** A JSON text with random white space between its tokens. */
function withSpace(value: unknown, space: string): string {
  return JSON.stringify(value, null, 1).replaceAll("\n", `${space}\n`);
}

Deno.test("spliceTopLevel() leaves every other character as it was", () => {
  const text = String.raw`
    {"model" : "chat" ,"seed":12345678901234567890, "t":1.0e-7,"s":"a\"}\u00e9\\","n":{"model":"x"}}
  `;
  assert.equal(
    spliceTopLevel(text, { model: '"llama"' }),
    text.replace('"chat"', '"llama"'),
  );
});

Deno.test("spliceTopLevel() replaces a key however it is written and however often", () => {
  const text = String.raw`{"mo\u0064el":"a","x":1,"model":["b",{"c":"]"}],"model":null}`;
  assert.equal(
    spliceTopLevel(text, { model: "7" }),
    String.raw`{"mo\u0064el":7,"x":1,"model":7,"model":7}`,
  );
});

Deno.test("spliceTopLevel() adds what is missing behind the last member", () => {
  assert.equal(spliceTopLevel("{}", { a: "1", b: "2" }), '{"a":1,"b":2}');
  assert.equal(spliceTopLevel(" { } ", { a: "1" }), ' {"a":1 } ');
  assert.equal(spliceTopLevel('{"b":[] }\n', { 'q"': "1" }), '{"b":[],"q\\"":1 }\n');
  assert.equal(spliceTopLevel('{"a":1,"b":2}', { b: "3", c: "4" }), '{"a":1,"b":3,"c":4}');
  assert.equal(spliceTopLevel('{"a":1}', {}), '{"a":1}');
});

Deno.test("spliceTopLevel() is not confused by names that every object has", () => {
  assert.equal(
    spliceTopLevel('{"toString":1,"__proto__":2}', { constructor: "3" }),
    '{"toString":1,"__proto__":2,"constructor":3}',
  );
});

Deno.test("spliceTopLevel() refuses what is no whole object", () => {
  for (const text of ["", "[]", "1", "{", '{"a', '{"a":', '{"a":1', '{"a":"b', '{"a":[1,{"b":2}']) {
    assert.throws(() => spliceTopLevel(text, { a: "1" }), SyntaxError, JSON.stringify(text));
  }
});

Deno.test("spliceTopLevel() means the same as assigning to the parsed object", () => {
  const keys = fc.constantFrom("model", "stream", 'a"b', "\\", "é", "n");
  const bodies = fc.dictionary(fc.oneof(keys, fc.string()), fc.jsonValue());
  const changes = fc.dictionary(keys, fc.jsonValue(), { minKeys: 1 });
  const spaces = fc.constantFrom("", " ", "\t\r");
  fc.assert(fc.property(bodies, changes, spaces, (body, change, space) => {
    const printed = Object.entries(change).map(([key, value]) => [key, JSON.stringify(value)]);
    const spliced = spliceTopLevel(withSpace(body, space), Object.fromEntries(printed));
    assert.deepEqual(
      JSON.parse(spliced),
      JSON.parse(JSON.stringify({ ...body, ...change })),
    );
  }));
});

Deno.test("depthExceeds() counts arrays and objects, not brackets in strings", () => {
  assert.equal(depthExceeds('{"a":[{"b":"[[[[{{{\\"[["}]}', 3), false);
  assert.equal(depthExceeds('{"a":[{"b":"[[[[{{{\\"[["}]}', 2), true);
  assert.equal(depthExceeds("[[],[],[[]]]", 3), false);
  assert.equal(depthExceeds("[".repeat(100_000), 64), true);
  assert.equal(depthExceeds('"'.repeat(99_999), 0), false);
});

Deno.test("depthExceeds() agrees with a walk over the parsed value", () => {
  function depthOf(value: unknown): number {
    if (typeof value !== "object" || value === null) return 0;
    return 1 + Math.max(0, ...Object.values(value).map(depthOf));
  }
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
    const depth = depthOf(value);
    const text = JSON.stringify(value);
    assert.equal(depthExceeds(text, depth), false);
    if (depth > 0) assert.equal(depthExceeds(text, depth - 1), true);
  }));
});
