import assert from "node:assert/strict";
import { demandOf, type Stage, targetOf, Theatre } from "../../tests/support/dispatch_script.ts";
import type { Capabilities, FailureReason } from "./types.ts";

const AB: Stage = { targets: [targetOf("a"), targetOf("b")] };
const TIERS: Stage = { targets: [targetOf("a"), targetOf("b", { tier: 1 })] };
const ALONE: Stage = { targets: [targetOf("a")] };

function near(actual: number | null, expected: number): void {
  assert.ok(actual !== null && Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

function capable(differences: Partial<Capabilities>): { readonly capabilities: Capabilities } {
  return { capabilities: { ...targetOf("").capabilities, ...differences } };
}

Deno.test("Dispatch counts an attempt in flight from pick until the stream ends", () => {
  const theatre = new Theatre(ALONE);
  const script = theatre.request();
  assert.equal(script.sent, "a");
  assert.equal(script.attempt.kind, "first");
  assert.equal(theatre.snapshot("a").inFlight, 1);
  theatre.nowSeconds = 0.3;
  script.firstToken();
  assert.equal(theatre.snapshot("a").inFlight, 1);
  near(theatre.snapshot("a").latencySeconds, 0.3);
  script.finish();
  assert.equal(theatre.snapshot("a").inFlight, 0);
});

Deno.test("Dispatch gives up where no target can do what is asked", () => {
  const theatre = new Theatre({
    targets: [
      targetOf("a", capable({ streaming: false })),
      targetOf("b", capable({ contextTokens: 1000 })),
    ],
  });
  assert.equal(theatre.request({ answerTokensMax: 201 }).gaveUp?.code, "no_capable_target");
  assert.equal(theatre.request({ answerTokensMax: 200 }).sent, "b");
  assert.equal(theatre.request({ answerTokensMax: 201, streaming: false }).sent, "a");
});

Deno.test("Dispatch retries on an untried target of the tier at once", () => {
  for (const reason of ["refused", "reset", "status_5xx", "rate_limited"] as const) {
    const theatre = new Theatre({ targets: [...AB.targets, targetOf("c", { tier: 1 })] });
    const script = theatre.request();
    const first = script.sent;
    script.fail(reason, { retryAfterSeconds: 2 });
    assert.ok(script.sent === "a" || script.sent === "b");
    assert.notEqual(script.sent, first);
    assert.equal(script.attempt.kind, "retry");
  }
});

Deno.test("Dispatch asks the only target of a tier once more after a passing failure", () => {
  for (
    const [reason, status] of [["reset", null], ["status_5xx", 500], ["status_5xx", 502]] as const
  ) {
    const script = new Theatre(TIERS).request();
    script.fail(reason, { status });
    assert.equal(script.sent, null);
    near(script.wakeSeconds, 0.5 * 0.1);
    script.wakeAfter(0.05);
    assert.equal(script.sent, "a");
    script.fail(reason, { status });
    near(script.wakeSeconds, 0.5 * 0.2);
    assert.equal(script.wakeAfter(0.1).sent, "b");
  }
});

Deno.test("Dispatch keeps its last attempt for the next tier", () => {
  const script = new Theatre({ targets: [...AB.targets, targetOf("c", { tier: 1 })] }).request();
  script.fail("reset").fail("reset");
  near(script.wakeSeconds, 0.5 * 0.2);
  assert.equal(script.wakeAfter(0.1).sent, "c");
});

Deno.test("Dispatch waits for a short Retry-After rather than leave the tier", () => {
  for (const [reason, status] of [["rate_limited", 429], ["status_5xx", 503]] as const) {
    const script = new Theatre(TIERS).request();
    script.fail(reason, { status, retryAfterSeconds: 2 });
    near(script.wakeSeconds, 2);
    assert.equal(script.wakeAfter(2).sent, "a");
  }
});

Deno.test("Dispatch leaves the tier at once where waiting is no use", () => {
  const cases: ReadonlyArray<readonly [FailureReason, number | null, number | null]> = [
    ["rate_limited", 429, 3.5],
    ["rate_limited", 429, null],
    ["status_5xx", 503, 10],
    ["status_5xx", 503, null],
    ["status_5xx", 529, null],
    ["first_token_timeout", null, null],
    ["connect_timeout", null, null],
    ["refused", null, null],
  ];
  for (const [reason, status, retryAfterSeconds] of cases) {
    const script = new Theatre(TIERS).request();
    script.fail(reason, { status, retryAfterSeconds });
    assert.equal(script.sent, "b", `${reason} ${status}`);
  }
});

Deno.test("Dispatch asks a busy backend again where there is no other tier", () => {
  const busy = new Theatre(ALONE).request();
  busy.fail("status_5xx", { status: 503 });
  near(busy.wakeSeconds, 0.05);
  busy.wakeAfter(0.05).fail("status_5xx", { status: 503 });
  near(busy.wakeSeconds, 0.1);
  busy.wakeAfter(0.1).fail("status_5xx", { status: 503 });
  assert.equal(busy.attempts, 3);
  assert.equal(busy.gaveUp?.failure?.failure.status, 503);

  const limited = new Theatre(ALONE).request();
  limited.fail("rate_limited");
  near(limited.wakeSeconds, 0.75); // The cooldown of a first 429 with u = 0.5.
  assert.equal(limited.wakeAfter(0.75).sent, "a");
});

Deno.test("Dispatch tries a silent backend once", () => {
  for (const reason of ["first_token_timeout", "connect_timeout"] as const) {
    const script = new Theatre(ALONE).request();
    const gaveUp = script.fail(reason).gaveUp;
    assert.equal(gaveUp?.code, "failed");
    assert.equal(gaveUp.failure?.failure.reason, reason);
  }
});

Deno.test("Dispatch makes three attempts at most", () => {
  const names = ["a", "b", "c", "d"];
  const script = new Theatre({ targets: names.map((name) => targetOf(name)) }).request();
  script.fail("refused").fail("refused");
  near(script.wakeSeconds, 0.5 * 0.2); // From the second retry on, jittered even if untried.
  script.wakeAfter(0.1).fail("refused");
  assert.equal(script.attempts, 3);
  assert.equal(script.gaveUp?.code, "failed");
});

Deno.test("Dispatch returns the last error when the retry budget is empty", () => {
  const theatre = new Theatre({ ...AB, policy: { retryBudgetMax: 1, retryPerSecond: 0 } });
  assert.notEqual(theatre.request().fail("refused").sent, null);
  near(theatre.pool.retryTokens(0), 0);
  assert.equal(theatre.request().fail("refused").gaveUp?.code, "failed");
  near(theatre.pool.retryTokens(0), 0.2);
});

Deno.test("Dispatch skips targets whose breaker is open", () => {
  const theatre = new Theatre({
    targets: [
      targetOf("a"),
      targetOf("b", { tier: 1 }),
      targetOf("c", { tier: 2 }),
    ],
  });
  theatre.trip("a");
  theatre.trip("b");
  assert.equal(theatre.request().sent, "c");
});

Deno.test("Dispatch does not retry what is the request's own fault", () => {
  for (const reason of ["bad_request", "content_filter", "total_timeout"] as const) {
    const theatre = new Theatre(AB);
    const script = theatre.request();
    const { attempt } = script;
    assert.deepEqual(script.fail(reason, { status: 400 }).gaveUp?.failure?.attempt, attempt);
  }
});

Deno.test("Dispatch leaves breaker and estimate alone at a refused request", () => {
  const theatre = new Theatre(ALONE);
  theatre.answer(0.4);
  for (let i = 0; i < 10; i++) theatre.request().fail("bad_request", { status: 400 });
  assert.equal(theatre.snapshot("a").breaker, "closed");
  near(theatre.snapshot("a").latencySeconds, 0.4);
});

Deno.test("Dispatch moves a prompt that is too long to a model that holds more", () => {
  const theatre = new Theatre({
    targets: [
      targetOf("a", { model: "small", ...capable({ contextTokens: 8000 }) }),
      targetOf("same", { model: "small", tier: 1 }),
      targetOf("smaller", { tier: 1, ...capable({ contextTokens: 4000 }) }),
      targetOf("large", { tier: 2, ...capable({ contextTokens: 32_000 }) }),
    ],
  });
  assert.equal(theatre.request().fail("context_length", { status: 400 }).sent, "large");
  const alone = new Theatre(ALONE).request();
  assert.equal(alone.fail("context_length").gaveUp?.failure?.failure.reason, "context_length");
});

Deno.test("Dispatch goes to another backend when a credential is refused", () => {
  const theatre = new Theatre({
    targets: [
      targetOf("a", { backend: "one" }),
      targetOf("b", { backend: "one", tier: 1 }),
      targetOf("c", { backend: "two", tier: 2 }),
    ],
  });
  assert.equal(theatre.request().fail("unauthorized", { status: 401 }).sent, "two");
});

Deno.test("Dispatch leaves a target without the model alone for 60 s", () => {
  const theatre = new Theatre(TIERS);
  assert.equal(theatre.request().fail("model_missing", { status: 404 }).sent, "b");
  assert.equal(theatre.request().sent, "b");
  theatre.nowSeconds = 59.9;
  assert.equal(theatre.request().sent, "b");
  theatre.nowSeconds = 60;
  assert.equal(theatre.request().sent, "a");
  assert.equal(theatre.snapshot("a").breaker, "closed");
});

Deno.test("Dispatch does not wait beyond the client's deadline", () => {
  const late = new Theatre(TIERS).request({ deadlineSeconds: 1.9 });
  assert.equal(late.fail("rate_limited", { retryAfterSeconds: 2 }).sent, "b");
  const alone = new Theatre(ALONE).request({ deadlineSeconds: 1.9 });
  assert.equal(alone.fail("rate_limited", { retryAfterSeconds: 2 }).gaveUp?.retryAfterSeconds, 2);
});

Deno.test("Dispatch cuts a wait short when a cooldown in the tier ends first", () => {
  const theatre = new Theatre(AB);
  const other = theatre.request();
  const cooled = other.sent;
  other.fail("rate_limited", { retryAfterSeconds: 0.5 }).cancel();
  const script = theatre.request();
  assert.notEqual(script.sent, cooled);
  script.fail("status_5xx", { status: 503, retryAfterSeconds: 2 });
  near(script.wakeSeconds, 0.5);
  assert.equal(script.wakeAfter(0.5).sent, cooled);
});

Deno.test("Dispatch goes on waiting where the cooldown was prolonged meanwhile", () => {
  const theatre = new Theatre(AB);
  const requests = Array.from({ length: 4 }, () => theatre.request());
  const [first, second] = requests.filter(({ sent }) => sent === "a");
  const script = requests.find(({ sent }) => sent === "b");
  assert.ok(first && second && script);
  first.fail("rate_limited", { retryAfterSeconds: 0.5 }).cancel();
  script.fail("status_5xx", { status: 503, retryAfterSeconds: 2 });
  near(script.wakeSeconds, 0.5);
  second.fail("rate_limited", { retryAfterSeconds: 20 }).cancel();
  script.wakeAfter(0.5);
  assert.equal(script.sent, null);
  near(script.wakeSeconds, 1.5);
  assert.equal(script.wakeAfter(1.5).sent, "b");
});

Deno.test("Dispatch asks again for a wake that came too early", () => {
  const script = new Theatre(ALONE).request();
  script.fail("rate_limited", { retryAfterSeconds: 2 });
  script.wakeAfter(1.9);
  assert.equal(script.sent, null);
  near(script.wakeSeconds, 0.1);
  assert.equal(script.wakeAfter(0.1 - 1e-9).sent, "a");
});

Deno.test("Dispatch sends what may not be sent twice again only if no backend worked on it", () => {
  const refused = new Theatre(AB).request({ replayable: false });
  assert.notEqual(refused.fail("refused").sent, null);
  const reset = new Theatre(AB).request({ replayable: false });
  assert.equal(reset.fail("reset").gaveUp?.code, "failed");
});

Deno.test("Dispatch settles everything when the client leaves, as no failure", () => {
  const theatre = new Theatre(ALONE);
  theatre.answer(0.4);
  for (let i = 0; i < 6; i++) {
    const script = theatre.request();
    theatre.nowSeconds += 0.1;
    assert.deepEqual(script.cancel().aborted, ["a"]);
    assert.deepEqual(script.firstToken().actions, []);
  }
  const { inFlight, breaker, latencySeconds } = theatre.snapshot("a");
  assert.deepEqual({ inFlight, breaker }, { inFlight: 0, breaker: "closed" });
  assert.ok(latencySeconds < 0.4);
});

Deno.test("Dispatch takes the wait of a client that left as a sample only if it was long", () => {
  const theatre = new Theatre(ALONE);
  theatre.answer(0.4);
  const script = theatre.request();
  theatre.nowSeconds += 0.9;
  script.cancel();
  near(theatre.snapshot("a").latencySeconds, 0.9);
});

Deno.test("Dispatch cools a target down after a 429 and lets its breaker alone", () => {
  const theatre = new Theatre(TIERS);
  theatre.request().fail("rate_limited", { retryAfterSeconds: 20 });
  assert.equal(theatre.request().sent, "b");
  near(theatre.snapshot("a").cooldownSeconds, 20);
  assert.equal(theatre.snapshot("a").breaker, "closed");
  theatre.nowSeconds = 20;
  assert.equal(theatre.request().sent, "a");
});

Deno.test("Dispatch answers 429 if only cooldowns block, else 503, with the time to wait", () => {
  const limited = new Theatre(ALONE);
  limited.request().fail("rate_limited", { retryAfterSeconds: 7.2 }).cancel();
  const gaveUp = limited.request().gaveUp;
  assert.deepEqual([gaveUp?.code, gaveUp?.retryAfterSeconds], ["rate_limited", 8]);

  const full = new Theatre({ targets: [targetOf("a", { maxConcurrency: 1 })] });
  full.request();
  const refused = full.request().gaveUp;
  assert.deepEqual([refused?.code, refused?.retryAfterSeconds], ["no_healthy_backend", 1]);
});

Deno.test("Dispatch lets one request at a time try targets that are all open", () => {
  const theatre = new Theatre(ALONE);
  theatre.trip("a");
  const first = theatre.request();
  assert.equal(first.sent, "a");
  const second = theatre.request().gaveUp;
  assert.deepEqual([second?.code, second?.retryAfterSeconds], ["no_healthy_backend", 2]);
  first.fail("refused");
  assert.equal(theatre.request().firstToken().sent, null);
  assert.equal(theatre.snapshot("a").breaker, "half_open");
});

Deno.test("Dispatch lets a tenth of the concurrency try targets that are all open", () => {
  const theatre = new Theatre({ targets: [targetOf("a", { maxConcurrency: 32 })] });
  theatre.trip("a");
  const sent = Array.from({ length: 5 }, () => theatre.request().sent);
  assert.deepEqual(sent, ["a", "a", "a", null, null]);
});

Deno.test("Dispatch closes a breaker with probes, one at a time", () => {
  const theatre = new Theatre(AB);
  theatre.trip("a");
  theatre.nowSeconds = theatre.snapshot("a").openSeconds;
  const probe = theatre.request();
  assert.equal(probe.sent, "a");
  assert.equal(theatre.request().sent, "b");
  assert.equal(theatre.request({ replayable: false }).sent, "b");
  probe.firstToken();
  assert.equal(theatre.snapshot("a").breaker, "half_open");
  theatre.request().firstToken();
  assert.equal(theatre.snapshot("a").breaker, "closed");
});

Deno.test("Dispatch samples an answer in one piece without its decoding", () => {
  const theatre = new Theatre(ALONE);
  const whole = (seconds: number, tokens: number) => {
    const script = theatre.request({ streaming: false });
    theatre.nowSeconds += seconds;
    script.firstToken().finish({ tokens, decodeSeconds: null });
  };
  whole(5, 200);
  near(theatre.snapshot("a").latencySeconds, 1); // The baseline: the time a token is not known yet.
  theatre.answer(0.5);
  whole(5, 200);
  near(theatre.snapshot("a").latencySeconds, 5 - 199 * 0.02);
});

Deno.test("Dispatch takes an answer without content as an answer", () => {
  const theatre = new Theatre(ALONE);
  const script = theatre.request();
  theatre.nowSeconds = 0.2;
  script.finish({ tokens: 0, decodeSeconds: null });
  const { inFlight, latencySeconds } = theatre.snapshot("a");
  assert.equal(inFlight, 0);
  near(latencySeconds, 0.2);
});

Deno.test("Dispatch.start cannot be called twice", () => {
  const dispatch = new Theatre(ALONE).pool.dispatch(demandOf(), 0);
  dispatch.start(0);
  assert.throws(() => dispatch.start(0), TypeError);
});
