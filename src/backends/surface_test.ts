import assert from "node:assert/strict";
import { errorTypeFor, type Protocol, type Surface, upstreamSurface } from "./surface.ts";

Deno.test("upstreamSurface() translates chat and messages, and nothing else", () => {
  const cases: [Surface, Protocol, Surface | null][] = [
    ["chat", "openai", "chat"],
    ["chat", "azure", "chat"],
    ["chat", "anthropic", "messages"],
    ["messages", "openai", "chat"],
    ["messages", "azure", "chat"],
    ["messages", "anthropic", "messages"],
    ["completions", "openai", "completions"],
    ["completions", "anthropic", null],
    ["responses", "azure", "responses"],
    ["responses", "anthropic", null],
    ["embeddings", "openai", "embeddings"],
    ["embeddings", "anthropic", null],
  ];
  for (const [surface, protocol, expected] of cases) {
    assert.equal(upstreamSurface(surface, protocol), expected, `${surface} on ${protocol}`);
  }
});

Deno.test("errorTypeFor() names a status as each API does", () => {
  const cases: [number, string, string][] = [
    [400, "invalid_request_error", "invalid_request_error"],
    [401, "authentication_error", "authentication_error"],
    [402, "invalid_request_error", "billing_error"],
    [403, "permission_error", "permission_error"],
    [404, "invalid_request_error", "not_found_error"],
    [413, "invalid_request_error", "request_too_large"],
    [422, "invalid_request_error", "invalid_request_error"],
    [429, "rate_limit_error", "rate_limit_error"],
    [500, "server_error", "api_error"],
    [502, "server_error", "api_error"],
    [503, "server_error", "overloaded_error"],
    [504, "server_error", "timeout_error"],
    [529, "server_error", "overloaded_error"],
    [200, "server_error", "api_error"],
  ];
  for (const [status, chat, messages] of cases) {
    assert.equal(errorTypeFor(status, "chat"), chat, `chat ${status}`);
    assert.equal(errorTypeFor(status, "messages"), messages, `messages ${status}`);
  }
});
