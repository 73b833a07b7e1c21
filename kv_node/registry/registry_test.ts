import assert from "node:assert/strict";
import { openMemoryGroup } from "../../tests/support/kv_group.ts";
import { KvError } from "../errors.ts";
import { Registry } from "./registry.ts";

let asked = 0;

/** A registry on a group of its own, with bytes that are all different. */
function openRegistry(group = openMemoryGroup(0), databasesMax = 10): Registry {
  const randomBytes = (count: number) => {
    asked++;
    return Uint8Array.from({ length: count }, (_, i) => asked * 31 + i * 7);
  };
  return new Registry({ store: group.engine, randomBytes, databasesMax });
}

Deno.test("Registry makes the default database and a signing key, once", async () => {
  const group = openMemoryGroup(0);
  const registry = openRegistry(group);
  await registry.prepare();
  assert.deepEqual(registry.list().map(({ name, number }) => [name, number]), [["default", 1]]);
  assert.equal(registry.signingKeys.length, 1);
  const again = openRegistry(group);
  await again.prepare();
  assert.deepEqual(again.list(), registry.list());
  assert.deepEqual(again.signingKeys, registry.signingKeys);
});

Deno.test("Registry gives each database a number and a UUID of its own, whoever makes them at once", async () => {
  const group = openMemoryGroup(0);
  const [one, other] = [openRegistry(group), openRegistry(group)];
  await other.create("warmup");
  const names = ["a", "b", "c", "a", "b"];
  await Promise.all(names.flatMap((name) => [one.create(name), other.create(name)]));
  const records = one.list();
  assert.deepEqual(records.map(({ name }) => name), ["a", "b", "c", "warmup"]);
  assert.equal(new Set(records.map(({ number }) => number)).size, 4);
  assert.equal(one.findById(records[0]?.id ?? "")?.name, "a");
  for (const { id } of records) {
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

Deno.test("Registry refuses names that are no path, and one database too many", async () => {
  const registry = openRegistry(openMemoryGroup(0), 2);
  for (const name of ["", "a/b", "-a", "x".repeat(65), "ä", "a b"]) {
    await assert.rejects(registry.create(name), KvError);
  }
  await registry.create("a");
  await registry.create("b");
  const refusal = await registry.create("c").catch((error: unknown) => error);
  assert.ok(refusal instanceof KvError && refusal.code === "limit_exceeded");
  assert.equal((await registry.create("a")).name, "a");
});

Deno.test("Registry keeps tokens as digests, and a revoked one voids data tokens", async () => {
  const group = openMemoryGroup(0);
  const registry = openRegistry(group);
  const made = await registry.create("a");
  const { id, token } = await registry.addToken("a");
  const record = registry.find("a") ?? made;
  assert.equal(registry.opens(record, token), true);
  assert.equal(registry.opens(record, `${token}x`), false);
  assert.ok(!JSON.stringify(registry.list()).includes(token));
  await registry.removeToken("a", id);
  const after = registry.find("a") ?? made;
  assert.equal(registry.opens(after, token), false);
  assert.equal(after.epoch, record.epoch + 1);
  await assert.rejects(registry.removeToken("a", id), KvError);
});

Deno.test("Registry changes limits and doors, and tells who asked to be told", async () => {
  const registry = openRegistry();
  await registry.create("a");
  let changes = 0;
  using _told = registry.onChange(() => changes++);
  await registry.update("a", (one) => ({ ...one, limits: { checksMax: 3 }, writeDisabled: true }));
  const record = registry.find("a");
  assert.equal(record?.writeDisabled, true);
  assert.equal(record === null ? 0 : registry.limitsOf(record).checksMax, 3);
  assert.equal(record === null ? 0 : registry.limitsOf(record).rangesMax, 10);
  assert.equal(changes, 1);
  await assert.rejects(registry.update("b", (one) => one), KvError);
});

Deno.test("Registry signs with a new key and keeps the one before it", async () => {
  const registry = openRegistry();
  await registry.prepare();
  const [first] = registry.signingKeys;
  await registry.rotateSigningKeys();
  assert.equal(registry.signingKeys.length, 2);
  assert.deepEqual(registry.signingKeys[1], first);
  await registry.rotateSigningKeys();
  assert.ok(!registry.signingKeys.some(({ id }) => id === first?.id));
});
