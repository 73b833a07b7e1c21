import assert from "node:assert/strict";
import { type BackendEndpoint, credentialHeaders, endpointUrl, modelsUrl } from "./endpoint.ts";
import type { Surface } from "./surface.ts";

function endpoint(
  protocol: BackendEndpoint["protocol"],
  baseUrl: string,
  apiVersion?: string,
): BackendEndpoint {
  return apiVersion === undefined ? { protocol, baseUrl } : { protocol, baseUrl, apiVersion };
}

Deno.test("endpointUrl() follows each protocol's paths", () => {
  const azure = "https://house.openai.azure.com";
  const cases: [BackendEndpoint, Surface, string][] = [
    [endpoint("openai", "http://h:1/v1"), "chat", "http://h:1/v1/chat/completions"],
    [endpoint("openai", "http://h:1/v1/"), "completions", "http://h:1/v1/completions"],
    [endpoint("openai", "http://h/v1?tenant=a"), "responses", "http://h/v1/responses?tenant=a"],
    [endpoint("openai", "http://h/v1"), "embeddings", "http://h/v1/embeddings"],
    [endpoint("anthropic", "https://h/v1"), "messages", "https://h/v1/messages"],
    [endpoint("anthropic", "https://h/v1/"), "messages", "https://h/v1/messages"],
    [endpoint("anthropic", "https://h"), "messages", "https://h/v1/messages"],
    [endpoint("anthropic", "https://h/anthropic/"), "messages", "https://h/anthropic/v1/messages"],
    [
      endpoint("azure", azure, "2025-01-01"),
      "chat",
      `${azure}/openai/deployments/my%2Fmodel/chat/completions?api-version=2025-01-01`,
    ],
    [
      endpoint("azure", `${azure}/openai/`),
      "embeddings",
      `${azure}/openai/deployments/my%2Fmodel/embeddings?api-version=2024-10-21`,
    ],
    [
      endpoint("azure", azure, "preview"),
      "responses",
      `${azure}/openai/responses?api-version=preview`,
    ],
    [endpoint("azure", `${azure}/openai/v1/`), "chat", `${azure}/openai/v1/chat/completions`],
    [
      endpoint("azure", `${azure}/openai/v1`, "preview"),
      "chat",
      `${azure}/openai/v1/chat/completions?api-version=preview`,
    ],
  ];
  for (const [backend, surface, expected] of cases) {
    assert.equal(endpointUrl(backend, surface, "my/model"), expected);
  }
});

Deno.test("endpointUrl() refuses an API that the protocol does not have", () => {
  assert.throws(() => endpointUrl(endpoint("anthropic", "http://h/v1"), "chat", "m"), RangeError);
  assert.throws(() => endpointUrl(endpoint("azure", "http://h"), "messages", "m"), RangeError);
});

Deno.test("modelsUrl() lists models under each protocol's base", () => {
  assert.equal(modelsUrl(endpoint("openai", "http://h/v1/")), "http://h/v1/models");
  assert.equal(modelsUrl(endpoint("anthropic", "http://h")), "http://h/v1/models");
  assert.equal(
    modelsUrl(endpoint("azure", "http://h", "2025-01-01")),
    "http://h/openai/models?api-version=2025-01-01",
  );
  assert.equal(modelsUrl(endpoint("azure", "http://h/openai/v1")), "http://h/openai/v1/models");
});

Deno.test("credentialHeaders() puts the secret where the protocol looks for it", () => {
  assert.deepEqual(credentialHeaders("openai", "s"), [["authorization", "Bearer s"]]);
  assert.deepEqual(credentialHeaders("azure", "s"), [["api-key", "s"]]);
  assert.deepEqual(credentialHeaders("anthropic", "s"), [
    ["x-api-key", "s"],
    ["anthropic-version", "2023-06-01"],
  ]);
  assert.deepEqual(credentialHeaders("openai", null), []);
  assert.deepEqual(credentialHeaders("anthropic", null), [["anthropic-version", "2023-06-01"]]);
});
