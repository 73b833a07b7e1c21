import assert from "node:assert/strict";
import { cleanMessage, type ErrorParts, MESSAGE_LENGTH_MAX, readErrorParts } from "./error_text.ts";

Deno.test("readErrorParts() finds the message in every shape", () => {
  const cases: [string, string, Partial<ErrorParts>][] = [
    [
      "openai",
      '{"error":{"message":"m","type":"invalid_request_error","param":"n","code":"c"}}',
      { message: "m", type: "invalid_request_error", param: "n", code: "c" },
    ],
    [
      "anthropic",
      '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}',
      { message: "Overloaded", type: "overloaded_error" },
    ],
    [
      "anthropic with details",
      '{"type":"error","error":{"type":"x","message":"m","details":{"error_code":"c"}}}',
      { message: "m", type: "x", code: "c" },
    ],
    [
      "older vLLM, code is the status",
      '{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}',
      { message: "m", type: "BadRequestError" },
    ],
    [
      "llama.cpp",
      '{"error":{"code":400,"message":"m","type":"exceed_context_size_error","n_ctx":8}}',
      { message: "m", type: "exceed_context_size_error" },
    ],
    ["ollama", '{"error":"model \'x\' not found"}', { message: "model 'x' not found" }],
    ["code beside", '{"error":"not_found","message":"m"}', { message: "m", code: "not_found" }],
    ["words beside", '{"statusCode":404,"error":"Not Found","message":"m"}', { message: "m" }],
    ["fastapi text", '{"detail":"Not Found"}', { message: "Not Found" }],
    [
      "fastapi list",
      '{"detail":[{"loc":["body","model"],"msg":"Field required"},{"msg":"bad"}]}',
      { message: "body.model: Field required; bad" },
    ],
    ["fastapi object", '{"detail":{"message":"m"}}', { message: "m" }],
    ["bare message", '{"statusCode":401,"message":"Access denied"}', { message: "Access denied" }],
    ["errors", '{"errors":[{"message":"m","code":"c"}]}', { message: "m", code: "c" }],
    ["problem details", '{"title":"Too big","status":413}', { message: "Too big" }],
    ["array", '[{"error":{"message":"m"}}]', { message: "m" }],
    ["nested message", '{"error":{"message":{"a":1}}}', { message: '{"a":1}' }],
    ["json string", '"m"', { message: "m" }],
    ["text", "upstream connect error\n", { message: "upstream connect error" }],
    [
      "html",
      "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>x</body></html>",
      { message: "502 Bad Gateway" },
    ],
    ["html without title", "<html><body><h1>Oops</h1> <p>gone</p></body></html>", {
      message: "Oops gone",
    }],
    ["empty", "  ", {}],
    ["number", "7", {}],
    ["nothing in it", "{}", {}],
    ["empty array", "[]", {}],
  ];
  for (const [name, body, expected] of cases) {
    const nothing = { code: null, type: null, message: null, param: null };
    assert.deepEqual(readErrorParts(body), { ...nothing, ...expected }, name);
  }
});

Deno.test("cleanMessage() keeps credentials, control characters and length out", () => {
  const refused = "Incorrect API key provided: sk-proj-abc***xyz9. Bearer eyJhbGciOi.J9 is wrong";
  assert.equal(
    cleanMessage(refused),
    "Incorrect API key provided: [redacted] Bearer [redacted] is wrong",
  );
  assert.equal(cleanMessage("a\u0000\u001b[31mb\nc\td\u0085"), "a [31mb\nc\td");
  assert.equal(cleanMessage("x".repeat(9_000)).length, MESSAGE_LENGTH_MAX);
  assert.equal(cleanMessage("basic facts"), "basic facts");
});

Deno.test("readErrorParts() reads of an endless body only the beginning", () => {
  const { message } = readErrorParts("y".repeat(1_000_000));
  assert.equal(message?.length, MESSAGE_LENGTH_MAX);
});
