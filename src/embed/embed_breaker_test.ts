import assert from "node:assert/strict";
import { admitCall, CLOSED_BREAKER, type EmbedBreaker, settleCall } from "./embed_breaker.ts";

const POLICY = { failuresMax: 3, openMs: 100, openMaxMs: 500 };

function settle(
  breaker: EmbedBreaker,
  ok: boolean,
  nowMs: number,
  more: { readonly epoch?: number; readonly retryAfterMs?: number } = {},
): EmbedBreaker {
  const outcome = { ok, nowMs, epoch: breaker.epoch, retryAfterMs: null, ...more };
  return settleCall(breaker, outcome, POLICY);
}

function tripped(nowMs = 0): EmbedBreaker {
  let breaker = CLOSED_BREAKER;
  for (let i = 0; i < 3; i++) breaker = settle(breaker, false, nowMs);
  return breaker;
}

/** How long it stays open from `nowMs` on. */
function openMs(breaker: EmbedBreaker, nowMs: number): number {
  assert.ok(breaker.phase === "open");
  return breaker.untilMs - nowMs;
}

function probe(breaker: EmbedBreaker, nowMs: number): EmbedBreaker {
  const probing = admitCall(breaker, nowMs);
  assert.ok(probing?.phase === "half_open");
  assert.equal(admitCall(probing, nowMs + 1e6), null);
  return probing;
}

Deno.test("settleCall opens at the third failure in a row, not at three in all", () => {
  let breaker = CLOSED_BREAKER;
  for (const ok of [false, false, true, false, false]) breaker = settle(breaker, ok, 0);
  assert.equal(breaker.phase, "closed");
  breaker = settle(breaker, false, 0);
  assert.equal(openMs(breaker, 0), 100);
  assert.equal(admitCall(breaker, 99), null);
});

Deno.test("admitCall lets one probe through, which closes or opens for twice as long", () => {
  let breaker = tripped();
  let nowMs = 0;
  for (const lasting of [200, 400, 500, 500]) {
    nowMs += openMs(breaker, nowMs);
    breaker = settle(probe(breaker, nowMs), false, nowMs);
    assert.equal(openMs(breaker, nowMs), lasting);
  }
  breaker = settle(probe(breaker, nowMs + 500), true, nowMs + 501);
  assert.equal(breaker.phase, "closed");
  assert.equal(openMs(tripped(7), 7), 100);
});

Deno.test("settleCall ignores outcomes of another epoch", () => {
  const open = tripped();
  assert.equal(settle(open, true, 10, { epoch: 0 }), open);
  const probing = probe(open, 100);
  for (const epoch of [0, open.epoch]) {
    assert.equal(settle(probing, true, 110, { epoch }), probing);
    assert.equal(settle(probing, false, 110, { epoch }), probing);
  }
  assert.equal(settle(open, false, 10), open);
});

Deno.test("settleCall stays open as long as the backend asks, within its limit", () => {
  const opened = (retryAfterMs: number) => {
    let breaker = CLOSED_BREAKER;
    for (let i = 0; i < 3; i++) breaker = settle(breaker, false, 0, { retryAfterMs });
    return openMs(breaker, 0);
  };
  assert.equal(opened(300), 300);
  assert.equal(opened(10), 100);
  assert.equal(opened(60_000), 500);
});
