/**
 * `serve` as a process of its own, with exactly the permissions that `check`
 * prints, in front of a backend that lives in the test.
 */
import assert from "node:assert/strict";
import { TextLineStream } from "../../tests/support/lines.ts";
import { parseConfig } from "../config/load.ts";
import { serveFlags } from "./permissions.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

const CHUNK = `data: ${
  JSON.stringify({
    id: "c1",
    object: "chat.completion.chunk",
    created: 1,
    model: "m1",
    choices: [{
      index: 0,
      delta: { role: "assistant", content: "Hello" },
      finish_reason: null,
    }],
  })
}\n\n`;
const END = `data: ${
  JSON.stringify({
    id: "c1",
    object: "chat.completion.chunk",
    created: 1,
    model: "m1",
    choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
  })
}\n\ndata: [DONE]\n\n`;

/** A backend that streams one word, and the rest when it is told to. */
class HeldBackend implements AsyncDisposable {
  readonly #finish = Promise.withResolvers<void>();
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      await request.body?.cancel();
      const encoder = new TextEncoder();
      const finish = this.#finish.promise;
      const body = new ReadableStream({
        async start(controller) {
          controller.enqueue(encoder.encode(CHUNK));
          await finish;
          controller.enqueue(encoder.encode(END));
          controller.close();
        },
      });
      return new Response(body, {
        headers: { "content-type": "text/event-stream" },
      });
    },
  );

  /** Where it listens. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/v1`;
  }

  /** Sends the rest of every stream. */
  finish(): void {
    this.#finish.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.finish();
    await this.#server.shutdown();
  }
}

/** A gateway process, killed at the end of the test if it still runs. */
class Gateway implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** Settles when it has ended. */
  readonly status: Promise<Deno.CommandStatus>;
  /** Where clients connect, once {@linkcode started}. */
  url = "";
  /** Where operators connect, once {@linkcode started}. */
  adminUrl = "";

  constructor(file: string) {
    const config = parseConfig(Deno.readTextFileSync(file), file);
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        ...serveFlags(config, file),
        "mod.ts",
        "serve",
        "--config",
        file,
      ],
      cwd: ROOT,
      stdout: "piped",
      stderr: "piped",
      stdin: "null",
    }).spawn();
    this.status = this.#process.status;
    this.#lines = this.#process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())[Symbol.asyncIterator]();
  }

  /** The next log line with this event. */
  async event(name: string): Promise<Record<string, unknown>> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      assert.ok(!done, `the gateway ended before it logged ${name}`);
      const line = JSON.parse(value) as Record<string, unknown>;
      if (line["event"] === name) return line;
    }
  }

  /** Waits until it serves. */
  async started(): Promise<this> {
    const line = await this.event("serving");
    this.url = String(line["url"]);
    this.adminUrl = String(line["adminUrl"]);
    return this;
  }

  signal(name: Deno.Signal): void {
    this.#process.kill(name);
  }

  /** All of its standard error. */
  async complaints(): Promise<string> {
    return await new Response(this.#process.stderr).text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended by itself.
    }
    await this.status;
    await this.#lines.return?.();
    if (!this.#process.stderr.locked) await this.#process.stderr.cancel();
  }
}

/** A configuration file that lives as long as the test. */
function configFile(backendUrl: string, port = 0): { path: string } & Disposable {
  const path = Deno.makeTempFileSync({ suffix: ".yaml" });
  Deno.writeTextFileSync(
    path,
    `listen: { port: ${port} }
admin: { port: 0 }
backends: [{ name: one, protocol: openai, baseUrl: "${backendUrl}" }]
models: [{ name: chat, targets: [{ backend: one, model: m1 }] }]
`,
  );
  return { path, [Symbol.dispose]: () => Deno.removeSync(path) };
}

function startStream(url: string): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "chat",
      stream: true,
      messages: [{ role: "user", content: "Hello" }],
    }),
  });
}

Deno.test("serve drains on SIGTERM: no stream is cut, nobody new comes in, status 0", async () => {
  await using backend = new HeldBackend();
  using file = configFile(backend.url);
  await using gateway = await new Gateway(file.path).started();

  const response = await startStream(gateway.url);
  assert.equal(response.status, 200);
  const reader = response.body?.pipeThrough(new TextDecoderStream())
    .getReader();
  assert.ok(reader);
  let text = "";
  while (!text.includes("Hello")) {
    text += (await reader.read()).value ?? assert.fail("it ended");
  }

  gateway.signal("SIGTERM");
  await gateway.event("draining");
  await assert.rejects(
    () => startStream(gateway.url),
    "a new connection was accepted",
  );
  const ready = await fetch(`${gateway.adminUrl}/readyz`);
  await ready.body?.cancel();
  assert.equal(ready.status, 503);

  backend.finish();
  for (
    let piece = await reader.read();
    !piece.done;
    piece = await reader.read()
  ) {
    text += piece.value;
  }
  assert.match(text, /"finish_reason":"stop".*data: \[DONE\]/s);
  await gateway.event("stopped");
  assert.equal((await gateway.status).code, 0);
});

Deno.test("serve ends at once on a second signal", async () => {
  await using backend = new HeldBackend();
  using file = configFile(backend.url);
  await using gateway = await new Gateway(file.path).started();
  const response = await startStream(gateway.url);

  gateway.signal("SIGTERM");
  await gateway.event("draining");
  gateway.signal("SIGINT");
  assert.equal((await gateway.status).code, 1);
  await assert.rejects(() => response.text());
});

Deno.test("serve says which address it cannot have, and why", async () => {
  using taken = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  using file = configFile("http://127.0.0.1:1/v1", taken.addr.port);
  await using gateway = new Gateway(file.path);
  assert.equal((await gateway.status).code, 1);
  assert.equal(
    await gateway.complaints(),
    `Cannot listen for clients on 127.0.0.1:${taken.addr.port}: the port is in use already\n`,
  );
});
