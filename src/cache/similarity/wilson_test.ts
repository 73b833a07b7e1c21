import assert from "node:assert/strict";
import { foreseenUpper, wilsonUpper } from "./wilson.ts";

function near(actual: number, expected: number, tolerance = 5e-5): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

Deno.test("wilsonUpper gives the published limits (Newcombe 1998, table I, method 3)", () => {
  near(wilsonUpper(81, 263, 1.959964), 0.3662);
  near(wilsonUpper(15, 148, 1.959964), 0.1605);
  near(wilsonUpper(0, 20, 1.959964), 0.1611);
  near(wilsonUpper(1, 29, 1.959964), 0.1718);
});

Deno.test("wilsonUpper of a clean record needs 2.71 (1 − δ) / δ observations", () => {
  for (const [bound, needed] of [[0.1, 25], [0.05, 52], [0.02, 133], [0.01, 268]] as const) {
    assert.ok(wilsonUpper(0, needed, 1.645) <= bound, `${needed} are not enough for ${bound}`);
    assert.ok(wilsonUpper(0, needed - 1, 1.645) > bound, `${needed - 1} are enough for ${bound}`);
  }
});

Deno.test("wilsonUpper knows nothing without observations, and never passes 1", () => {
  assert.equal(wilsonUpper(0, 0, 1.645), 1);
  assert.equal(wilsonUpper(3, 3, 1.645), 1);
});

Deno.test("foreseenUpper is Wilson's bound for an endless horizon and wider for a short one", () => {
  near(foreseenUpper(4, 200, { z: 1.645, horizon: 1e12 }), wilsonUpper(4, 200, 1.645), 1e-9);
  near(foreseenUpper(4, 200, { z: 1.645, horizon: 200 }), wilsonUpper(2, 100, 1.645), 1e-12);
  assert.ok(foreseenUpper(4, 200, { z: 1.645, horizon: 50 }) > wilsonUpper(2, 100, 1.645));
});
