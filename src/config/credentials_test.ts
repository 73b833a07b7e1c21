import assert from "node:assert/strict";
import { referencesOf, resolveCredentials, type SecretReaders } from "./credentials.ts";
import { checkConfig } from "./load.ts";
import type { Config } from "./schema.ts";

const READERS: SecretReaders = {
  env: (name) => ({ KEY: " k1\n", EMPTY: "  ", SPLIT: "a\r\nb" })[name],
  file: (path) => {
    if (path !== "/run/key") throw new Error("no such file");
    return "k2\n";
  },
};

function configWith(backend: Readonly<Record<string, unknown>>): Config {
  return checkConfig({
    backends: [{ name: "one", protocol: "openai", baseUrl: "http://127.0.0.1:1", ...backend }],
    models: [{ name: "chat", targets: [{ backend: "one", model: "m" }] }],
  });
}

Deno.test("resolveCredentials() reads variables and files and trims them", () => {
  const fromEnv = resolveCredentials(configWith({ credential: "env:KEY" }), READERS);
  assert.deepEqual([...fromEnv.secrets], [["one", "k1"]]);
  const fromFile = resolveCredentials(configWith({ credential: "file:/run/key" }), READERS);
  assert.deepEqual([...fromFile.secrets], [["one", "k2"]]);
  assert.equal(resolveCredentials(configWith({}), READERS).secrets.size, 0);
});

Deno.test("resolveCredentials() replaces references in headers and leaves the input alone", () => {
  const given = configWith({ headers: { authorization: "env:KEY", "x-note": "plain" } });
  const { config } = resolveCredentials(given, READERS);
  assert.deepEqual(config.backends[0]?.headers, { authorization: "k1", "x-note": "plain" });
  assert.equal(given.backends[0]?.headers?.["authorization"], "env:KEY");
});

Deno.test("resolveCredentials() names the backend and the reference that leads nowhere", () => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ["env:GONE", /backend one: cannot read env:GONE: the variable is not set/],
    ["env:EMPTY", /backend one: cannot read env:EMPTY: the variable is empty/],
    ["env:SPLIT", /backend one: cannot read env:SPLIT: it holds control characters/],
    ["file:/gone", /backend one: cannot read file:\/gone: no such file/],
  ];
  for (const [credential, expected] of cases) {
    assert.throws(() => resolveCredentials(configWith({ credential }), READERS), expected);
  }
  assert.throws(
    () => resolveCredentials(configWith({ headers: { authorization: "env:GONE" } }), READERS),
    /backend one, header authorization: cannot read env:GONE/,
  );
});

Deno.test("referencesOf() lists each variable and file once, sorted", () => {
  const config = configWith({
    credential: "env:KEY",
    headers: { authorization: "env:A", "x-a": "file:/run/key", "x-b": "env:KEY", "x-c": "plain" },
  });
  assert.deepEqual(referencesOf(config), { env: ["A", "KEY"], files: ["/run/key"] });
});
