import assert from "node:assert/strict";
import { retryAfterSeconds } from "./retry_after.ts";

function read(headers: Record<string, string>, wallMs = 0): number | null {
  return retryAfterSeconds((name) => headers[name] ?? null, wallMs);
}

Deno.test("retryAfterSeconds() reads seconds, milliseconds and dates", () => {
  assert.equal(read({ "retry-after": "2" }), 2);
  assert.equal(read({ "retry-after": " 1.5 " }), 1.5);
  assert.equal(read({ "retry-after-ms": "250", "retry-after": "9" }), 0.25);
  const date = "Wed, 21 Oct 2026 07:28:10 GMT";
  assert.equal(read({ "retry-after": date }, Date.UTC(2026, 9, 21, 7, 28, 0)), 10);
});

Deno.test("retryAfterSeconds() never waits for the past or for ever", () => {
  const date = "Wed, 21 Oct 2026 07:28:10 GMT";
  assert.equal(read({ "retry-after": date }, Date.UTC(2026, 9, 21, 8, 0, 0)), 0);
  assert.equal(read({ "retry-after": "999999999" }), 86_400);
});

Deno.test("retryAfterSeconds() gives null for what cannot be read", () => {
  for (const value of ["", "soon", "-1", "1e3"]) assert.equal(read({ "retry-after": value }), null);
  assert.equal(read({}), null);
});
