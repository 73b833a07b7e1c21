import assert from "node:assert/strict";
import fc from "fast-check";
import { Roster } from "./roster.ts";

Deno.test("Roster holds what a Set would hold", () => {
  const step = fc.record({ add: fc.boolean(), which: fc.nat(9) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const items = Array.from({ length: 10 }, (_, name) => ({ name, rosterPlace: -1 }));
    const roster = new Roster<{ name: number; rosterPlace: number }>();
    const model = new Set<number>();
    for (const { add, which } of steps) {
      const item = items[which];
      assert.ok(item);
      if (add) {
        roster.add(item);
        model.add(which);
      } else {
        roster.delete(item);
        model.delete(which);
      }
      const held = roster.snapshot().map(({ name }) => name).sort((a, b) => a - b);
      assert.deepEqual(held, [...model].sort((a, b) => a - b));
      assert.equal(roster.size, model.size);
    }
  }));
});
