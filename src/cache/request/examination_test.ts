import assert from "node:assert/strict";
import type { BypassReason, CacheRequest, CacheRules, JsonObject } from "../types.ts";
import { readControls } from "./controls.ts";
import { type Examination, examine, type PromptRequest } from "./examination.ts";
import { clientTag, prefixTag } from "./tags.ts";

const RULES: CacheRules = {
  flight: true,
  exact: true,
  canonical: true,
  semantic: "static",
  threshold: 0.9,
  errorBound: 0.05,
  messagesMax: 4,
  turnCharactersMax: 2_000,
  temperatureMax: 0.3,
  deterministicOnly: false,
  ttlMs: 3_600_000,
  ttlMaxMs: 86_400_000,
  relativeTimeTtlMs: 60_000,
  staleIfErrorMs: 86_400_000,
  bodyCharactersMax: 262_144,
};

const DATA_IMAGE = "data:image/png;base64,iVBORw0KGgo=";

function user(content: unknown): JsonObject {
  return { role: "user", content };
}

function run(
  surface: string,
  fields: JsonObject,
  rules: Partial<CacheRules> = {},
  more: Partial<PromptRequest> = {},
): Examination {
  const body = { model: "fast", ...fields };
  return examine({
    surface,
    body,
    characters: JSON.stringify(body).length,
    tenant: "acme",
    route: "fast",
    pool: "",
    headers: [],
    controls: readControls(() => null),
    ...more,
  }, { ...RULES, ...rules });
}

function cached(...given: Parameters<typeof run>): CacheRequest {
  const examination = run(...given);
  assert.equal(examination.type, "cacheable", JSON.stringify([examination, given[1]]));
  return examination.type === "cacheable" ? examination.request : assert.fail();
}

function bypassed(reason: BypassReason, ...given: Parameters<typeof run>): void {
  assert.deepEqual(run(...given), { type: "bypass", reason }, JSON.stringify(given.slice(0, 2)));
}

function chat(fields: JsonObject = {}): JsonObject {
  return { messages: [user("How do I reset my PIN?")], ...fields };
}

function headers(values: Readonly<Record<string, string>>): Partial<PromptRequest> {
  return { controls: readControls((name) => values[name] ?? null) };
}

Deno.test("examine lets all layers answer a plain question, by every API", () => {
  for (
    const [surface, fields] of [
      ["chat", chat()],
      ["chat", { messages: [user([{ type: "text", text: "How do I reset my PIN?" }])] }],
      ["completions", { prompt: "How do I reset my PIN?" }],
      ["completions", { prompt: ["How do I reset my PIN?"] }],
      ["responses", { input: "How do I reset my PIN?", store: false }],
      ["responses", { input: [user("How do I reset my PIN?")], store: false }],
      ["responses", {
        input: [{
          type: "message",
          ...user([{ type: "input_text", text: "How do I reset my PIN?" }]),
        }],
        store: false,
      }],
      ["messages", { messages: [user("How do I reset my PIN?")], max_tokens: 9 }],
    ] as const
  ) {
    const request = cached(surface, fields);
    assert.equal(request.turn, "How do I reset my PIN?");
    assert.notEqual(request.canonicalKey, null);
    assert.equal(request.joinable, true);
    assert.equal(request.surface, surface);
    for (const key of [request.scope, request.exactKey, request.canonicalKey ?? ""]) {
      assert.match(key, /^[\w-]{43}$/);
    }
  }
});

Deno.test("examine passes by what the client, the API or the size rules out", () => {
  bypassed("off", "chat", chat(), {}, headers({ "weir-cache-mode": "off" }));
  bypassed("surface", "embeddings", { input: "x" });
  bypassed("too_large", "chat", chat(), {}, { characters: 262_145 });
  cached("chat", chat(), {}, { characters: 262_144 });
});

Deno.test("examine passes by a request that does not end with a plain user turn", () => {
  const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
  for (
    const messages of [
      undefined,
      "x",
      [],
      [null],
      [user(null)],
      [user("")],
      [user([])],
      [user("a"), { role: "assistant", content: "b" }],
      [user("a"), { role: "assistant", tool_calls: [call] }, { role: "tool", content: "1" }],
      [{ role: "system", content: "a" }],
      [user([{ type: "input_audio", input_audio: { data: "x", format: "wav" } }])],
      [user([{ type: "text" }])],
    ]
  ) bypassed("not_a_user_turn", "chat", { messages });
  bypassed("not_a_user_turn", "messages", {
    messages: [user([{ type: "tool_result", tool_use_id: "t", content: "1" }])],
  });
  for (const input of ["", [], [{ type: "function_call_output", call_id: "c", output: "1" }]]) {
    bypassed("not_a_user_turn", "responses", { input, store: false });
  }
  for (const prompt of ["", null, [], [""], {}]) {
    bypassed("not_a_user_turn", "completions", { prompt });
  }
});

Deno.test("examine passes by requests for several answers", () => {
  for (const fields of [{ n: 2 }, { n: 0 }, { n: "2" }]) bypassed("choices", "chat", chat(fields));
  bypassed("choices", "completions", { prompt: "a.", best_of: 3 });
  bypassed("choices", "completions", { prompt: ["a.", "b."] });
  bypassed("choices", "completions", { prompt: [[1], [2]] });
  for (const n of [1, null]) cached("chat", chat({ n }));
});

Deno.test("examine passes by tools that the backend runs, not by the client's own", () => {
  const own = { type: "function", function: { name: "f", parameters: {} } };
  for (
    const fields of [
      { tools: [own, { type: "web_search" }] },
      { tools: [{ google_search: {} }] },
      { tools: ["x"] },
      { tools: {} },
      { web_search_options: {} },
      { search_parameters: { mode: "auto" } },
      { plugins: [{ id: "web" }] },
      { enable_search: true },
      { data_sources: [{}] },
    ]
  ) bypassed("tools", "chat", chat(fields));
  cached("chat", chat({ tools: [own, { type: "custom", custom: { name: "g" } }] }));
  cached("chat", chat({ functions: [{ name: "f" }], enable_search: false, plugins: [] }));
  const say = { messages: [user("Hello there")] };
  for (const fields of [{ tools: [{ type: "bash_20250124", name: "bash" }] }, { tools: [{}] }]) {
    bypassed("tools", "messages", { ...say, ...fields });
  }
  bypassed("tools", "messages", { ...say, mcp_servers: [{ name: "x" }] });
  bypassed("tools", "messages", { ...say, container: "c1" });
  cached("messages", {
    ...say,
    tools: [{ name: "f", input_schema: {} }, { type: "custom", name: "g" }],
  });
  for (const type of ["web_search_preview", "file_search", "code_interpreter", "mcp", undefined]) {
    bypassed("tools", "responses", { input: "x", store: false, tools: [{ type }] });
  }
  cached("responses", { input: "x", store: false, tools: [{ type: "function", name: "f" }] });
});

Deno.test("examine passes by what the backend keeps", () => {
  for (
    const fields of [
      {},
      { store: true },
      { store: null },
      { store: false, previous_response_id: "r" },
      { store: false, conversation: { id: "c" } },
      { store: false, background: true },
      { store: false, prompt: { id: "p" } },
      { store: false, input: [{ type: "item_reference", id: "i" }, user("x")] },
      { store: false, input: [user([{ type: "input_image", file_id: "f" }])] },
      { store: false, input: [user([{ type: "input_file", file_id: "f" }]), user("x")] },
    ]
  ) bypassed("server_state", "responses", { input: "x", ...fields });
  bypassed("server_state", "chat", chat({ store: true }));
  bypassed("server_state", "chat", {
    messages: [user([{ type: "file", file: { file_id: "f" } }])],
  });
  bypassed("server_state", "chat", {
    messages: [user("a"), { role: "assistant", audio: { id: "audio_1" } }, user("b")],
  });
  const file = { type: "image", source: { type: "file", file_id: "f" } };
  bypassed("server_state", "messages", { messages: [user([file])] });
  bypassed("server_state", "messages", {
    messages: [user([{ type: "tool_result", content: [file] }]), user("x")],
  });
  cached("chat", chat({ store: false }));
});

Deno.test("examine passes by output that is more than text", () => {
  for (
    const fields of [
      { modalities: ["text", "audio"] },
      { modalities: ["image"] },
      { audio: { voice: "x" } },
      { logprobs: true },
      { top_logprobs: 2 },
      { prompt_logprobs: 1 },
      { return_token_ids: true },
    ]
  ) bypassed("output", "chat", chat(fields));
  cached("chat", chat({ modalities: ["text"], audio: null, logprobs: false, top_logprobs: 0 }));
  bypassed("output", "completions", { prompt: "a.", logprobs: 0 });
  const input = { input: "x", store: false };
  bypassed("output", "responses", { ...input, include: ["message.output_text.logprobs"] });
  cached("responses", { ...input, include: [] });
  const source = { type: "text", data: "d", media_type: "text/plain" };
  bypassed("output", "messages", {
    messages: [user([{ type: "document", source, citations: { enabled: true } }])],
  });
});

Deno.test("examine lets only the exact layer answer where variety is wanted", () => {
  for (const temperature of [0.31, 1, 2, "0", Number.NaN]) {
    const request = cached("chat", chat({ temperature }));
    assert.deepEqual([request.canonicalKey, request.turn, request.joinable], [null, null, false]);
  }
  for (const temperature of [undefined, null, 0, 0.3]) {
    const request = cached("chat", chat({ temperature }));
    assert.ok(request.canonicalKey !== null && request.turn !== null && request.joinable);
  }
  assert.notEqual(cached("chat", chat({ temperature: 1 }), { temperatureMax: 2 }).turn, null);
  const seeded = cached("chat", chat({ seed: 0 }));
  assert.deepEqual([seeded.canonicalKey, seeded.turn, seeded.joinable], [null, null, true]);
});

Deno.test("examine passes by what is not certain where only certain answers are cached", () => {
  const rules = { deterministicOnly: true };
  for (const temperature of [undefined, null, 0.1, "0"]) {
    bypassed("sampling", "chat", chat({ temperature }), rules);
  }
  assert.notEqual(cached("chat", chat({ temperature: 0 }), rules).turn, null);
});

Deno.test("examine gives answers about the present a short life and no likeness", () => {
  const today = { messages: [user("What is the weather today?")] };
  const request = cached("chat", today);
  assert.equal(request.turn, null);
  assert.notEqual(request.canonicalKey, null);
  assert.equal(request.ttlMs, 60_000);
  assert.equal(cached("chat", today, { ttlMs: 5_000 }).ttlMs, 5_000);
  const address = (url: string) => ({ type: "image_url", image_url: { url } });
  const show = (url: string) => ({
    messages: [user([{ type: "text", text: "Who?" }, address(url)])],
  });
  assert.equal(cached("chat", show("https://cam.example/1.png")).ttlMs, 60_000);
  assert.equal(cached("chat", show(DATA_IMAGE)).ttlMs, 3_600_000);
});

Deno.test("examine bounds the time to live that a header asks for", () => {
  const ttl = (seconds: string) =>
    cached("chat", chat(), {}, headers({ "weir-cache-ttl": seconds })).ttlMs;
  assert.equal(ttl("5"), 5_000);
  assert.equal(ttl("999999"), 86_400_000);
  assert.equal(cached("chat", chat()).ttlMs, 3_600_000);
});

Deno.test("examine keeps the semantic layer to short conversations and short turns", () => {
  const history = (count: number) => ({
    messages: Array.from({ length: count }, (_, index) =>
      index === count - 1 ? user("Why?") : {
        role: index % 2 === 0 ? "user" : "assistant",
        content: "x",
      }),
  });
  assert.equal(cached("chat", history(4)).turn, "Why?");
  assert.equal(cached("chat", history(5)).turn, null);
  assert.equal(cached("messages", { ...history(4), system: "s" }).turn, null);
  const long = (length: number) => ({ messages: [user("x".repeat(length))] });
  assert.notEqual(cached("chat", long(2_000)).turn, null);
  assert.equal(cached("chat", long(2_001)).turn, null);
  for (const fields of [{ semantic: "off" }] as const) {
    assert.equal(cached("chat", chat(), fields).turn, null);
  }
  const exact = cached("chat", chat(), {}, headers({ "weir-cache-mode": "exact" }));
  assert.equal(exact.turn, null);
  assert.notEqual(exact.canonicalKey, null);
});

Deno.test("examine folds and compares no turn with an image, but keys it", () => {
  const image = (url: string) => ({
    messages: [user([{ type: "text", text: "Who?" }, { type: "image_url", image_url: { url } }])],
  });
  const one = cached("chat", image(DATA_IMAGE));
  assert.deepEqual([one.turn, one.canonicalKey], [null, null]);
  assert.notEqual(one.exactKey, cached("chat", image(DATA_IMAGE + "A")).exactKey);
});

Deno.test("examine takes a prompt to be carried on by its letters", () => {
  for (
    const fields of [
      { prompt: "Once upon a time" },
      { prompt: "Q: a?\nA: b.\nQ: c?" },
      { prompt: "How far is it?", echo: true },
      { prompt: "How far is it?", suffix: "x" },
      { prompt: [1, 2, 3] },
      { prompt: [[1, 2, 3]] },
    ]
  ) {
    const request = cached("completions", fields);
    assert.deepEqual([request.turn, request.canonicalKey], [null, null]);
  }
});

Deno.test("examine passes by where no layer is left", () => {
  const none = { flight: false, exact: false, canonical: false, semantic: "off" } as const;
  bypassed("no_layer", "chat", chat(), none);
  for (
    const layer of [{ flight: true }, { exact: true }, { canonical: true }, {
      semantic: "observe",
    }] as const
  ) {
    cached("chat", chat(), { ...none, ...layer });
  }
  bypassed("no_layer", "chat", chat({ temperature: 1 }), { exact: false });
  bypassed(
    "no_layer",
    "chat",
    chat(),
    { ...none, semantic: "static" },
    headers({ "weir-cache-mode": "exact" }),
  );
  assert.equal(cached("chat", chat(), { flight: false }).joinable, false);
  assert.equal(cached("chat", chat(), { canonical: false }).canonicalKey, null);
});

Deno.test("examine gives one canonical key to spellings, and another to another scope", () => {
  const key = (text: string, tenant = "acme") =>
    cached("chat", { messages: [user(text)] }, {}, { tenant }).canonicalKey;
  assert.equal(key("How do I pay?"), key("hello, how do I pay please"));
  assert.notEqual(key("How do I pay?"), key("How do I not pay?"));
  assert.notEqual(key("How do I pay?"), key("How do I pay?", "other"));
});

Deno.test("examine lists what an entry can be invalidated by", () => {
  const messages = [{ role: "system", content: "Be kind" }, user("How?")];
  const { tags } = cached("chat", { messages }, {}, {
    route: "front",
    ...headers({ "weir-cache-tags": "faq, tenant:other" }),
  });
  assert.deepEqual(tags, [
    "tenant:acme",
    "model:fast",
    "route:front",
    prefixTag("Be kind"),
    clientTag("acme", "faq"),
    clientTag("acme", "tenant:other"),
  ]);
  assert.equal(cached("chat", chat()).tags.length, 3);
});

Deno.test("examine finds the system prompt wherever an API has it", () => {
  const prefix = prefixTag("Be kind\nBe brief");
  const both = [{ type: "text", text: "Be kind" }, { type: "text", text: "Be brief" }];
  for (
    const [surface, fields] of [
      ["chat", { messages: [{ role: "system", content: both }, user("How?")] }],
      ["chat", {
        messages: [
          { role: "system", content: "Be kind" },
          { role: "developer", content: "Be brief" },
          user("How?"),
        ],
      }],
      ["messages", { system: both, messages: [user("How?")] }],
      ["responses", { instructions: "Be kind\nBe brief", input: "How?", store: false }],
      ["responses", {
        instructions: "Be kind",
        input: [{ role: "developer", content: "Be brief" }, user("How?")],
        store: false,
      }],
    ] as const
  ) assert.ok(cached(surface, fields).tags.includes(prefix), JSON.stringify(fields));
});

Deno.test("examine does not change the request", () => {
  const fields = chat({ stream: true, user: "u" });
  const before = JSON.stringify(fields);
  cached("chat", fields);
  assert.equal(JSON.stringify(fields), before);
});
