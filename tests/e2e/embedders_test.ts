/**
 * The backend embedder against a real server: right vectors or none, whatever
 * the server does. The local model as far as it goes without its add-on; the
 * rest is in `tests/long/local_model_test.ts`.
 */
import assert from "node:assert/strict";
import {
  type BackendEmbedder,
  type BackendEmbedderOptions,
  createBackendEmbedder,
} from "../../src/embed/backend_embedder.ts";
import type { EmbedEvent } from "../../src/embed/embed_gate.ts";
import { createLocalModelEmbedder } from "../../src/embed/local_model.ts";
import { LocalModelError } from "../../src/embed/model_client.ts";
import { EmbedError, UpstreamError } from "../../src/ports.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { ManualClock } from "../../src/runtime/manual_clock_fixture.ts";
import { SocketUpstream } from "../../src/runtime/upstream_socket.ts";
import {
  type EmbeddingFault,
  type EmbeddingServer,
  startEmbeddingServer,
  vectorOf,
} from "../support/embedding_server.ts";
import { writeModel } from "../support/onnx_model.ts";

const DIMS = 16;
const SECRET = "sk-embed-secret";
const PROMPT = "the words of a user";

interface World extends AsyncDisposable {
  readonly server: EmbeddingServer;
  readonly embedder: BackendEmbedder;
  /** Moves deadlines and breaker; the sockets run on real time. */
  readonly clock: ManualClock;
  readonly events: EmbedEvent[];
  /** What became of a call that may wait for an hour: `ok` or the kind of failure. */
  outcome(...texts: readonly string[]): Promise<string>;
}

const DEFAULTS = {
  name: "vectors",
  headers: [["authorization", `Bearer ${SECRET}`]],
  model: "small",
  dims: DIMS,
  sendDimensions: false,
  connectMs: 5_000,
  batchMax: 8,
  batchWaitMs: 0,
  queueMax: 16,
  memoEntries: 64,
  breaker: { failuresMax: 3, openMs: 1_000, openMaxMs: 10_000 },
} as const;

function newWorld(more: Partial<BackendEmbedderOptions> = {}): World {
  const server = startEmbeddingServer(DIMS);
  const clock = new ManualClock();
  const upstream = new SocketUpstream({ clock: systemClock });
  const events: EmbedEvent[] = [];
  const embedder = createBackendEmbedder({
    ...DEFAULTS,
    url: server.url,
    clock,
    upstream,
    onEvent: (event) => events.push(event),
    ...more,
  });
  return {
    server,
    embedder,
    clock,
    events,
    outcome: (...texts) => outcome(embedder.embed(texts, clock.nowMs() + 3.6e6)),
    async [Symbol.asyncDispose]() {
      embedder.close();
      upstream.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** `ok` or the kind of failure; no failure may tell a secret or a prompt. */
async function outcome(vectors: Promise<unknown>): Promise<string> {
  try {
    await vectors;
    return "ok";
  } catch (error) {
    if (!(error instanceof EmbedError)) throw error;
    const told = Deno.inspect(error);
    assert.ok(!told.includes(SECRET) && !told.includes(PROMPT), told);
    return error.kind;
  }
}

function assertVectors(vectors: readonly Float32Array[], texts: readonly string[]): void {
  assert.equal(vectors.length, texts.length);
  for (const [place, text] of texts.entries()) {
    const expected = vectorOf(text, DIMS);
    const norm = Math.hypot(...expected);
    for (const [i, value] of (vectors[place] ?? []).entries()) {
      assert.ok(Math.abs(value - (expected[i] ?? NaN) / norm) < 1e-6, `${text} at ${i}`);
    }
    assert.equal(vectors[place]?.length, DIMS);
  }
}

function texts(count: number, prefix = "text"): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix} number ${i}`);
}

Deno.test("createBackendEmbedder gives unit vectors in the order asked, whatever shape they come in", async () => {
  const shapes: EmbeddingFault[] = ["none", "shuffled", "without_index", "base64"];
  for (const fault of shapes) {
    await using world = newWorld();
    world.server.fault = fault;
    const asked = texts(14);
    assertVectors(await world.embedder.embed(asked, Infinity), asked);
    assert.deepEqual(world.server.requests.map(({ body }) => body.input.length), [8, 6]);
  }
});

Deno.test("createBackendEmbedder sends model, format, dimensions and credentials as configured", async () => {
  {
    await using world = newWorld();
    await world.embedder.embed(["a"], Infinity);
    const [request] = world.server.requests;
    assert.deepEqual(request?.body, { model: "small", input: ["a"], encoding_format: "float" });
    assert.equal(request.headers.get("authorization"), `Bearer ${SECRET}`);
    assert.equal(request.headers.get("content-type"), "application/json");
    assert.equal(world.embedder.id, "backend:vectors/small/16");
  }
  await using world = newWorld({ sendDimensions: true, encoding: "base64" });
  assertVectors(await world.embedder.embed(["a"], Infinity), ["a"]);
  assert.deepEqual(world.server.requests[0]?.body, {
    model: "small",
    input: ["a"],
    encoding_format: "base64",
    dimensions: DIMS,
  });
});

Deno.test("createBackendEmbedder refuses a URL that no backend can have", () => {
  const upstream = new SocketUpstream({ clock: systemClock });
  for (const url of ["ftp://127.0.0.1/x", "/v1/embeddings"]) {
    const options = { ...DEFAULTS, url, clock: systemClock, upstream, onEvent: () => {} };
    assert.throws(() => createBackendEmbedder(options), TypeError);
  }
});

Deno.test("createBackendEmbedder asks for a text once, under way and afterwards", async () => {
  await using world = newWorld();
  world.server.fault = "hold";
  const calls = [world.outcome("same"), world.outcome("same", "same")];
  await world.server.received(1);
  calls.push(world.outcome("same"));
  world.server.release();
  assert.deepEqual(await Promise.all(calls), ["ok", "ok", "ok"]);
  assert.equal(await world.outcome("same"), "ok");
  assert.deepEqual(world.server.requests.map(({ body }) => body.input), [["same"]]);
  assert.deepEqual(world.events.map(({ type }) => type), ["embedded", "memo_hit"]);
});

const FAULTS: ReadonlyArray<readonly [EmbeddingFault, string]> = [
  ["500", "failed"],
  ["429", "failed"],
  ["401", "failed"],
  ["error_in_200", "failed"],
  ["garbage", "failed"],
  ["literal_nan", "failed"],
  ["huge_body", "failed"],
  ["cut_body", "failed"],
  ["cut_head", "failed"],
  ["fewer_items", "failed"],
  ["same_index", "failed"],
  ["wrong_dims", "dims"],
  ["null_values", "unusable"],
  ["zero_vector", "unusable"],
];

for (const [fault, kind] of FAULTS) {
  Deno.test(`createBackendEmbedder fails as ${kind} at ${fault}, opens, and comes back`, async () => {
    await using world = newWorld();
    world.server.fault = fault;
    for (let i = 0; i < 3; i++) assert.equal(await world.outcome(PROMPT, `${PROMPT} ${i}`), kind);
    assert.equal(world.embedder.breaker, "open");
    assert.equal(await world.outcome(PROMPT), "open");
    const asked = world.server.requests.length;

    world.server.fault = "none";
    world.clock.advance(fault === "429" ? 6_999 : 999);
    assert.equal(await world.outcome(PROMPT), "open");
    assert.equal(world.server.requests.length, asked);
    world.clock.advance(1);
    assertVectors(await world.embedder.embed([PROMPT], Infinity), [PROMPT]);
    assert.equal(world.embedder.breaker, "closed");
    const phases = world.events.flatMap((event) => event.type === "breaker" ? [event.phase] : []);
    assert.deepEqual(phases, ["open", "half_open", "closed"]);
    const failures = world.events.filter((event) => event.type === "failed");
    assert.deepEqual(failures.map((event) => event.kind), [kind, kind, kind, "open", "open"]);
  });
}

Deno.test("createBackendEmbedder fails where nobody listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using world = newWorld({ url: `http://127.0.0.1:${port}/v1/embeddings` });
  const error = await world.embedder.embed([PROMPT], Infinity).catch((cause) => cause);
  assert.ok(error instanceof EmbedError && error.cause instanceof UpstreamError);
  assert.deepEqual([error.kind, error.cause.kind], ["failed", "refused"]);
});

Deno.test("createBackendEmbedder never mixes dimensions when the backend changes them", async () => {
  await using world = newWorld();
  assert.equal(await world.outcome("before"), "ok");
  world.server.dims = DIMS * 2;
  assert.equal(await world.outcome("after"), "dims");
  assertVectors(await world.embedder.embed(["before"], Infinity), ["before"]);
  assert.equal(await world.outcome("before", "after"), "dims");
});

Deno.test("createBackendEmbedder fails one bad vector without its neighbours", async () => {
  await using world = newWorld();
  world.server.fault = "one_zero_vector";
  const [bad, good] = [world.outcome("first"), world.outcome("second")];
  assert.deepEqual(await Promise.all([bad, good]), ["unusable", "ok"]);
  assert.equal(world.server.requests.length, 1);
});

Deno.test("createBackendEmbedder isolates a text that the backend refuses, and keeps its breaker closed", async () => {
  await using world = newWorld();
  world.server.fault = "refuse_long";
  for (let round = 0; round < 4; round++) {
    const asked = texts(5, `round ${round}`);
    const good = asked.map((text) => world.embedder.embed([text], Infinity));
    const bad = world.outcome(`${round}${"x".repeat(200)}`);
    assertVectors((await Promise.all(good)).flat(), asked);
    assert.equal(await bad, "failed");
  }
  assert.equal(world.embedder.breaker, "closed");
});

Deno.test("createBackendEmbedder tells a late caller at once and remembers what comes afterwards", async () => {
  await using world = newWorld();
  world.server.fault = "hold";
  const call = outcome(world.embedder.embed([PROMPT], 120));
  await world.server.received(1);
  world.clock.advance(120);
  assert.equal(await call, "late");
  world.server.fault = "none";
  const afterwards = world.embedder.embed([PROMPT], Infinity);
  world.server.release();
  assertVectors(await afterwards, [PROMPT]);
  assert.equal(world.server.requests.length, 1);
  assert.equal(await world.outcome(PROMPT), "ok");
  assert.equal(world.embedder.breaker, "closed");
});

Deno.test("createBackendEmbedder leaves a backend alone that is late for everybody", async () => {
  await using world = newWorld();
  world.server.fault = "hold";
  for (let i = 0; i < 3; i++) {
    const call = outcome(world.embedder.embed([`${PROMPT} ${i}`], world.clock.nowMs() + 120));
    await world.server.received(i + 1);
    world.clock.advance(120);
    assert.equal(await call, "late");
  }
  assert.equal(world.embedder.breaker, "open");
  assert.equal(await world.outcome(PROMPT), "open");
  world.server.release();
});

Deno.test("createBackendEmbedder asks no more about a refused batch that nobody waits for", async () => {
  await using world = newWorld({ callsMax: 1 });
  world.server.fault = "hold";
  const calls = [...texts(7), "x".repeat(200)].map((text) => {
    return outcome(world.embedder.embed([text], 120));
  });
  await world.server.received(1);
  world.clock.advance(120);
  assert.deepEqual(await Promise.all(calls), Array(8).fill("late"));
  world.server.fault = "refuse_long";
  world.server.release();
  // With one call at a time, this one is sent after all that the refusal leads to.
  assert.equal(await world.outcome("next"), "ok");
  assert.deepEqual(world.server.requests.map(({ body }) => body.input.length), [8, 1]);
  assert.equal(world.embedder.breaker, "closed");
});

Deno.test("createBackendEmbedder gives up on a hanging backend after its limit for one request", async () => {
  await using world = newWorld({ totalMs: 30_000 });
  world.server.fault = "hold";
  const call = world.embedder.embed([PROMPT], Infinity).catch((cause) => cause);
  await world.server.received(1);
  world.clock.advance(29_999);
  assert.equal(world.events.length, 0);
  world.clock.advance(1);
  const error = await call;
  assert.ok(error instanceof EmbedError);
  assert.equal(error.message, "Cannot embed: no whole answer within 30000 ms");
});

Deno.test("createBackendEmbedder bounds what waits, and sends it when there is room", async () => {
  await using world = newWorld({ callsMax: 1, batchMax: 2, queueMax: 3 });
  world.server.fault = "hold";
  const sent = world.outcome("sent");
  await world.server.received(1);
  const waiting = world.outcome(...texts(3));
  assert.equal(await world.outcome("one more"), "full");
  assert.equal(world.embedder.queued, 3);
  world.server.release();
  assert.deepEqual(await Promise.all([sent, waiting]), ["ok", "ok"]);
  assert.deepEqual(world.server.requests.map(({ body }) => body.input.length), [1, 2, 1]);
  assert.equal(world.embedder.queued, 0);
});

Deno.test("createBackendEmbedder asks for fewer texts at once where vectors are long", async () => {
  await using world = newWorld({ dims: 12_000 });
  world.server.dims = 12_000;
  assert.equal(await world.outcome(...texts(5)), "ok");
  assert.deepEqual(world.server.requests.map(({ body }) => body.input.length), [2, 2, 1]);
});

Deno.test("createBackendEmbedder ends calls under way when it is closed", async () => {
  await using world = newWorld();
  world.server.fault = "hold";
  const calls = [world.outcome("a"), world.outcome("b")];
  await world.server.received(1);
  world.embedder.close();
  assert.deepEqual(await Promise.all(calls), ["closed", "closed"]);
  assert.equal(await world.outcome("c"), "closed");
});

Deno.test("createBackendEmbedder runs on the machine's clock, deadline and timer included", async () => {
  await using world = newWorld({ clock: systemClock });
  assertVectors(await world.embedder.embed(["a"], systemClock.nowMs() + 60_000), ["a"]);
  world.server.fault = "hold";
  assert.equal(await outcome(world.embedder.embed(["b"], systemClock.nowMs() + 20)), "late");
  world.server.release();
});

/** Opening a local model must fail here; gives the problem and the message. */
async function problemOf(directory: string): Promise<string> {
  const opening = createLocalModelEmbedder({ directory, clock: systemClock, onEvent: () => {} });
  const error = await opening.then((embedder) => embedder.close(), (cause) => cause);
  assert.ok(error instanceof LocalModelError, Deno.inspect(error));
  return `${error.problem}: ${error.message}`;
}

Deno.test("createLocalModelEmbedder says what is missing: folder, model, tokenizer, add-on", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "weir-model-" });
  try {
    assert.match(
      await problemOf(`${directory}/no`),
      /^directory: Cannot open .*weir-model-.*\/no$/,
    );
    assert.match(
      await problemOf(directory),
      /^model: .* neither model\.onnx nor onnx\/model\.onnx/,
    );
    const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello"];
    writeModel(directory, { words, table: words.map((_, i) => [i, 1]) });
    assert.match(await problemOf(directory), /^addon: .*deno install --config addons\/local_model/);
    Deno.removeSync(`${directory}/tokenizer.json`);
    assert.match(await problemOf(directory), /^tokenizer: .* there is no tokenizer\.json/);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("the add-on's configuration is deno.json with two packages more, all locked", () => {
  const read = (path: string) => {
    return JSON.parse(Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url)));
  };
  const product = read("deno.json");
  const addon = read("addons/local_model/deno.json");
  const own: Record<string, string> = {};
  for (const [name, target] of Object.entries<string>(addon.imports)) {
    if (name in product.imports) {
      assert.equal(target.replace(/^(\.\.\/){2}/, "./"), product.imports[name]);
    } else own[name] = target;
  }
  for (const name of Object.keys(product.imports)) assert.ok(name in addon.imports, name);
  assert.deepEqual(own, {
    "@huggingface/tokenizers": "npm:@huggingface/tokenizers@0.2.0",
    "onnxruntime-node": "npm:onnxruntime-node@1.30.0",
  });
  for (const setting of ["nodeModulesDir", "unstable", "compilerOptions"]) {
    assert.deepEqual(addon[setting], product[setting], setting);
  }
  assert.equal(addon.lock.frozen, true);
  const packages = Object.values<string>(addon.imports).filter((name) => name.startsWith("npm:"));
  const { specifiers } = read("addons/local_model/deno.lock");
  assert.deepEqual(Object.keys(specifiers).toSorted(), packages.toSorted());
});
