import assert from "node:assert/strict";
import type { FailureReason } from "../balance/types.ts";
import {
  classify,
  errorBody,
  type ErrorDetail,
  errorEvent,
  isPrefillRejection,
  readErrorBody,
} from "./error_shape.ts";

const DETAIL: ErrorDetail = { status: 503, code: "no_healthy_backend", message: "Cannot route" };

Deno.test("errorBody() has the shape of the caller's API", () => {
  assert.deepEqual(errorBody("chat", { ...DETAIL, param: "model" }), {
    error: {
      message: "Cannot route",
      type: "server_error",
      param: "model",
      code: "no_healthy_backend",
    },
  });
  assert.deepEqual(errorBody("messages", DETAIL), {
    type: "error",
    error: { type: "overloaded_error", message: "Cannot route", code: "no_healthy_backend" },
  });
});

Deno.test("errorBody() keeps the backend's type where the caller's API knows it", () => {
  const passed: ErrorDetail = { status: 400, code: null, type: "BadRequestError", message: "m" };
  assert.deepEqual(errorBody("embeddings", passed), {
    error: { message: "m", type: "BadRequestError", param: null, code: null },
  });
  assert.deepEqual(errorBody("messages", passed), {
    type: "error",
    error: { type: "invalid_request_error", message: "m" },
  });
  assert.deepEqual(errorBody("messages", { ...passed, status: 500, type: "timeout_error" }), {
    type: "error",
    error: { type: "timeout_error", message: "m" },
  });
});

Deno.test("errorEvent() frames the error for each API", () => {
  const inner = {
    message: "Cannot route",
    type: "server_error",
    param: null,
    code: "no_healthy_backend",
  };
  for (const surface of ["chat", "completions"] as const) {
    assert.equal(errorEvent(surface, DETAIL), `data: ${JSON.stringify({ error: inner })}\n\n`);
  }
  const messages = JSON.stringify(errorBody("messages", DETAIL));
  assert.equal(errorEvent("messages", DETAIL), `event: error\ndata: ${messages}\n\n`);
  const [name, data] = errorEvent("responses", DETAIL).trimEnd().split("\n");
  assert.equal(name, "event: error");
  assert.deepEqual(JSON.parse(data?.slice("data: ".length) ?? ""), {
    type: "error",
    code: "no_healthy_backend",
    message: "Cannot route",
    param: null,
    sequence_number: 0,
    error: inner,
  });
});

Deno.test("readErrorBody() always has something to say", () => {
  assert.deepEqual(readErrorBody("azure", 502, ""), {
    status: 502,
    code: null,
    type: null,
    message: "Backend (azure) answered with status 502 and no message",
    param: null,
  });
});

const FAILURES: readonly [FailureReason, number, string][] = [
  ["rate_limited", 429, '{"error":{"message":"Rate limit reached"}}'],
  ["rate_limited", 429, '{"error":{"message":"quota","code":"insufficient_quota"}}'],
  [
    "rate_limited",
    413,
    '{"error":{"message":"Request too large: Limit 6000 tokens per minute","code":"rate_limit_exceeded"}}',
  ],
  ["unauthorized", 401, '{"error":{"message":"Invalid key"}}'],
  ["unauthorized", 403, '{"message":"forbidden"}'],
  ["unauthorized", 402, '{"error":{"message":"Insufficient Balance"}}'],
  [
    "unauthorized",
    400,
    '{"error":{"message":"Your credit balance is too low to access the API"}}',
  ],
  ["context_length", 400, '{"error":{"message":"x","code":"context_length_exceeded"}}'],
  [
    "context_length",
    400,
    '{"error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}',
  ],
  [
    "context_length",
    400,
    '{"error":{"message":"input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000"}}',
  ],
  [
    "context_length",
    400,
    '{"object":"error","message":"This model\'s maximum context length is 6048 tokens. However, you requested 6616","code":400}',
  ],
  [
    "context_length",
    400,
    '{"error":{"message":"The decoder prompt (length 9) is longer than the maximum model length of 8"}}',
  ],
  [
    "context_length",
    400,
    '{"error":{"code":400,"message":"request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"x"}}',
  ],
  ["context_length", 500, '{"error":{"code":500,"message":"Context size has been exceeded."}}'],
  ["context_length", 500, '{"error":{"message":"x","type":"exceed_context_size_error"}}'],
  ["context_length", 400, "Requested tokens (2285) exceed context window of 2048"],
  ["context_length", 400, '{"error":"prompt too long; exceeded max context length"}'],
  [
    "context_length",
    400,
    '{"error":{"message":"Input tokens exceed the configured limit of 272000 tokens."}}',
  ],
  ["content_filter", 400, '{"error":{"message":"x","code":"content_policy_violation"}}'],
  [
    "content_filter",
    400,
    '{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI\'s content management policy.","type":null,"param":"prompt","code":"content_filter","status":400}}',
  ],
  ["content_filter", 400, '{"error":{"message":"Output blocked by content filtering policy"}}'],
  ["content_filter", 403, '{"error":"Content violates usage guidelines."}'],
  ["model_missing", 404, '{"error":{"message":"x","code":"model_not_found"}}'],
  ["model_missing", 404, '{"error":{"message":"The model `x` does not exist."}}'],
  ["model_missing", 404, '{"error":"model \'x\' not found, try pulling it first"}'],
  [
    "model_missing",
    404,
    '{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}',
  ],
  ["model_missing", 404, '{"error":{"code":"DeploymentNotFound","message":"x"}}'],
  ["bad_request", 404, "<html><title>404 page not found</title></html>"],
  ["bad_request", 404, '{"detail":"Not Found"}'],
  [
    "bad_request",
    400,
    '{"error":{"message":"max_tokens is too large: 5000. This model supports at most 4096"}}',
  ],
  [
    "bad_request",
    413,
    '{"error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}',
  ],
  ["bad_request", 422, '{"detail":[{"loc":["body","n"],"msg":"Input should be 1"}]}'],
  ["status_5xx", 500, "Internal Server Error"],
  ["status_5xx", 503, '{"error":{"message":"The model is overloaded: context length exceeded"}}'],
  [
    "status_5xx",
    529,
    '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
  ],
  ["in_band", 200, '{"error":{"type":"overloaded_error","message":"Overloaded"}}'],
  ["context_length", 200, '{"error":{"code":"context_length_exceeded","message":"x"}}'],
];

Deno.test("classify() tells failures apart by status, code and wording", () => {
  for (const [reason, status, body] of FAILURES) {
    assert.equal(classify(status, readErrorBody("openai", status, body)), reason, body);
  }
});

Deno.test("isPrefillRejection() knows the wordings, and no other refusal", () => {
  const rejections = [
    "This model does not support assistant message prefill. The conversation must end with a user message.",
    "Assistant response prefill is incompatible with enable_thinking.",
    "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
    "Cannot set `add_generation_prompt` to True when the last message is from the assistant.",
    "Cannot have 2 or more assistant messages at the end of the list.",
    "messages: final assistant content cannot end with trailing whitespace",
    "The last message in the conversation must be a user message",
  ];
  for (const message of rejections) {
    assert.ok(isPrefillRejection({ status: 400, code: null, message }), message);
  }
  const others = ["Invalid model", "messages: at least one message is required", "prompt too long"];
  for (const message of others) {
    assert.ok(!isPrefillRejection({ status: 400, code: null, message }), message);
  }
  assert.ok(!isPrefillRejection({ status: 503, code: null, message: "prefill node is down" }));
});
