/**
 * What a client sees of a stream, over real sockets.
 */
import assert from "node:assert/strict";
import { INSTANT_PROFILE, type SimulatorProfile } from "../../src/simulate/profiles.ts";
import { type Simulator, startSimulator } from "../../src/simulate/server.ts";
import { callChat, type CallResult } from "../support/failover_caller.ts";
import { type ServedGateway, serveGateway } from "../support/gateway_fixture.ts";

async function withSimulator(
  config: (url: string) => unknown,
  body: (gateway: ServedGateway, simulator: Simulator) => Promise<void>,
  profile: SimulatorProfile = INSTANT_PROFILE,
): Promise<void> {
  const simulator = await startSimulator({ profile });
  try {
    await using gateway = serveGateway(config(simulator.url));
    await body(gateway, simulator);
  } finally {
    await simulator.close();
  }
}

/** One backend behind the model `chat`. */
function plain(
  more: Readonly<Record<string, unknown>> = {},
): (url: string) => unknown {
  return (baseUrl) => ({
    backends: [{ name: "sim", protocol: "openai", baseUrl }],
    models: [{ name: "chat", targets: [{ backend: "sim", model: "m" }] }],
    forwardHeaders: ["x-sim-fault", "x-sim-words"],
    ...more,
  });
}

function call(
  gateway: ServedGateway,
  fault: string,
  stream = true,
): Promise<CallResult> {
  return callChat({
    baseUrl: `${gateway.url}/v1`,
    model: "chat",
    requestId: "t",
    stream,
    maxSeconds: 20,
    headers: { "x-sim-fault": fault },
  });
}

function openStream(
  gateway: ServedGateway,
  headers: Record<string, string>,
): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({
      model: "chat",
      stream: true,
      messages: [{ role: "user", content: "hi" }],
    }),
  });
}

Deno.test("streams mean the same whatever their framing", async () => {
  await withSimulator(plain(), async (gateway) => {
    const whole = await call(gateway, "");
    assert.equal(whole.outcome, "success");
    for (
      const fault of [
        "crlf",
        "cr",
        "bom",
        "comments",
        "bytewise",
        "split-utf8",
        "no-done",
      ]
    ) {
      const result = await call(gateway, fault);
      assert.equal(result.error, "", fault);
      assert.equal(result.content, whole.content, fault);
      assert.ok(result.done, fault);
    }
  });
});

Deno.test("an event over the limit is an error, not a longer buffer", async () => {
  await withSimulator(
    plain({ limits: { eventBytes: 65_536 } }),
    async (gateway) => {
      const result = await call(gateway, "big-event=1000000");
      assert.equal(result.outcome, "error");
      assert.match(result.error, /65,?536/);
    },
  );
});

Deno.test("a cleanly framed stream without a finish reason is no success", async () => {
  await withSimulator(plain(), async (gateway) => {
    for (
      const fault of ["clean-cut=5", "cut=5", "in-band-error=5", "malformed=5"]
    ) {
      const result = await call(gateway, fault);
      assert.equal(result.outcome, "error", fault);
      assert.ok(!result.done, fault);
    }
  });
});

Deno.test("an error event is followed by an abnormal close", async () => {
  await withSimulator(plain(), async (gateway) => {
    const response = await openStream(gateway, { "x-sim-fault": "cut=5" });
    let text = "";
    await assert.rejects(async () => {
      for await (const piece of response.body ?? []) {
        text += new TextDecoder().decode(piece);
      }
    });
    const last = text.trimEnd().split("\n\n").at(-1) ?? "";
    assert.match(last, /^data: \{"error":/);
    assert.equal(JSON.parse(last.slice(6)).error.code, "stream_cut");
  });
});

Deno.test("a stream answered with JSON or a page is tried elsewhere", async () => {
  const config = (baseUrl: string): unknown => ({
    ...(plain()(baseUrl) as Record<string, unknown>),
    models: [{
      name: "chat",
      targets: [
        { backend: "sim", model: "m!html", tier: 0 },
        { backend: "sim", model: "m", tier: 1 },
      ],
    }],
  });
  await withSimulator(config, async (gateway) => {
    for (const stream of [true, false]) {
      const result = await call(gateway, "", stream);
      assert.equal(result.error, "");
      assert.equal(result.model, "m");
    }
  });
});

Deno.test("whole answers that are cut, garbled or truncated are never passed on", async () => {
  await withSimulator(plain(), async (gateway) => {
    for (
      const fault of [
        "truncated-body",
        "bad-json",
        "reset",
        "cut-bytes=100",
        "rst-bytes=100",
      ]
    ) {
      const result = await call(gateway, fault, false);
      assert.equal(result.outcome, "error", fault);
      assert.equal(result.status, 502, fault);
      assert.equal(result.content, "", fault);
    }
  });
});

Deno.test("a silent stream is kept alive with comments, and can still fail over", async () => {
  const config = (baseUrl: string): unknown => ({
    ...(plain({ keepAliveSeconds: 0.3, timeouts: { firstTokenSeconds: 1.2 } })(
      baseUrl,
    ) as Record<
      string,
      unknown
    >),
    models: [{
      name: "chat",
      targets: [
        { backend: "sim", model: "m!silence=30", tier: 0 },
        { backend: "sim", model: "m", tier: 1 },
      ],
    }],
  });
  await withSimulator(config, async (gateway) => {
    const response = await openStream(gateway, {});
    const text = await response.text();
    assert.equal(response.status, 200);
    assert.ok(text.startsWith(": keep-alive\n\n"));
    assert.ok(
      text.split(": keep-alive\n\n").length >= 3,
      "more than one comment",
    );
    assert.ok(text.endsWith("data: [DONE]\n\n"));
    assert.ok(await gateway.metric("weir_keep_alives_total") >= 2);
  });
});

Deno.test("a slow reader pauses the backend", async () => {
  await withSimulator(plain(), async (gateway, simulator) => {
    const response = await openStream(gateway, { "x-sim-words": "200000" });
    const reader = response.body?.getReader();
    assert.ok(reader);
    await reader.read();
    // The backend writes until every buffer on the way is full, and then no more:
    // its count stands still between two looks that are far apart for a loopback.
    let before = -1;
    let sent = 0;
    while (sent !== before || sent === 0) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
      sent = simulator.log[0]?.bodyBytesSent ?? 0;
    }
    assert.equal(simulator.activeRequests(), 1, "the answer is not over");
    assert.ok(
      sent < 20_000_000,
      `${sent} bytes were taken for a client that read one piece`,
    );
    let rest = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      rest += value.byteLength;
    }
    assert.ok(
      rest > 30_000_000,
      "and the whole answer arrives once it is read",
    );
  });
});

Deno.test("draining lets streams finish, and refuses new requests", async () => {
  const paced = { ...INSTANT_PROFILE, preEncoded: false, interTokenMs: 20, words: 20 };
  await withSimulator(plain(), async (gateway, simulator) => {
    const response = await openStream(gateway, {});
    const drained = gateway.gateway.drain(10_000);
    const refused = await call(gateway, "");
    assert.equal(refused.status, 503);
    assert.match(refused.error, /shutting down/);
    const ready = await gateway.gateway.admin.fetch(new Request("http://admin/readyz"));
    assert.equal(ready.status, 503);
    assert.ok((await response.text()).endsWith("data: [DONE]\n\n"));
    await drained;
    assert.equal(simulator.activeRequests(), 0);
  }, paced);
});

Deno.test("a stream that outlives the grace period ends as an error", async () => {
  await withSimulator(plain(), async (gateway) => {
    const result = call(gateway, "stall=3:30");
    while (gateway.gateway.running === 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await gateway.gateway.drain(50);
    assert.equal((await result).outcome, "error");
  });
});

Deno.test("the answer's headers say who gave it", async () => {
  await withSimulator(plain(), async (gateway) => {
    const response = await openStream(gateway, { "x-request-id": "my-own-id" });
    await response.body?.cancel();
    const { headers } = response;
    assert.equal(headers.get("x-weir-backend"), "sim");
    assert.equal(headers.get("x-weir-model"), "m");
    assert.equal(headers.get("x-weir-attempts"), "1");
    assert.equal(headers.get("x-weir-cache"), "off");
    assert.equal(headers.get("x-request-id"), "my-own-id");
    assert.ok(Number(headers.get("x-weir-overhead-ms")) >= 0);
  });
});
