import assert from "node:assert/strict";
import { promptFactor, PromptFit } from "./prompt_fit.ts";

function near(actual: number, expected: number, tolerance = 1e-6): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

/** A fit over `count` samples of a line, with prompts of 100 to 1,900 tokens. */
function fitOf(count: number, secondsAt: (tokens: number) => number): PromptFit {
  const fit = new PromptFit();
  for (let i = 0; i < count; i++) {
    const tokens = 100 + (i % 19) * 100;
    fit.add(tokens, secondsAt(tokens));
  }
  return fit;
}

Deno.test("promptFactor is the line over its mean, within an eighth and eight (case 14)", () => {
  const line = { interceptSeconds: 0.08, slopeSeconds: 0.0002, meanTokens: 1000 };
  near(promptFactor(line, 4000), 3.142857);
  near(promptFactor(line, 100), 0.357143);
  near(promptFactor(line, 50_000), 8);
  near(0.88 / promptFactor(line, 4000), 0.28);
  near(promptFactor({ ...line, interceptSeconds: 0.001, slopeSeconds: 1 }, 0), 1 / 8);
});

Deno.test("PromptFit finds the line it is fed", () => {
  const line = fitOf(400, (tokens) => 0.08 + 0.0002 * tokens).line;
  assert.ok(line);
  near(line.interceptSeconds, 0.08);
  near(line.slopeSeconds, 0.0002);
});

Deno.test("PromptFit says nothing below 20 samples", () => {
  assert.equal(fitOf(19, (tokens) => tokens).factor(1900), 1);
  assert.ok(fitOf(20, (tokens) => tokens).factor(1900) > 1.5);
});

Deno.test("PromptFit never falls with the prompt, nor below 5 % of the mean at none", () => {
  const falling = fitOf(100, (tokens) => 1 - tokens / 2000).line;
  assert.ok(falling);
  near(falling.slopeSeconds, 0);
  const steep = fitOf(100, (tokens) => Math.max(0, tokens - 900) / 1000);
  const line = steep.line;
  assert.ok(line);
  const mean = line.interceptSeconds + line.slopeSeconds * line.meanTokens;
  near(line.interceptSeconds, 0.05 * mean);
  near(steep.factor(line.meanTokens), 1);
});

Deno.test("PromptFit takes prompts of one length as they are", () => {
  const fit = new PromptFit();
  for (let i = 0; i < 50; i++) fit.add(700, 0.1 + 0.01 * (i % 3));
  near(fit.factor(700), 1);
  near(fit.factor(70_000), 1);
});
