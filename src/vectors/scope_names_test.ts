import assert from "node:assert/strict";
import { ScopeNames } from "./scope_names.ts";

Deno.test("ScopeNames keeps a number until the last change that names it is dropped", () => {
  const names = new ScopeNames();
  names.touch("a", 1);
  const number = names.numberOf("a");
  names.touch("a", 2);
  names.release(number, 1); // Empty then, but changed since.
  names.forget(9);
  assert.equal(names.find("a"), number);

  names.release(number, 2);
  names.forget(1);
  assert.equal(names.find("a"), number); // A builder may still have to be sent change 2.
  names.forget(2);
  assert.equal(names.find("a"), undefined);
  assert.notEqual(names.numberOf("a"), number);
});

Deno.test("ScopeNames does not forget a scope that is used again meanwhile", () => {
  const names = new ScopeNames();
  names.touch("a", 1);
  names.release(names.numberOf("a"), 1);
  names.touch("a", 2);
  names.forget(2);
  assert.ok(names.find("a") !== undefined);
});

Deno.test("ScopeNames takes kept numbers over and moves what came before them", () => {
  const names = new ScopeNames();
  names.touch("early", 1);
  names.touch("kept", 2);
  names.adopt([[1, "other"], [2, "kept"]]);
  assert.equal(names.find("other"), 1);
  assert.equal(names.find("kept"), 2);
  assert.equal(names.find("early"), 3);
  assert.equal(names.nameOf(1), "other");

  names.retain(new Set([3]), 1);
  names.forget(1);
  // "kept" was changed after the census.
  assert.deepEqual(names.table().toSorted(), [[2, "kept"], [3, "early"]]);
});
