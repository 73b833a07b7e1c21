import assert from "node:assert/strict";
import fc from "fast-check";
import { type Lease, LeaseTable } from "./lease_table.ts";

type Step =
  | { readonly type: "add" | "extend"; readonly name: number; readonly endMs: number }
  | { readonly type: "drop" | "settle"; readonly name: number }
  | { readonly type: "over"; readonly nowMs: number };

const name = fc.nat(30);
const ms = fc.nat(100);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ type: fc.constantFrom("add", "extend"), name, endMs: ms }),
    fc.record({ type: fc.constantFrom("drop", "settle"), name }),
    fc.record({ type: fc.constant("over"), nowMs: ms }),
  ),
  { maxLength: 400 },
);

Deno.test("LeaseTable finds the lease that ends first, as a plain list does", () => {
  fc.assert(
    fc.property(steps, (script) => {
      const table = new LeaseTable(100);
      const model = new Map<number, { lease: Lease; endMs: number; isSettling: boolean }>();
      for (const step of script) {
        if (step.type === "over") {
          const ends = [...model.values()].filter(({ isSettling }) => !isSettling)
            .map(({ endMs }) => endMs);
          const least = Math.min(...ends);
          assert.equal(table.nextEndMs, ends.length === 0 ? null : least);
          const over = table.over(step.nowMs);
          assert.equal(over?.endMs ?? null, least <= step.nowMs ? least : null);
          continue;
        }
        const known = model.get(step.name);
        const text = String(step.name);
        assert.equal(table.has(text), known !== undefined);
        if (step.type === "add") {
          if (known !== undefined) continue;
          const lease = table.add(new Uint8Array(), text, step.endMs);
          model.set(step.name, { lease, endMs: step.endMs, isSettling: false });
        } else if (known === undefined) continue;
        else if (step.type === "extend") {
          table.extend(known.lease, step.endMs);
          Object.assign(known, { endMs: step.endMs, isSettling: false });
        } else if (step.type === "settle") {
          table.settle(known.lease);
          known.isSettling = true;
        } else {
          table.drop(known.lease);
          model.delete(step.name);
        }
      }
      assert.equal(table.size, model.size);
    }),
    { numRuns: 300 },
  );
});

Deno.test("LeaseTable numbers leases upwards and refuses to lease a message twice", () => {
  const table = new LeaseTable(7);
  assert.equal(table.add(new Uint8Array(), "a", 1).number, 7);
  assert.equal(table.add(new Uint8Array(), "b", 1).number, 8);
  assert.throws(() => table.add(new Uint8Array(), "a", 2), /leased already/);
});
