/**
 * Bad input gets a 4xx in the caller's protocol shape that names the problem,
 * and reaches no backend.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { INSTANT_PROFILE } from "../../src/simulate/profiles.ts";
import { type Simulator, startSimulator } from "../../src/simulate/server.ts";
import { type ServedGateway, serveGateway } from "../support/gateway_fixture.ts";
import { sendRaw } from "../support/raw_client.ts";

const JSON_TYPE = { "content-type": "application/json" };
const CHAT = { model: "chat", messages: [{ role: "user", content: "hi" }] };

async function withGateway(
  more: Readonly<Record<string, unknown>>,
  body: (gateway: ServedGateway, simulator: Simulator) => Promise<void>,
): Promise<void> {
  const simulator = await startSimulator({ profile: INSTANT_PROFILE });
  try {
    await using gateway = serveGateway({
      backends: [{ name: "sim", protocol: "openai", baseUrl: simulator.url }],
      models: [{ name: "chat", targets: [{ backend: "sim", model: "m" }] }],
      ...more,
    });
    await body(gateway, simulator);
  } finally {
    await simulator.close();
  }
}

interface OpenAiError {
  readonly error: {
    readonly message: string;
    readonly code: string;
    readonly param: string | null;
  };
}

async function post(
  gateway: ServedGateway,
  body: BodyInit,
  headers: Readonly<Record<string, string>> = JSON_TYPE,
  path = "/v1/chat/completions",
): Promise<{ readonly status: number; readonly json: OpenAiError }> {
  const response = await fetch(gateway.url + path, {
    method: "POST",
    headers,
    body,
  });
  return { status: response.status, json: await response.json() };
}

Deno.test("bad bodies are refused with code, message and field", async () => {
  await withGateway(
    { limits: { bodyBytes: 4_096, jsonDepth: 8 } },
    async (gateway, simulator) => {
      const deep = `{"model":"chat","messages":${"[".repeat(20)}${"]".repeat(20)}}`;
      const invalidUtf8 = new Uint8Array([
        ...new TextEncoder().encode('{"model":"'),
        0xff,
        0xfe,
        0x22,
      ]);
      const cases: ReadonlyArray<
        readonly [BodyInit, number, string, string | null]
      > = [
        ["", 400, "invalid_json", null],
        ["{", 400, "invalid_json", null],
        ["[1]", 400, "invalid_request", null],
        [invalidUtf8, 400, "invalid_utf8", null],
        [deep, 400, "nesting_too_deep", null],
        [
          JSON.stringify({ messages: CHAT.messages }),
          400,
          "invalid_request",
          "model",
        ],
        [
          JSON.stringify({ ...CHAT, model: 5 }),
          400,
          "invalid_request",
          "model",
        ],
        [
          JSON.stringify({ ...CHAT, model: "nope" }),
          404,
          "model_not_found",
          "model",
        ],
        [
          JSON.stringify({ ...CHAT, messages: "x" }),
          400,
          "invalid_request",
          "messages",
        ],
        [
          JSON.stringify({ ...CHAT, stream: 1 }),
          400,
          "invalid_request",
          "stream",
        ],
        [
          JSON.stringify({ ...CHAT, pad: "x".repeat(5_000) }),
          413,
          "body_too_large",
          null,
        ],
      ];
      for (const [body, status, code, param] of cases) {
        const reply = await post(gateway, body);
        const where = typeof body === "string" ? body.slice(0, 60) : "bytes";
        assert.equal(reply.status, status, where);
        assert.equal(reply.json.error.code, code, where);
        assert.equal(reply.json.error.param, param, where);
        assert.match(reply.json.error.message, /^Cannot /, where);
      }
      assert.equal(simulator.log.length, 0, "no backend was asked");
    },
  );
});

Deno.test("errors have the shape of the API that was asked", async () => {
  await withGateway({}, async (gateway) => {
    const headers = { ...JSON_TYPE, "anthropic-version": "2023-06-01" };
    const body = JSON.stringify({ ...CHAT, max_tokens: 5, model: "nope" });
    const response = await fetch(`${gateway.url}/v1/messages`, {
      method: "POST",
      headers,
      body,
    });
    const json = await response.json();
    assert.equal(response.status, 404);
    assert.equal(json.type, "error");
    assert.equal(json.error.type, "not_found_error");
    assert.match(json.error.message, /Cannot find model/);
    assert.ok(response.headers.get("x-request-id"));
  });
});

Deno.test("wrong types, methods and paths are refused by name", async () => {
  await withGateway({}, async (gateway) => {
    const form = { "content-type": "application/x-www-form-urlencoded" };
    assert.equal(
      (await post(gateway, "a=b", form)).json.error.code,
      "unsupported_media_type",
    );
    const get = await fetch(`${gateway.url}/v1/chat/completions`);
    assert.equal(get.status, 405);
    assert.equal(get.headers.get("allow"), "POST");
    assert.equal((await get.json()).error.code, "method_not_allowed");
    const lost = await fetch(`${gateway.url}/v2/nothing`);
    assert.equal(lost.status, 404);
    assert.match((await lost.json()).error.message, /\/v2\/nothing/);
  });
});

Deno.test("a body that trickles in is given up after its time", async () => {
  await withGateway({ limits: { bodySeconds: 0.2 } }, async (gateway) => {
    const head =
      "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for (
      const framing of [
        "content-length: 500\r\n\r\n{",
        "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
      ]
    ) {
      const answer = await sendRaw(gateway.url, [head + framing]);
      assert.equal(answer.status, 408, framing);
      assert.match(answer.text, /body_timeout/);
    }
  });
});

Deno.test("a header bomb is refused with 431", async () => {
  await withGateway({ limits: { headersBytes: 2_048 } }, async (gateway) => {
    const body = JSON.stringify(CHAT);
    const head =
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
      `content-length: ${body.length}\r\n`;
    const large = await sendRaw(gateway.url, [
      `${head}x-bomb: ${"b".repeat(4_000)}\r\n\r\n${body}`,
    ]);
    assert.equal(large.status, 431);
    assert.match(large.text, /headers_too_large/);

    // So many that Deno's server refuses them before the gateway sees the request.
    const many = Array.from({ length: 20_000 }, (_, i) => `x-${i}: y\r\n`).join("");
    const { status } = await sendRaw(gateway.url, [`${head}${many}\r\n${body}`]);
    assert.ok(status >= 400 && status < 500, String(status));
    assert.equal(
      (await post(gateway, body)).status,
      200,
      "and the gateway lives on",
    );
  });
});

Deno.test("garbage on the socket is refused, and the gateway lives on", async () => {
  await withGateway({}, async (gateway) => {
    for (
      const garbage of [
        "\x16\x03\x01\x02\x00",
        "GET\r\n\r\n",
        "POST / HTTP/9.9\r\n\r\n",
      ]
    ) {
      const { status } = await sendRaw(gateway.url, [garbage, "\r\n\r\n"]);
      assert.ok(status === 0 || status >= 400, JSON.stringify(garbage));
    }
    assert.equal((await post(gateway, JSON.stringify(CHAT))).status, 200);
  });
});

Deno.test("an access key is asked for, checked against its hash, and never shown", async () => {
  const key = "weir-canary-key-5c1f";
  const sha256 = createHash("sha256").update(key).digest("hex");
  await withGateway(
    { access: { keys: [{ name: "team-a", sha256 }] } },
    async (gateway, simulator) => {
      const body = JSON.stringify(CHAT);
      const none = await post(gateway, body);
      assert.equal(none.status, 401);
      assert.equal(none.json.error.code, "missing_api_key");
      const wrong = await post(gateway, body, {
        ...JSON_TYPE,
        authorization: "Bearer weir-other",
      });
      assert.equal(wrong.json.error.code, "invalid_api_key");
      assert.doesNotMatch(JSON.stringify(wrong.json), /weir-other/);
      for (const name of ["authorization", "x-api-key", "api-key"]) {
        const value = name === "authorization" ? `Bearer ${key}` : key;
        assert.equal(
          (await post(gateway, body, { ...JSON_TYPE, [name]: value })).status,
          200,
          name,
        );
      }
      assert.ok(
        simulator.log.every((entry) => !entry.hasCredential),
        "it is not sent on",
      );
      assert.equal((await fetch(`${gateway.url}/v1/models`)).status, 401);
      const seen = JSON.stringify(gateway.log) + await gateway.metrics();
      assert.doesNotMatch(seen, new RegExp(key));
    },
  );
});

Deno.test("a backend's error keeps its status, code and message, without the credential", async () => {
  const secret = "sk-canary-0123456789abcdef";
  const quoting = Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen: () => {},
  }, () => {
    const error = {
      message: `Incorrect API key provided: ${secret}`,
      type: "x",
      code: "bad_key",
    };
    return Response.json({ error }, { status: 401 });
  });
  const config = {
    backends: [{
      name: "b",
      protocol: "openai",
      baseUrl: `http://127.0.0.1:${quoting.addr.port}/v1`,
    }],
    models: [{ name: "chat", targets: [{ backend: "b", model: "m" }] }],
  };
  {
    await using gateway = serveGateway(config, {
      secrets: new Map([["b", secret]]),
    });
    const reply = await post(gateway, JSON.stringify(CHAT));
    assert.equal(reply.status, 401);
    assert.equal(reply.json.error.code, "bad_key");
    assert.equal(
      reply.json.error.message,
      "Incorrect API key provided: [redacted]",
    );
    const seen = JSON.stringify(gateway.log) + await gateway.metrics();
    assert.doesNotMatch(seen, /canary/);
  }
  await quoting.shutdown();
});
