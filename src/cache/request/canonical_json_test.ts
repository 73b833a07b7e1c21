import fc from "fast-check";
import assert from "node:assert/strict";
import { canonicalJson } from "./canonical_json.ts";

Deno.test("canonicalJson sorts fields at every depth and leaves lists in order", () => {
  assert.equal(
    canonicalJson({ b: [{ z: 1, a: null }, 2], a: "x" }),
    '{"a":"x","b":[{"a":null,"z":1},2]}',
  );
  assert.equal(canonicalJson([2, 1, [], {}]), "[2,1,[],{}]");
});

Deno.test("canonicalJson tells minus zero from zero, and 1e3 not from 1000", () => {
  assert.notEqual(canonicalJson(-0), canonicalJson(0));
  assert.equal(canonicalJson(JSON.parse("1e3")), canonicalJson(1000));
  assert.notEqual(canonicalJson("1"), canonicalJson(1));
  assert.notEqual(canonicalJson("null"), canonicalJson(null));
});

Deno.test("canonicalJson keeps halves of surrogate pairs apart", () => {
  assert.notEqual(canonicalJson("\ud800"), canonicalJson("\ud801"));
  assert.notEqual(canonicalJson({ "\ud800": 1 }), canonicalJson({ "\ud801": 1 }));
});

Deno.test("canonicalJson takes a field named __proto__ for a field", () => {
  assert.equal(canonicalJson(JSON.parse('{"__proto__":1}')), '{"__proto__":1}');
});

Deno.test("canonicalJson is JSON for the value it was made from", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(JSON.parse(canonicalJson(JSON.parse(text))), JSON.parse(text));
    }),
    { seed: 1, numRuns: 2_000 },
  );
});
