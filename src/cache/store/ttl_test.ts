import assert from "node:assert/strict";
import { jitteredTtlMs } from "./ttl.ts";

Deno.test("jitteredTtlMs() spreads over ten per cent on both sides", () => {
  assert.equal(jitteredTtlMs(3_600_000, () => 0), 3_240_000);
  assert.equal(jitteredTtlMs(3_600_000, () => 0.5), 3_600_000);
  assert.equal(jitteredTtlMs(3_600_000, () => 1 - 2 ** -53), 3_960_000);
});

Deno.test("jitteredTtlMs() gives whole milliseconds, and none for none", () => {
  assert.equal(jitteredTtlMs(333, () => 0.123), 308);
  assert.equal(jitteredTtlMs(0, () => 0.9), 0);
});
