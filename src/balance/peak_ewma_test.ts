import assert from "node:assert/strict";
import { failureSample, PeakEwma } from "./peak_ewma.ts";

/** An estimate with these samples, as pairs of time and value. */
function estimate(...samples: ReadonlyArray<readonly [number, number]>): PeakEwma {
  const ewma = new PeakEwma(10);
  for (const [atSeconds, seconds] of samples) ewma.observe(seconds, atSeconds);
  return ewma;
}

function near(actual: number, expected: number, tolerance = 1e-6): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

/** A failure as the balancer records it, with a baseline and no silence. */
function fail(ewma: PeakEwma, elapsedSeconds: number, baselineSeconds: number, at: number): void {
  const latencySeconds = ewma.read(at);
  const evidence = { elapsedSeconds, latencySeconds, baselineSeconds, maxSeconds: 60 };
  ewma.observe(failureSample(evidence), at);
}

Deno.test("PeakEwma.read decays by time (cases 1, 2)", () => {
  near(estimate([0, 1]).read(0.5), 0.951229);
  near(estimate([0, 0.4]).read(1), 0.361935);
  near(estimate([0, 0.4]).read(10), 0.147152);
});

Deno.test("PeakEwma.observe takes a slower sample at once (cases 3, 6)", () => {
  near(estimate([0, 0.4], [2, 0.9]).valueSeconds, 0.9);
  near(estimate([0, 0.4], [10, 0.2]).valueSeconds, 0.2);
});

Deno.test("PeakEwma.observe comes down by the time gone by (cases 4, 5, 7)", () => {
  near(estimate([0, 0.9], [1, 0.3]).valueSeconds, 0.842902);
  near(estimate([0, 0.9], [1, 0.3], [2, 0.3], [3, 0.3]).valueSeconds, 0.744491);
  near(estimate([0, 1], [10, 0.2]).valueSeconds, 0.494304);
});

Deno.test("PeakEwma.read changes nothing, however often (case 4)", () => {
  const ewma = estimate([0, 0.9]);
  for (let i = 0; i < 100; i++) ewma.read(i / 100);
  ewma.observe(0.3, 1);
  near(ewma.valueSeconds, 0.842902);
});

Deno.test("PeakEwma.observe gives a sample from the past no weight", () => {
  const ewma = estimate([5, 0.9]);
  ewma.observe(0.1, 4);
  near(ewma.valueSeconds, 0.9);
  near(ewma.read(15), 0.9 * Math.exp(-1));
});

Deno.test("failureSample doubles the worse of latency and baseline (cases 10, 11)", () => {
  const ewma = estimate([0, 0.4]);
  const expected = [1, 1.902459, 3.61935, 6.885664, 13.099692];
  expected.forEach((value, i) => {
    fail(ewma, 0.005, 0.5, 1 + i / 2);
    near(ewma.valueSeconds, value);
  });
});

Deno.test("failureSample is the time waited if longer, 60 s at most (case 12)", () => {
  const ewma = estimate([0, 0.4]);
  fail(ewma, 30, 0.5, 1);
  near(ewma.valueSeconds, 30);
  const dear = estimate([0, 40]);
  fail(dear, 0.005, 0.5, 0);
  near(dear.valueSeconds, 60);
});

Deno.test("PeakEwma makes a ten times slower idle backend equal again after 10 ln 5 seconds", () => {
  const atSeconds = 10 * Math.log(5);
  near(estimate([0, 4]).read(atSeconds), 2 * 0.4);
});

// The published tests below use other time constants and defaults.

Deno.test("PeakEwma decays from its default as in tower's test", () => {
  const ewma = new PeakEwma(1);
  ewma.observe(0.01, 0);
  assert.ok(ewma.read(0.1) > 0.009 && ewma.read(0.1) < 0.01);
  assert.ok(ewma.read(0.2) > 0.008 && ewma.read(0.2) < 0.009);
});

Deno.test("PeakEwma under load decays as in tower's compound_decay", () => {
  const ewma = new PeakEwma(1);
  ewma.observe(0.02, 0);
  ewma.observe(0.2, 0.3);
  near(ewma.read(0.3) * 2, 0.4);
  ewma.observe(0.2, 0.4);
  near(ewma.read(0.4), 0.2);
  assert.ok(ewma.read(1.4) < 0.1);
  assert.ok(ewma.read(11.4) < 0.0001);
});

Deno.test("PeakEwma goes to 1/e after its time constant as in linkerd's test", () => {
  const ewma = estimate([0, 1]);
  ewma.observe(0, 10);
  near(ewma.valueSeconds, 0.36787944117144233, 1e-15);
});
