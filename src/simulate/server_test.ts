import assert from "node:assert/strict";
import {
  type RawAnswer,
  rawExchange,
  rawExchangeOn,
  requestBytes,
} from "../../tests/support/raw_http.ts";
import { INSTANT_PROFILE, type SimulatorProfile } from "./profiles.ts";
import type { LogEntry } from "./request_log.ts";
import { type Simulator, type SimulatorOptions, startSimulator } from "./server.ts";

const HELLO = [{ role: "user", content: "Hello there" }];
const CHAT = { model: "m!words=5", messages: HELLO };
const ANTHROPIC = { "anthropic-version": "2023-06-01" };

/** Runs `body` with a simulator that is closed afterwards. */
async function withSimulator(
  options: Partial<SimulatorOptions>,
  body: (simulator: Simulator) => Promise<void>,
): Promise<void> {
  const simulator = await startSimulator({ profile: INSTANT_PROFILE, ...options });
  try {
    await body(simulator);
  } finally {
    await simulator.close();
  }
}

function post(
  simulator: Simulator,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  return rawExchange(simulator.port, { path, body, headers });
}

/** The events of a stream as [name, data]. */
function eventsOf(answer: RawAnswer): ReadonlyArray<readonly [string, string]> {
  return answer.text.trimEnd().split("\n\n").map((event) => {
    const name = /^event: (.*)$/m.exec(event)?.[1] ?? "";
    return [name, /^data: (.*)$/m.exec(event)?.[1] ?? ""];
  });
}

Deno.test("Every API streams the text it would give whole", async () => {
  await withSimulator({}, async (simulator) => {
    const cases = [
      { path: "/v1/chat/completions", body: CHAT },
      { path: "/v1/completions", body: { model: "m", prompt: "Hello there" } },
      { path: "/v1/responses", body: { model: "m", input: "Hello there" } },
      { path: "/v1/messages", body: { ...CHAT, max_tokens: 99 } },
    ];
    for (const { path, body } of cases) {
      const whole = JSON.parse((await post(simulator, path, body, ANTHROPIC)).text);
      const streamed = await post(simulator, path, { ...body, stream: true }, ANTHROPIC);
      const text = eventsOf(streamed).map(([, data]) => {
        if (data === "[DONE]") return "";
        const event = JSON.parse(data);
        if (event.type === "response.output_text.delta") return event.delta;
        if (event.type === "content_block_delta") return event.delta.text;
        return event.choices?.[0]?.delta?.content ?? event.choices?.[0]?.text ?? "";
      }).join("");
      const expected = whole.choices?.[0]?.message?.content ?? whole.choices?.[0]?.text ??
        whole.output?.[0].content[0].text ?? whole.content[0].text;
      assert.equal(text, expected, path);
      assert.ok(text.length > 10, path);
    }
  });
});

Deno.test("Chat streams carry usage only if asked", async () => {
  await withSimulator({}, async (simulator) => {
    const stream = { ...CHAT, stream: true };
    const plain = await post(simulator, "/v1/chat/completions", stream);
    assert.doesNotMatch(plain.text, /usage/);
    const options = { stream_options: { include_usage: true } };
    const counted = await post(simulator, "/v1/chat/completions", { ...stream, ...options });
    const usage = JSON.parse(eventsOf(counted).at(-2)?.[1] ?? "");
    assert.deepEqual(usage.choices, []);
    assert.equal(usage.usage.prompt_tokens, 6);
    assert.equal(usage.usage.completion_tokens, 5);
  });
});

Deno.test("Messages streams follow the order of events, thinking and tools included", async () => {
  await withSimulator({}, async (simulator) => {
    const answer = await post(simulator, "/v1/messages", {
      model: "m!reasoning=2",
      max_tokens: 99,
      stream: true,
      messages: [{ role: "user", content: "The weather?" }],
      tools: [{ name: "get_weather", input_schema: { properties: { city: { type: "string" } } } }],
    }, ANTHROPIC);
    const names = eventsOf(answer).map(([name]) => name);
    const runs = names.filter((name, i) => name !== names[i - 1]);
    assert.deepEqual(runs, [
      "message_start",
      "ping",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    const json = eventsOf(answer).map(([, data]) => JSON.parse(data).delta?.partial_json ?? "");
    assert.deepEqual(JSON.parse(json.join("")), { city: "Zürich" });
    assert.match(answer.text, /"stop_reason":"tool_use"/);
  });
});

Deno.test("Chat streams tool calls in pieces that add up", async () => {
  await withSimulator({}, async (simulator) => {
    const parameters = { type: "object", properties: { place: { type: "string" } } };
    const tools = [{ type: "function", function: { name: "weather", parameters } }];
    const messages = [{ role: "user", content: "weather?" }];
    const body = { model: "m!tool-calls=2", messages, tools };
    const streamed = await post(simulator, "/v1/chat/completions", { ...body, stream: true });
    const calls: string[] = ["", ""];
    for (const [, data] of eventsOf(streamed)) {
      if (data === "[DONE]") continue;
      for (const call of JSON.parse(data).choices[0].delta.tool_calls ?? []) {
        calls[call.index] += call.function.arguments;
      }
    }
    const whole = JSON.parse((await post(simulator, "/v1/chat/completions", body)).text);
    assert.equal(whole.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(
      whole.choices[0].message.tool_calls.map((call: { function: { arguments: string } }) =>
        call.function.arguments
      ),
      calls,
    );
    assert.deepEqual(JSON.parse(calls[1] ?? ""), { place: "Zürich" });
  });
});

Deno.test("Responses number their events and end as completed or incomplete", async () => {
  await withSimulator({}, async (simulator) => {
    const body = { model: "m!words=5,reasoning=2", input: "Hello there", stream: true };
    const events = eventsOf(await post(simulator, "/v1/responses", body));
    assert.deepEqual(events.map(([, data]) => JSON.parse(data).sequence_number), [
      ...events.keys(),
    ]);
    assert.equal(events.at(-1)?.[0], "response.completed");
    const short = await post(simulator, "/v1/responses", { ...body, max_output_tokens: 3 });
    const last = eventsOf(short).at(-1);
    assert.equal(last?.[0], "response.incomplete");
    assert.equal(JSON.parse(last?.[1] ?? "").response.usage.output_tokens, 3);
  });
});

Deno.test("Embeddings, model list and health answer", async () => {
  await withSimulator({}, async (simulator) => {
    const body = { model: "e", input: ["one", "two"], dimensions: 8 };
    const floats = JSON.parse((await post(simulator, "/v1/embeddings", body)).text);
    assert.deepEqual(floats.data.map((row: { embedding: number[] }) => row.embedding.length), [
      8,
      8,
    ]);
    const coded = { ...body, encoding_format: "base64" };
    const base64 = JSON.parse((await post(simulator, "/v1/embeddings", coded)).text);
    assert.equal(Uint8Array.fromBase64(base64.data[1].embedding).length, 32);

    const get = (path: string) => rawExchange(simulator.port, { method: "GET", path });
    const list = JSON.parse((await get("/v1/models")).text);
    assert.ok(list.data.some((model: { id: string }) => model.id === "sim-instant"));
    assert.equal((await get("/v1/models/fb-ok")).status, 200);
    assert.equal((await get("/v1/models/none")).status, 404);
    assert.equal(JSON.parse((await get("/health")).text).status, "ok");
    assert.equal((await get("/v1/chat/completions")).status, 405);
    assert.match((await get("/v2")).text, /no such path \(known: \/v1\/chat/);
    const azure = "/openai/deployments/gpt%2D4/chat/completions?api-version=1";
    const answer = await post(simulator, azure, { messages: HELLO });
    assert.equal(JSON.parse(answer.text).model, "gpt-4");
  });
});

Deno.test("Wrong requests get a 400 that names the field, in the caller's shape", async () => {
  const chat: ReadonlyArray<readonly [unknown, string | null]> = [
    ["{", null],
    ["[]", null],
    [{ messages: HELLO }, "model"],
    [{ model: "m" }, "messages"],
    [{ model: "m", messages: [] }, "messages"],
    [{ model: "m", messages: [{ role: "robot", content: "x" }] }, "messages[0].role"],
    [{ model: "m", messages: [{ role: "user" }] }, "messages[0].content"],
    [{ model: "m", messages: [{ role: "user", content: 5 }] }, "messages[0].content"],
    [{ ...CHAT, stream: "yes" }, "stream"],
    [{ ...CHAT, stream_options: {} }, "stream_options"],
    [{ ...CHAT, temperature: 3 }, "temperature"],
    [{ ...CHAT, max_tokens: 0 }, "max_tokens"],
    [{ ...CHAT, tool_choice: "required" }, "tool_choice"],
  ];
  await withSimulator({}, async (simulator) => {
    for (const [body, param] of chat) {
      const answer = await post(simulator, "/v1/chat/completions", body);
      const { error } = JSON.parse(answer.text);
      assert.deepEqual([answer.status, error.param], [400, param], JSON.stringify(body));
      assert.equal(error.type, "invalid_request_error");
    }
    const messages = "/v1/messages";
    const good = { model: "m", max_tokens: 9, messages: HELLO };
    const noLimit = await post(simulator, messages, { model: "m", messages: HELLO }, ANTHROPIC);
    const wrong = JSON.parse(noLimit.text);
    assert.deepEqual([noLimit.status, wrong.type, wrong.error.type], [
      400,
      "error",
      "invalid_request_error",
    ]);
    assert.match(wrong.error.message, /max_tokens/);
    assert.match((await post(simulator, messages, good)).text, /anthropic-version/);
    const overloaded = { ...good, model: "m!overloaded" };
    const answer = await post(simulator, messages, overloaded, ANTHROPIC);
    assert.equal(JSON.parse(answer.text).error.type, "overloaded_error");
  });
});

Deno.test("An API key, a strict model list and a concurrency limit are enforced", async () => {
  const profile: SimulatorProfile = {
    ...INSTANT_PROFILE,
    models: ["known"],
    strictModels: true,
    maxConcurrency: 1,
  };
  const arrived = Promise.withResolvers<void>();
  const options = { profile, apiKey: "k-1", onRequest: () => arrived.resolve() };
  await withSimulator(options, async (simulator) => {
    const path = "/v1/chat/completions";
    const bearer = { authorization: "Bearer k-1" };
    const body = { model: "known", messages: HELLO };
    assert.equal((await post(simulator, path, body)).status, 401);
    assert.equal((await post(simulator, path, body, { "x-api-key": "wrong" })).status, 401);
    assert.equal((await post(simulator, path, body, { "x-api-key": "k-1" })).status, 200);
    assert.equal((await post(simulator, path, { ...body, model: "other" }, bearer)).status, 404);

    using held = await Deno.connect({ hostname: "127.0.0.1", port: simulator.port });
    const silent = { ...body, model: "known!silence=60" };
    await held.write(requestBytes({ path, headers: bearer, body: silent }));
    await until(() => simulator.activeRequests() === 1);
    assert.equal((await post(simulator, path, body, bearer)).status, 429);
  });
});

Deno.test("failureRate fails that share of requests, the same ones for the same seed", async () => {
  const profile = { ...INSTANT_PROFILE, failureRate: 0.5 };
  const run = async (seed: number) => {
    const statuses: number[] = [];
    await withSimulator({ profile, seed }, async (simulator) => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: simulator.port });
      for (let i = 0; i < 60; i++) {
        const request = { path: "/v1/chat/completions", body: CHAT };
        statuses.push((await rawExchangeOn(connection, request)).status);
      }
    });
    return statuses;
  };
  const statuses = await run(3);
  const failed = statuses.filter((status) => status !== 200);
  assert.ok(failed.length > 15 && failed.length < 45, `${failed.length} of 60 failed`);
  assert.ok(failed.includes(500) && failed.includes(503));
  assert.deepEqual(await run(3), statuses);
  assert.notDeepEqual(await run(4), statuses);
});

Deno.test("A connection is kept for further requests, also pipelined ones", async () => {
  await withSimulator({}, async (simulator) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: simulator.port });
    const request = { path: "/v1/chat/completions", body: { ...CHAT, stream: true } };
    for (let i = 0; i < 3; i++) {
      assert.equal((await rawExchangeOn(connection, request)).ending, "complete");
    }
    assert.equal(simulator.openConnections(), 1);
    await connection.write(requestBytes(request));
    await rawExchangeOn(connection, { method: "GET", path: "/health" });
    await until(() => simulator.log.length === 4 && simulator.activeRequests() === 0);
    assert.deepEqual(new Set(simulator.log.map((entry) => entry.connection)), new Set([1]));
  });
});

Deno.test("A client that leaves is noticed at every stage", async () => {
  const stages = ["silence=60", "slow=60", "first-token-ms=60000", "stall=2:60", "token-ms=60000"];
  for (const fault of stages) {
    for (const stream of [true, false]) {
      const arrived = Promise.withResolvers<void>();
      const settled = Promise.withResolvers<LogEntry>();
      const options = { onRequest: () => arrived.resolve(), onSettled: settled.resolve };
      await withSimulator(options, async (simulator) => {
        const client = await Deno.connect({ hostname: "127.0.0.1", port: simulator.port });
        const body = { model: `m!${fault}`, messages: HELLO, stream };
        await client.write(requestBytes({ path: "/v1/chat/completions", body }));
        await arrived.promise;
        assert.equal(simulator.activeRequests(), 1);
        client.close();
        const entry = await settled.promise;
        assert.notEqual(entry.clientGoneAtMs, null);
        assert.equal(entry.endedAtMs !== null, true);
        assert.equal(simulator.activeRequests(), 0);
      });
    }
  }
});

Deno.test("A client that reads nothing pauses the answer; its leaving is still noticed", async () => {
  const settled = Promise.withResolvers<LogEntry>();
  await withSimulator({ onSettled: settled.resolve }, async (simulator) => {
    const client = await Deno.connect({ hostname: "127.0.0.1", port: simulator.port });
    const body = { model: "m!words=100000", messages: HELLO, stream: true };
    await client.write(requestBytes({ path: "/v1/chat/completions", body }));
    let before = -1;
    await until(() => {
      const sent = simulator.log[0]?.bytesSent ?? 0;
      const paused = sent > 0 && sent === before;
      before = sent;
      return paused;
    }, 50);
    assert.ok(before < 15_000_000, `${before} bytes were sent to a client that reads nothing`);
    client.close();
    assert.notEqual((await settled.promise).clientGoneAtMs, null);
  });
});

Deno.test("Control endpoints reset, log, wait and change settings", async () => {
  await withSimulator({}, async (simulator) => {
    const path = "/v1/chat/completions";
    const get = async (target: string) =>
      JSON.parse((await rawExchange(simulator.port, { method: "GET", path: target })).text);
    await post(simulator, path, CHAT, { "x-request-id": "r-7" });
    const { log, nowMs } = await get("/control/log");
    assert.equal(log.length, 1);
    assert.deepEqual([log[0].requestId, log[0].lastRole, log[0].promptTokens], ["r-7", "user", 6]);
    assert.ok(log[0].startedAtMs <= nowMs);
    assert.equal((await get("/control/idle")).idle, true);
    await post(simulator, "/control/reset", undefined);
    assert.equal(simulator.log.length, 0);

    const profile = { interTokenMs: 3, failureRate: 1 };
    await post(simulator, "/control/config", { profile, failoverTiming: { tokenMs: 1 } });
    assert.ok([500, 503].includes((await post(simulator, path, CHAT)).status));
    for (const wrong of [{ bogus: 1 }, { profile: { bogus: 1 } }, { fault: "bogus" }]) {
      assert.equal((await post(simulator, "/control/config", wrong)).status, 400);
    }
  });
});

Deno.test("randomAnswers makes equal prompts get different answers", async () => {
  const texts = async (options: Partial<SimulatorOptions>) => {
    const found = new Set<string>();
    await withSimulator(options, async (simulator) => {
      for (let i = 0; i < 3; i++) {
        const answer = await post(simulator, "/v1/chat/completions", CHAT);
        found.add(JSON.parse(answer.text).choices[0].message.content);
      }
    });
    return found;
  };
  assert.equal((await texts({})).size, 1);
  assert.equal((await texts({ randomAnswers: true })).size, 3);
});

Deno.test("preEncoded repeats an equal answer, and sends a long one whole", async () => {
  await withSimulator({}, async (simulator) => {
    const path = "/v1/chat/completions";
    const stream = { ...CHAT, stream: true };
    const first = await post(simulator, path, stream);
    assert.equal((await post(simulator, path, stream)).text, first.text);
    assert.deepEqual(simulator.log.map((entry) => entry.attempt), [1, 2]);
    assert.notEqual((await post(simulator, path, { ...stream, user: "x" })).text, first.text);

    const long = { ...stream, model: "m!words=5000" };
    for (let i = 0; i < 2; i++) {
      const answer = await post(simulator, path, long);
      assert.equal(answer.ending, "complete");
      assert.equal(eventsOf(answer).length, 5_003);
    }
    await post(simulator, "/control/config", { profile: { words: 7 } });
    const body = { model: "n", messages: HELLO };
    const short = JSON.parse((await post(simulator, path, body)).text);
    assert.equal(short.usage.completion_tokens, 7);
  });
});

Deno.test("Bytes that are no HTTP get a 400 and a closed connection", async () => {
  await withSimulator({}, async (simulator) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: simulator.port });
    await connection.write(new TextEncoder().encode("hello\r\n\r\n"));
    const text = await new Response(connection.readable).text();
    assert.match(text, /^HTTP\/1\.1 400 /);
    assert.match(text, /"hello\\" is no request line/);
  });
});

/** Waits until `isDone`, looking once every `pollMs`. */
async function until(isDone: () => boolean, pollMs = 1): Promise<void> {
  while (!isDone()) {
    const next = Promise.withResolvers<void>();
    setTimeout(next.resolve, pollMs);
    await next.promise;
  }
}
