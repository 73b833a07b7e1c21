import assert from "node:assert/strict";
import { checkConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { serveCommand, serveFlags } from "./permissions.ts";

const BACKEND = {
  name: "one",
  protocol: "openai",
  baseUrl: "http://127.0.0.1:9001/v1",
};

function configWith(settings: Readonly<Record<string, unknown>>): Config {
  return checkConfig({
    backends: [BACKEND],
    models: [{ name: "chat", targets: [{ backend: "one", model: "m" }] }],
    ...settings,
  });
}

Deno.test("serveFlags() lists listeners, backends, files and variables, each once", () => {
  const config = configWith({
    listen: { host: "0.0.0.0", port: 80 },
    caCertificates: ["ca.pem"],
    backends: [
      { ...BACKEND, credential: "env:B_KEY" },
      {
        ...BACKEND,
        name: "two",
        baseUrl: "https://api.example.com/v1",
        credential: "env:A_KEY",
      },
      {
        ...BACKEND,
        name: "three",
        baseUrl: "https://api.example.com/v2",
        credential: "file:/k",
      },
      {
        ...BACKEND,
        name: "four",
        baseUrl: "http://[::1]",
        headers: { "x-api-key": "env:A_KEY" },
      },
    ],
  });
  assert.deepEqual(serveFlags(config, "weir.yaml"), [
    "--no-prompt",
    "--allow-net=0.0.0.0:80,127.0.0.1:8081,127.0.0.1:9001,api.example.com:443,[::1]:80",
    "--allow-read=weir.yaml,/k,ca.pem",
    "--allow-env=A_KEY,B_KEY",
  ]);
});

Deno.test("serveFlags() asks for nothing that is not needed", () => {
  const config = configWith({ admin: { enabled: false } });
  assert.deepEqual(serveFlags(config, "weir.yaml"), [
    "--no-prompt",
    "--allow-net=127.0.0.1:8080,127.0.0.1:9001",
    "--allow-read=weir.yaml",
  ]);
});

Deno.test("serveCommand() quotes what a shell would read otherwise", () => {
  assert.equal(
    serveCommand(configWith({ admin: { enabled: false } }), "my weir's.yaml", [
      "--port=1",
    ]),
    "deno run --no-prompt --allow-net=127.0.0.1:8080,127.0.0.1:9001 " +
      `'--allow-read=my weir'\\''s.yaml' mod.ts serve --config 'my weir'\\''s.yaml' --port=1`,
  );
});

/** The flags of a configuration with a cache, by name; values as lists. */
function cacheFlags(
  cache: Readonly<Record<string, unknown>>,
  model: Readonly<Record<string, unknown>> = { enabled: true },
): Record<string, readonly string[]> {
  const config = configWith({
    cache,
    models: [{ name: "chat", targets: [{ backend: "one", model: "m" }], cache: model }],
  });
  return Object.fromEntries(
    serveFlags(config, "weir.yaml").slice(1).map((flag) => {
      const [name = "", values = ""] = flag.split("=");
      return [name, values.split(",")];
    }),
  );
}

Deno.test("serveFlags() lets a cache start its workers, load its one library, and no more", () => {
  const flags = cacheFlags({});
  assert.deepEqual(Object.keys(flags), ["--allow-net", "--allow-read", "--allow-ffi"]);
  assert.equal(flags["--allow-read"]?.length, 2);
  assert.match(flags["--allow-read"]?.[1] ?? "", /\/src$/);
  assert.match(flags["--allow-ffi"]?.join() ?? "", /\/usearch\.node$/);
  assert.equal(cacheFlags({ native: "never" })["--allow-ffi"], undefined);
  const exactOnly = cacheFlags({}, { enabled: true, semantic: { mode: "off" } });
  assert.deepEqual(exactOnly["--allow-read"], ["weir.yaml"]);
  assert.deepEqual(cacheFlags({}, { enabled: false })["--allow-read"], ["weir.yaml"]);
});

Deno.test("serveFlags() lets a cache use the store, the index folder and the model it names", () => {
  const kept = cacheFlags({ store: "file:/data/kv/cache.db", indexDirectory: "/data/index" });
  assert.deepEqual(kept["--allow-write"], ["/data/kv", "/data/index"]);
  assert.ok(kept["--allow-read"]?.includes("/data/kv"));
  const nodes = cacheFlags({ store: "weir://kv-1:4512,kv-2:4512/cache" });
  assert.deepEqual(nodes["--allow-net"]?.slice(-2), ["kv-1", "kv-2"]);
  assert.equal(nodes["--allow-env"], undefined);
  const remote = cacheFlags({ store: "https://kv.example.com/a" });
  assert.deepEqual(remote["--allow-env"], ["DENO_KV_ACCESS_TOKEN"]);
  assert.ok(remote["--allow-net"]?.includes("kv.example.com:443"));
  const local = cacheFlags({ embedder: { type: "local", directory: "/models/mini" } });
  assert.ok(local["--allow-read"]?.includes("/models/mini"));
  assert.equal(local["--allow-ffi"]?.length, 2);
});

Deno.test("serveCommand() names the add-on's configuration where a model of one's own is used", () => {
  const config = configWith({
    cache: { embedder: { type: "local", directory: "/models/mini" } },
    models: [{
      name: "chat",
      targets: [{ backend: "one", model: "m" }],
      cache: { enabled: true },
    }],
  });
  assert.match(
    serveCommand(config, "weir.yaml", []),
    /^deno run --config addons\/local_model\/deno\.json --no-prompt /,
  );
});
