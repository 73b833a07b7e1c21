import assert from "node:assert/strict";
import { EntryRecord, KEPT_MAX } from "./entry_record.ts";

Deno.test("EntryRecord is lifted above the highest similarity it was wrong at", () => {
  const record = new EntryRecord("e");
  assert.ok(record.allows(0.7, 0.05));
  record.add({ similarity: 0.9, right: false });
  record.add({ similarity: 0.8, right: false });
  assert.ok(!record.allows(0.7, 0.05));
  assert.ok(!record.allows(0.9, 0.05));
  assert.ok(record.allows(0.91, 0.05));
});

Deno.test("EntryRecord has its own curve from six observations on", () => {
  const record = new EntryRecord("e");
  for (const similarity of [0.7, 0.75]) record.add({ similarity, right: false });
  for (const similarity of [0.8, 0.9, 0.95]) record.add({ similarity, right: true });
  assert.ok(record.allows(0.76, 0.05), "five observations only lift");
  record.add({ similarity: 0.97, right: true });
  assert.ok(!record.allows(0.76, 0.05), "the sixth brings the curve");
  assert.ok(record.allows(1, 0.2));
});

Deno.test("EntryRecord that was always right asks for nothing more", () => {
  const record = new EntryRecord("e");
  for (let i = 0; i < 10; i++) record.add({ similarity: 0.9, right: true });
  assert.ok(record.allows(0.61, 0.01));
});

Deno.test("EntryRecord that is wrong at every similarity is not served", () => {
  const record = new EntryRecord("e");
  for (const similarity of [0.7, 0.75, 0.8, 0.85, 0.9, 0.95]) {
    record.add({ similarity, right: false });
  }
  assert.ok(!record.allows(1, 0.1));
});

Deno.test("EntryRecord keeps the last observations, and the lift beyond them", () => {
  const record = new EntryRecord("e");
  record.add({ similarity: 0.9, right: false });
  for (let i = 0; i < KEPT_MAX; i++) record.add({ similarity: 0.95, right: true });
  assert.equal(record.points.length, KEPT_MAX);
  assert.ok(!record.allows(0.9, 0.1));
  assert.ok(record.allows(0.91, 0.1));
});
