import assert from "node:assert/strict";
import { readMessages } from "../requests/messages.ts";
import { readChat } from "../requests/openai.ts";
import { readResponse } from "../requests/responses.ts";
import { type Answer, answerTo, tokensOf } from "./answer.ts";
import { prose } from "./vocabulary.ts";

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
};

/** The answer to a chat request with these fields besides model and messages. */
function chat(
  messages: ReadonlyArray<Readonly<Record<string, unknown>>>,
  fields: Readonly<Record<string, unknown>> = {},
  options: Partial<Parameters<typeof answerTo>[1]> = {},
): Answer {
  return answerTo(readChat({ model: "m", messages, ...fields }), { variation: 0, ...options });
}

const HELLO = [{ role: "user", content: "Hello there" }];

Deno.test("prose() has exactly the words asked for, and one outside ASCII", () => {
  for (const words of [1, 2, 5, 6, 7, 8, 9, 60, 1_000]) {
    const text = prose(words, words);
    assert.equal(text.match(/\S+/g)?.length, words);
    assert.ok(text.endsWith("."));
    if (words >= 5) assert.match(text, /\P{ASCII}/u);
  }
});

Deno.test("answerTo() gives one answer to one conversation over any API", () => {
  const conversation = [{ role: "system", content: "Be kind" }, ...HELLO];
  const text = chat(conversation).tokens.join("");
  const messages = readMessages({
    model: "other",
    max_tokens: 999,
    system: [{ type: "text", text: "Be kind" }],
    messages: [{ role: "user", content: [{ type: "text", text: "Hello there" }] }],
  });
  assert.equal(answerTo(messages, { variation: 0 }).tokens.join(""), text);
  const response = readResponse({ model: "x", instructions: "Be kind", input: "Hello there" });
  assert.equal(answerTo(response, { variation: 0 }).tokens.join(""), text);
  assert.notEqual(chat(HELLO).tokens.join(""), text);
  assert.notEqual(chat(conversation, {}, { variation: 7 }).tokens.join(""), text);
});

Deno.test("answerTo() continues a prefill that begins the answer, wherever it stops", () => {
  const text = chat(HELLO).tokens.join("");
  for (let length = 1; length <= text.length; length++) {
    const prefill = text.slice(0, length);
    const rest = chat([...HELLO, { role: "assistant", content: prefill }]).tokens.join("");
    assert.equal(prefill + rest, text);
  }
  const other = chat([...HELLO, { role: "assistant", content: "Something else" }]);
  assert.equal(other.tokens.join(""), text);
});

Deno.test("answerTo() honours stop texts and the token limit", () => {
  const tokens = tokensOf(FIXED);
  const options = { fixedText: FIXED };
  const stopped = chat(HELLO, { stop: ["four", "three"] }, options);
  assert.equal(stopped.tokens.join(""), "one two ");
  assert.equal(stopped.finish, "stop");
  assert.equal(stopped.stopText, "three");

  const short = chat(HELLO, { max_tokens: 2 }, options);
  assert.deepEqual(short.tokens, tokens.slice(0, 2));
  assert.equal(short.finish, "length");
  assert.equal(short.answerTokens, 2);

  const exact = chat(HELLO, { max_tokens: tokens.length }, options);
  assert.equal(exact.finish, "stop");
  assert.equal(exact.promptTokens, 6);
});

const FIXED = "one two three four five";

Deno.test("answerTo() calls a tool when the prompt or the choice asks for it", () => {
  const tools = [WEATHER];
  const rain = [{ role: "user", content: "What is the weather like?" }];
  const call = chat(rain, { tools });
  assert.equal(call.finish, "tool_calls");
  assert.deepEqual(JSON.parse(call.calls[0]?.pieces.join("") ?? ""), { city: "Zürich" });
  assert.ok((call.calls[0]?.pieces.length ?? 0) > 1);
  assert.deepEqual(call.tokens, []);

  assert.equal(chat(HELLO, { tools }).finish, "stop");
  assert.equal(chat(HELLO, { tools, tool_choice: "required" }).finish, "tool_calls");
  const named = { type: "function", function: { name: "get_weather" } };
  assert.equal(chat(HELLO, { tools, tool_choice: named }).calls[0]?.name, "get_weather");
  assert.equal(chat(rain, { tools, tool_choice: "none" }).finish, "stop");
  assert.equal(chat(rain, { tools }, { toolCalls: 2 }).calls.length, 2);
  assert.equal(chat(rain, { tools, max_tokens: 1 }).finish, "length");

  const result = { role: "tool", tool_call_id: "c", content: "The weather is fine" };
  assert.equal(chat([...rain, result], { tools }).finish, "stop");
});

Deno.test("answerTo() shows reasoning on demand, within the token limit", () => {
  assert.equal(chat(HELLO).thoughts.length, 0);
  assert.equal(chat(HELLO, { reasoning_effort: "low" }).thoughts.length, 24);
  const short = chat(HELLO, { max_tokens: 3 }, { reasoningWords: 5 });
  assert.deepEqual([short.thoughts.length, short.tokens.length, short.finish], [3, 0, "length"]);
});
