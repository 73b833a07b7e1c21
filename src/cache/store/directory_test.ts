import assert from "node:assert/strict";
import { Directory } from "./directory.ts";
import { entryOf } from "./store_fixture.ts";

Deno.test("Directory finds an item by id and both keys, and forgets all of it", () => {
  const directory = new Directory<{ value: ReturnType<typeof entryOf> }>();
  const item = { value: entryOf(1, { canonicalKey: "c" }) };
  directory.add(item);
  assert.equal(directory.byId(1), item);
  assert.equal(directory.byExact("exact 1"), item);
  assert.equal(directory.byCanonical("c"), item);
  directory.delete(item);
  assert.deepEqual([directory.size, directory.canonicalSize], [0, 0]);
  assert.equal(directory.byExact("exact 1"), undefined);
});

Deno.test("Directory leads from a canonical key to the newest item, then to none", () => {
  const directory = new Directory<{ value: ReturnType<typeof entryOf> }>();
  const [older, newer] = [1, 2].map((id) => ({ value: entryOf(id, { canonicalKey: "c" }) }));
  assert.ok(older && newer);
  directory.add(older);
  directory.add(newer);
  assert.equal(directory.byCanonical("c"), newer);
  directory.delete(newer);
  assert.equal(directory.byCanonical("c"), undefined);
  assert.equal(directory.byExact("exact 1"), older);
  directory.add(newer);
  directory.delete(older);
  assert.equal(directory.byCanonical("c"), newer);
});
