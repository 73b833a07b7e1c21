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
