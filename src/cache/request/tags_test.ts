import assert from "node:assert/strict";
import { clientTag, prefixTag } from "./tags.ts";

Deno.test("clientTag keeps tenants apart, whatever their names hold", () => {
  assert.equal(clientTag("acme", "faq"), "tag:acme/faq");
  assert.notEqual(clientTag("a/b", "c"), clientTag("a", "b/c"));
  assert.notEqual(clientTag("a%2Fb", "c"), clientTag("a/b", "c"));
  assert.notEqual(clientTag("", "a/b"), clientTag("a", "b"));
});

Deno.test("clientTag cannot be made to look like another kind of tag", () => {
  for (const tag of ["tenant:x", "model:x", "prefix:x", "tag:y/x"]) {
    assert.ok(clientTag("t", tag).startsWith("tag:t/"));
  }
});

Deno.test("prefixTag depends on every character of the system prompt", () => {
  assert.match(prefixTag("You are kind"), /^prefix:[\w-]{16}$/);
  assert.equal(prefixTag("You are kind"), prefixTag("You are kind"));
  assert.notEqual(prefixTag("You are kind"), prefixTag("You are kind "));
});
