import assert from "node:assert/strict";
import { type ImportedRow, WriteBatches } from "./write_batches.ts";

function rowOf(number: number, keyBytes: number, dataBytes: number): ImportedRow {
  const key = new Uint8Array(keyBytes);
  new DataView(key.buffer).setUint32(0, number);
  return { key, data: new Uint8Array(dataBytes), encoding: 3, expiresMs: null };
}

function groupsOf(rows: readonly ImportedRow[]): (readonly ImportedRow[])[] {
  const batches = new WriteBatches();
  const groups = rows.map((row) => batches.add(row)).filter((group) => group !== null);
  const last = batches.take();
  return last === null ? groups : [...groups, last];
}

Deno.test("WriteBatches keeps all rows in their order, within the limits of a commit", () => {
  const kinds = [[4, 10, 1_700], [4, 65_536, 40], [2_048, 1, 100], [2_048, 65_536, 30]] as const;
  for (const [keyBytes, dataBytes, count] of kinds) {
    const rows = Array.from({ length: count }, (_, n) => rowOf(n, keyBytes, dataBytes));
    const groups = groupsOf(rows);
    assert.deepEqual(groups.flat(), rows);
    assert.ok(groups.length > 1);
    for (const group of groups) {
      const keys = group.reduce((sum, { key }) => sum + key.length, 0);
      const all = group.reduce((sum, { data }) => sum + data.length, keys);
      assert.ok(group.length <= 1_000 && keys <= 81_920 && all <= 819_200);
    }
  }
});

Deno.test("WriteBatches gives a row that is larger than a commit alone", () => {
  const rows = [rowOf(1, 4, 1), rowOf(2, 4, 900_000), rowOf(3, 4, 1)];
  assert.deepEqual(groupsOf(rows).map((group) => group.length), [1, 1, 1]);
  assert.deepEqual(groupsOf([]), []);
});
