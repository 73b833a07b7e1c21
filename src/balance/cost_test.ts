import assert from "node:assert/strict";
import { costSeconds, decodeFactor, slowStart, wholeAnswerSample } from "./cost.ts";

function near(actual: number | null, expected: number): void {
  assert.ok(actual !== null && Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

Deno.test("costSeconds grows with load and falls with weight (case 8)", () => {
  const load = { latencySeconds: 0.4 * Math.exp(-0.1), decodeFactor: 1, inFlight: 3, weight: 1 };
  near(costSeconds(load), 1.44774);
  near(costSeconds({ ...load, weight: 2 }), 0.72387);
});

Deno.test("costSeconds is (value, active) as in Envoy's cost test", () => {
  const cost = (latencySeconds: number, inFlight: number) =>
    costSeconds({ latencySeconds, inFlight, decodeFactor: 1, weight: 1 });
  near(cost(20, 5), 120);
  near(cost(30, 0), 30);
  near(cost(50, 2), 150);
});

Deno.test("slowStart rises from a tenth to one (case 15)", () => {
  near(slowStart(3, 10), 0.3);
  near(slowStart(0.5, 10), 0.1);
  near(slowStart(20, 10), 1);
  near(slowStart(Infinity, 10), 1);
  const weight = slowStart(3, 10);
  near(costSeconds({ latencySeconds: 0.5, decodeFactor: 1, inFlight: 1, weight }), 3.333333);
});

Deno.test("decodeFactor compares with the median, from 1 to 10", () => {
  near(decodeFactor(0.06, 0.02), 3);
  near(decodeFactor(0.01, 0.02), 1);
  near(decodeFactor(0.9, 0.02), 10);
  near(decodeFactor(Number.NaN, 0.02), 1);
  near(decodeFactor(0.06, 0), 1);
});

Deno.test("wholeAnswerSample takes the decoding off (case 16)", () => {
  near(wholeAnswerSample({ totalSeconds: 5, tokens: 200 }, 0.02), 1.02);
  assert.equal(wholeAnswerSample({ totalSeconds: 3.99, tokens: 200 }, 0.02), null);
  assert.equal(wholeAnswerSample({ totalSeconds: 5, tokens: 200 }, Number.NaN), null);
  near(wholeAnswerSample({ totalSeconds: 0.3, tokens: 0 }, Number.NaN), 0.3);
});
