import assert from "node:assert/strict";
import { backoffSeconds, doublingSeconds } from "./backoff.ts";

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

Deno.test("backoffSeconds is full jitter of a doubling time up to 2 s", () => {
  near(backoffSeconds(3, 0.25), 0.1);
  near(backoffSeconds(1, 0.5), 0.05);
  near(backoffSeconds(20, 0.5), 1);
});

Deno.test("doublingSeconds gives the open times of trips 1 to 5 (case 18)", () => {
  const bounds = { baseSeconds: 2, maxSeconds: 15 };
  [1.5, 3, 6, 11.25, 11.25].forEach((seconds, i) =>
    near(doublingSeconds(i + 1, bounds, 0.5), seconds)
  );
});
