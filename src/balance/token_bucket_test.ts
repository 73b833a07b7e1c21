import assert from "node:assert/strict";
import { TokenBucket } from "./token_bucket.ts";

const RETRIES = { max: 10, perRequest: 0.2, perSecond: 1 };

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

Deno.test("TokenBucket fills with requests and time", () => {
  const bucket = new TokenBucket(RETRIES);
  for (let i = 0; i < 6; i++) assert.equal(bucket.take(0), true);
  for (let i = 1; i <= 5; i++) bucket.request(i / 5);
  near(bucket.read(1), 6);

  const empty = new TokenBucket(RETRIES, 0);
  near(empty.read(0), 0);
  for (let i = 0; i < 4; i++) empty.request(0.1);
  near(empty.read(0.3), 1.1);
});

Deno.test("TokenBucket gives nothing when empty and holds no more than its maximum", () => {
  const bucket = new TokenBucket(RETRIES);
  for (let i = 0; i < 10; i++) assert.equal(bucket.take(5), true);
  assert.equal(bucket.take(5), false);
  assert.equal(bucket.take(5.9), false);
  assert.equal(bucket.take(6.1), true);
  near(bucket.read(1000), 10);
});

Deno.test("TokenBucket without a rate in time fills by requests alone, to at most 5 %", () => {
  const bucket = new TokenBucket({ max: 5, perRequest: 0.05, perSecond: 0 });
  let taken = 0;
  for (let i = 0; i < 1000; i++) {
    bucket.request(i);
    if (bucket.take(i)) taken++;
  }
  assert.ok(taken <= 5 + 50 && taken >= 50, `${taken} taken`);
});
