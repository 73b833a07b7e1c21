import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorRecord } from "./error_record.ts";

function recordOf(
  ...counts: ReadonlyArray<readonly [similarity: number, right: boolean, n: number]>
) {
  const record = new ErrorRecord();
  for (const [similarity, right, n] of counts) {
    for (let i = 0; i < n; i++) record.add(similarity, right);
  }
  return record;
}

Deno.test("ErrorRecord stays shut until the clean observations that it names have come", () => {
  for (const bound of [0.1, 0.05, 0.02, 0.01]) {
    const record = new ErrorRecord();
    const needed = record.cleanNeeded(bound);
    assert.ok(needed > 2.71 * (1 - bound) / bound, `${needed} are too few at ${bound}`);
    for (let i = 1; i < needed; i++) record.add(0.95, true);
    assert.equal(record.servesFrom(bound), null);
    assert.equal(record.cleanNeeded(bound), 1);
    record.add(0.95, true);
    assert.equal(record.cleanNeeded(bound), 0);
    assert.ok(record.allows(0.95, bound) && record.allows(1, bound));
    assert.ok(!record.allows(0.94, bound));
  }
});

Deno.test("ErrorRecord serves from the least similarity at and above which the error is low", () => {
  const record = recordOf([0.95, true, 300], [0.85, true, 300], [0.65, true, 100], [
    0.65,
    false,
    100,
  ]);
  assert.ok(record.allows(0.85, 0.05));
  assert.ok(!record.allows(0.65, 0.05));
  const from = record.servesFrom(0.05) ?? 0;
  assert.ok(from > 0.65 && from <= 0.85, `serves from ${from}`);
});

Deno.test("ErrorRecord shuts again when wrong observations come", () => {
  const record = recordOf([0.9, true, 200]);
  assert.ok(record.allows(0.9, 0.05));
  for (let i = 0; i < 5; i++) record.add(0.9, false);
  assert.ok(!record.allows(0.99, 0.05));
  assert.ok(record.cleanNeeded(0.05) > 100);
});

Deno.test("ErrorRecord keeps separate lines for separate bounds", () => {
  const record = recordOf([0.9, true, 100]);
  assert.notEqual(record.servesFrom(0.1), null);
  assert.equal(record.servesFrom(0.02), null);
  assert.notEqual(record.servesFrom(0.1), null);
});

Deno.test("ErrorRecord forgets slowly: after halving, a new fault shuts it", () => {
  const record = recordOf([0.9, true, 20_000]);
  assert.ok(record.observations <= 10_000);
  for (let i = 0; i < 600; i++) record.add(0.9, false);
  assert.equal(record.servesFrom(0.05), null);
});

Deno.test("ErrorRecord opens on a low error and widens as hits add up", () => {
  const record = recordOf([0.9, true, 500], [0.7, true, 480], [0.7, false, 20]);
  assert.ok(record.allows(0.9, 0.05) && !record.allows(0.7, 0.05));
  for (let i = 0; i < 500; i++) record.addServed();
  record.add(0.9, true);
  assert.ok(record.allows(0.7, 0.05));
});

Deno.test("ErrorRecord never serves what was not observed, or below 0.6, or NaN", () => {
  assert.equal(new ErrorRecord().servesFrom(0.1), null);
  const record = recordOf([0.3, true, 500], [NaN, true, 500]);
  assert.equal(record.observations, 0);
  const open = recordOf([0.6, true, 500]);
  assert.ok(open.allows(0.6, 0.1));
  assert.ok(!open.allows(0.59, 0.1) && !open.allows(NaN, 0.1));
});

Deno.test("ErrorRecord: a stricter bound never serves lower", () => {
  const observation = fc.tuple(
    fc.double({ min: 0.6, max: 1, noNaN: true }),
    fc.integer({ min: 0, max: 30 }),
  );
  fc.assert(fc.property(fc.array(observation, { minLength: 50, maxLength: 400 }), (observed) => {
    const record = new ErrorRecord();
    for (const [similarity, chance] of observed) record.add(similarity, chance > 0);
    const [strict, loose] = [record.servesFrom(0.03) ?? 2, record.servesFrom(0.1) ?? 2];
    assert.ok(strict >= loose, `${strict} at 3 %, ${loose} at 10 %`);
  }));
});
