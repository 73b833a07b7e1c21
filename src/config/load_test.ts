import assert from "node:assert/strict";
import { checkConfig, parseConfig } from "./load.ts";
import { ConfigError } from "./problems.ts";

const SMALLEST = `
backends:
  - { name: fast, protocol: openai, baseUrl: "http://127.0.0.1:9001/v1" }
  - { name: slow, protocol: openai, baseUrl: "http://127.0.0.1:9002/v1", credential: "env:SLOW_KEY" }
models:
  - name: chat                      # what the client asks for
    targets:
      - { backend: fast, model: llama-3.1-8b, weight: 1, tier: 0 }
      - { backend: slow, model: gpt-4o-mini, tier: 1 }   # only when tier 0 cannot answer
`;

/** The problems of a file, without the file's name. */
function problemsOf(text: string): readonly string[] {
  try {
    parseConfig(text, "weir.yaml");
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map((line) => line.replace(/^weir\.yaml:?/, ""));
  }
  return [];
}

/** The smallest file with one piece exchanged. */
function withChange(from: string, to: string): string {
  assert.ok(SMALLEST.includes(from), `the smallest file does not hold ${from}`);
  return SMALLEST.replace(from, to);
}

Deno.test("parseConfig() fills in every default of the smallest file", () => {
  const config = parseConfig(SMALLEST, "weir.yaml");
  assert.deepEqual(config.listen, { host: "127.0.0.1", port: 8_080 });
  assert.deepEqual(config.admin, { enabled: true, host: "127.0.0.1", port: 8_081 });
  assert.deepEqual(config.timeouts, {
    connectSeconds: 5,
    firstTokenSeconds: 30,
    idleSeconds: 30,
    totalSeconds: 600,
  });
  assert.equal(config.limits.bodyBytes, 20 * 1_024 * 1_024);
  assert.equal(config.models[0]?.continuation, "off");
  assert.deepEqual(config.models[0]?.targets[1], {
    backend: "slow",
    model: "gpt-4o-mini",
    weight: 1,
    tier: 1,
  });
  assert.equal(config.backends[1]?.credential, "env:SLOW_KEY");
});

Deno.test("parseConfig() reads JSON like YAML", () => {
  const config = parseConfig(SMALLEST, "weir.yaml");
  assert.deepEqual(parseConfig(JSON.stringify(config, null, "\t"), "weir.json"), config);
});

Deno.test("parseConfig() drops slashes at the end of a base URL", () => {
  const config = parseConfig(withChange("9001/v1", "9001/v1//"), "weir.yaml");
  assert.equal(config.backends[0]?.baseUrl, "http://127.0.0.1:9001/v1");
});

Deno.test("parseConfig() names place, setting and nearest known name of an unknown setting", () => {
  assert.deepEqual(problemsOf(withChange("weight: 1", "wieght: 1")), [
    "8:47: models[0].targets[0].wieght: there is no such setting (did you mean weight?); " +
    "known here are backend, model, weight, tier, capabilities",
  ]);
  assert.match(problemsOf(withChange("baseUrl", "base_url"))[1] ?? "", /did you mean baseUrl\?/);
});

Deno.test("parseConfig() says what is allowed where a value does not fit", () => {
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ["tier: 1", "tier: 0.5", "must be a whole number from 0 to 100"],
    ["tier: 1", "tier: one", "must be a whole number from 0 to 100"],
    ["weight: 1", "weight: 0", "must be a number from 0.001 to 1000"],
    ["protocol: openai", "protocol: opnai", "must be one of openai, azure, anthropic"],
    ["name: chat", "name: ''", "must be a name of up to 128 printable ASCII characters"],
    ["http://127.0.0.1:9001/v1", "127.0.0.1:9001", "must be an absolute http:// or https:// URL"],
    ["http://127.0.0.1:9001/v1", "ftp://x", "must be an absolute http:// or https:// URL"],
    ["models:\n", "limits: { jsonDepth: 3 }\nmodels:\n", "must be a whole number from 4 to 1000"],
    ["models:\n", "limits: { bodyBytes: 1 }\nmodels:\n", "a whole number of bytes from 1024 to"],
    ["models:\n", "admin: 5\nmodels:\n", "must be a mapping of settings"],
  ];
  for (const [from, to, expected] of cases) {
    const problems = problemsOf(withChange(from, to));
    assert.equal(problems.length, 1, `${to}: ${problems.join("\n")}`);
    assert.ok(problems[0]?.includes(expected), `${to}: ${problems[0]}`);
  }
});

Deno.test("parseConfig() says what is missing", () => {
  assert.deepEqual(problemsOf("models: []"), [
    "1:1: backends: is missing: a list with at least 1 entry, at most 10000",
    "1:1: models: must be a list with at least 1 entry, at most 10000",
  ]);
});

Deno.test("parseConfig() reports all problems of all kinds in one run, in the file's order", () => {
  const problems = problemsOf(`
listen: { port: 99999 }
backends:
  - { name: fast, protocol: opnai, baseUrl: "http://127.0.0.1:1" }
  - { name: fast, protocol: openai, baseUrl: "http://127.0.0.1:1" }
models:
  - { name: chat, targets: [{ backend: fsat, model: a }, { backend: fast }] }
extra: 1
`);
  assert.deepEqual(problems.map((line) => line.split(": ").slice(0, 2).join(" ")), [
    "2:11 listen.port",
    "4:19 backends[0].protocol",
    "5:7 backends[1].name",
    "7:31 models[0].targets[0].backend",
    "7:58 models[0].targets[1].model",
    "8:1 extra",
  ]);
});

Deno.test("parseConfig() checks names across the file", () => {
  assert.match(
    problemsOf(withChange("backend: fast", "backend: fsat"))[0] ?? "",
    /no backend has this name; known are fast, slow \(did you mean fast\?\)$/,
  );
  assert.match(
    problemsOf(
      withChange("backend: slow, model: gpt-4o-mini", "backend: fast, model: llama-3.1-8b"),
    )
      .join(),
    /targets\[1\]: names the same backend and model as an earlier target/,
  );
  assert.match(
    problemsOf(`${SMALLEST}  - { name: chat, targets: [{ backend: fast, model: a }] }`).join(),
    /models\[1\]\.name: is used already/,
  );
  assert.match(
    problemsOf(`${SMALLEST}admin: { port: 8080 }`).join(),
    /admin\.port: is the same as listen\.port/,
  );
  assert.deepEqual(problemsOf(`${SMALLEST}admin: { port: 8080, enabled: false }`), []);
  assert.match(
    problemsOf(withChange("protocol: openai", "protocol: openai, apiVersion: v1")).join(),
    /backends\[0\]\.apiVersion: has no effect/,
  );
  assert.match(
    problemsOf(`${SMALLEST}balancing: { breaker: { openSeconds: 60 } }`).join(),
    /openSecondsMax: must be at least as long as openSeconds/,
  );
});

Deno.test("parseConfig() allows gaps between tiers", () => {
  assert.deepEqual(problemsOf(withChange("tier: 1", "tier: 7")), []);
});

Deno.test("parseConfig() refuses literal secrets without repeating them", () => {
  const secret = "sk-live-0123456789";
  const texts = [
    withChange("env:SLOW_KEY", secret),
    withChange("tier: 1", `tier: ${secret}`),
    withChange("backend: slow", `backend: ${secret}`),
    withChange("http://127.0.0.1:9001", `http://user:${secret}@127.0.0.1:9001`),
    withChange(
      "protocol: openai",
      `protocol: openai, headers: { Authorization: "Bearer ${secret}" }`,
    ),
    withChange("protocol: openai", `protocol: openai, headers: { X-Api-Key: ${secret} }`),
    withChange("protocol: openai", `protocol: ${secret}: 1`),
    withChange("protocol: openai", `protocol: *${secret}`),
    withChange("protocol: openai", `protocol: !${secret} 1`),
    `access: { keys: [{ name: a, sha256: ${secret} }] }\n${SMALLEST}`,
  ];
  for (const text of texts) {
    const problems = problemsOf(text);
    assert.ok(problems.length > 0, `accepted: ${text}`);
    assert.ok(!problems.join().includes("0123456789"), problems.join());
  }
});

Deno.test("parseConfig() refuses headers that would break the request", () => {
  function headers(entry: string): string {
    return problemsOf(withChange("protocol: openai", `protocol: openai, headers: { ${entry} }`))
      .join();
  }
  assert.match(headers(`"a b": x`), /is not a valid header name/);
  assert.match(headers(`Content-Length: "5"`), /is a header that Weir sets itself/);
  assert.match(headers(`x-note: "a\\r\\nb: c"`), /must not hold control characters/);
  assert.equal(headers(`x-note: fine, Authorization: "env:OTHER"`), "");
});

Deno.test("parseConfig() says where text is not well-formed", () => {
  assert.match(problemsOf("backends: [1, 2")[0] ?? "", /^1:16: is not well-formed YAML or JSON: /);
  assert.match(problemsOf("a: 1\na: 2")[0] ?? "", /^2:1: .*duplicated mapping key/);
  assert.match(problemsOf("")[0] ?? "", /is empty; it needs backends and models/);
  assert.match(problemsOf("--- 1\n--- 2")[0] ?? "", /holds 2 documents/);
  assert.match(problemsOf("- a")[0] ?? "", /^1:1: must be a mapping of settings/);
  assert.match(problemsOf("[".repeat(200))[0] ?? "", /is not well-formed/);
});

Deno.test("parseConfig() finds the line of a setting under an anchor and an alias", () => {
  const problems = problemsOf(`
backends:
  - &base { name: a, protocol: openai, baseUrl: "http://127.0.0.1:1", hedge: 3 }
  - *base
models: [{ name: chat, targets: [{ backend: a, model: m }] }]
`);
  assert.deepEqual(problems.map((line) => line.split(" ")[0]), ["3:71:", "4:5:", "4:5:"]);
});

Deno.test("checkConfig() takes plain values and names their paths", () => {
  assert.throws(
    () => checkConfig({ backends: [], models: [] }),
    /Cannot use the configuration: 2 problems\n {2}the configuration: backends: must be a list/,
  );
});

Deno.test("weir.example.yaml is a valid configuration", () => {
  const file = new URL("../../weir.example.yaml", import.meta.url);
  const config = parseConfig(Deno.readTextFileSync(file), "weir.example.yaml");
  assert.deepEqual(
    new Set(config.backends.map((backend) => backend.protocol)),
    new Set(["openai", "azure", "anthropic"]),
  );
});
