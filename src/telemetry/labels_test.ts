import assert from "node:assert/strict";
import { KnownNames, providerName, statusLabel } from "./labels.ts";

Deno.test("statusLabel() has a closed set of values", () => {
  const labels = new Set<string>();
  for (let status = -5; status < 2_000; status++) labels.add(statusLabel(status));
  labels.add(statusLabel(NaN));
  assert.ok(labels.size <= 31, [...labels].join(" "));
  assert.equal(statusLabel(529), "529");
  assert.equal(statusLabel(418), "4xx");
  assert.equal(statusLabel(0), "_OTHER");
});

Deno.test("KnownNames.label() passes configured names only, and keeps those that were", () => {
  let configured = ["a", "b"];
  const names = new KnownNames(() => configured);
  assert.equal(names.label("a"), "a");
  assert.equal(names.label("c"), "_OTHER");
  assert.equal(names.label(null), "");
  configured = ["c"];
  assert.equal(names.label("c"), "c");
  assert.equal(names.label("a"), "a");
  assert.equal(names.label("b"), "_OTHER");
});

Deno.test("KnownNames.label() stops growing after a thousand names", () => {
  let current = "";
  const names = new KnownNames(() => [current]);
  let passed = 0;
  for (let i = 0; i < 1_500; i++) {
    current = `name-${i}`;
    if (names.label(current) === current) passed++;
  }
  assert.equal(passed, 1_000);
});

Deno.test("providerName() follows the GenAI conventions", () => {
  assert.equal(providerName("azure"), "azure.ai.openai");
  assert.equal(providerName(null), "_OTHER");
});
