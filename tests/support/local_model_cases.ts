/**
 * The local model against the real runtime and tokenizer: `deno test` runs this
 * with the add-on's configuration (see `tests/long/local_model_test.ts`).
 *
 * Expected vectors are computed here from the table that the model looks up in.
 */
import assert from "node:assert/strict";
import type { EmbedEvent } from "../../src/embed/embed_gate.ts";
import {
  createLocalModelEmbedder,
  type LocalModelEmbedder,
  type LocalModelOptions,
} from "../../src/embed/local_model.ts";
import { LocalModelError } from "../../src/embed/model_client.ts";
import type { ModelWorker, ToModel } from "../../src/embed/model_messages.ts";
import { startModelWorker } from "../../src/embed/workers.ts";
import { EmbedError } from "../../src/ports.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { ManualClock } from "../../src/runtime/manual_clock_fixture.ts";
import { encodeModel, type ModelFiles, type TableModel, writeModel } from "./onnx_model.ts";

const WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", "red", "green", "blue", "##ish"];
const TABLE = [
  [900, -900, 900], // Padding: it must not show.
  [7, 7, 7],
  [1, 0, 0],
  [0, 0, 1],
  [1, 1, 1],
  [4, 0, 1],
  [0, 4, 1],
  [-4, 1, 2],
  [0, 0, 8],
];
const MODEL: TableModel = { words: WORDS, table: TABLE };

class World implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "weir-model-" });
  readonly clock = new ManualClock();
  readonly events: EmbedEvent[] = [];
  readonly workers: ModelWorker[] = [];
  readonly #embedders: LocalModelEmbedder[] = [];
  /** While set, what is sent to workers is kept here. */
  held: (() => void)[] | null = null;

  constructor(model: TableModel = MODEL, more: ModelFiles = {}) {
    writeModel(this.directory, model, more);
  }

  async open(more: Partial<LocalModelOptions> = {}): Promise<LocalModelEmbedder> {
    const embedder = await createLocalModelEmbedder({
      directory: this.directory,
      clock: this.clock,
      onEvent: (event) => this.events.push(event),
      start: (directory, events) => {
        const worker = startModelWorker(directory, events);
        this.workers.push(worker);
        const post = (message: ToModel) => worker.post(message);
        return {
          post: (message) => this.held?.push(() => post(message)) ?? post(message),
          terminate: () => worker.terminate(),
        };
      },
      ...more,
    });
    this.#embedders.push(embedder);
    return embedder;
  }

  /** Lets what was kept go to the workers. */
  release(): void {
    const { held } = this;
    this.held = null;
    held?.forEach((send) => send());
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const embedder of this.#embedders) embedder.close();
    return Deno.remove(this.directory, { recursive: true });
  }
}

function unit(values: readonly number[]): number[] {
  const norm = Math.hypot(...values);
  return values.map((value) => value / norm);
}

/** The mean of the rows of these words, framing included, with length 1. */
function meanOf(...words: readonly string[]): number[] {
  const rows = ["[CLS]", ...words, "[SEP]"].map((word) => TABLE[WORDS.indexOf(word)] ?? []);
  return unit([0, 1, 2].map((i) => rows.reduce((sum, row) => sum + (row[i] ?? NaN), 0)));
}

function assertVectors(
  vectors: readonly Float32Array[],
  expected: readonly (readonly number[])[],
): void {
  assert.equal(vectors.length, expected.length);
  for (const [place, vector] of vectors.entries()) {
    const wanted = expected[place] ?? [];
    assert.equal(vector.length, wanted.length);
    for (const [i, value] of vector.entries()) {
      assert.ok(Math.abs(value - (wanted[i] ?? NaN)) < 1e-6, `text ${place}: ${vector}`);
    }
  }
}

async function kindOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    assert.ok(error instanceof EmbedError, Deno.inspect(error));
    return error.kind;
  }
}

/** Opening must fail; gives the problem and the message. */
async function refusal(world: World, more: Partial<LocalModelOptions> = {}): Promise<string> {
  const error = await world.open(more).then(() => null, (cause) => cause);
  assert.ok(error instanceof LocalModelError, Deno.inspect(error));
  return `${error.problem}: ${error.message}`;
}

Deno.test("a local model gives the mean of its token vectors, whatever is batched together", async () => {
  await using world = new World();
  const embedder = await world.open();
  assert.equal(embedder.dims, 3);
  assert.match(embedder.id, /^local:[0-9a-f]{16}$/);
  const texts = ["red", "Red GREEN blue", "blueish blue", "green"];
  const expected = [
    meanOf("red"),
    meanOf("red", "green", "blue"),
    meanOf("blue", "##ish", "blue"),
    meanOf("green"),
  ];
  assertVectors(await embedder.embed(texts, Infinity), expected);
  const alone = await world.open({ batchMax: 1, memoEntries: 0 });
  assertVectors(await alone.embed(texts, Infinity), expected);
});

Deno.test("a local model pools as its files say", async () => {
  const pooling = (name: string) => ({ "1_Pooling/config.json": JSON.stringify({ [name]: true }) });
  await using cls = new World(MODEL, pooling("pooling_mode_cls_token"));
  assertVectors(await (await cls.open()).embed(["red blue", "red"], Infinity), [
    [1, 0, 0],
    [1, 0, 0],
  ]);
  await using last = new World(MODEL, pooling("pooling_mode_lasttoken"));
  assertVectors(await (await last.open()).embed(["red blue", "red"], Infinity), [
    [0, 0, 1],
    [0, 0, 1],
  ]);
  await using most = new World(MODEL, pooling("pooling_mode_max_tokens"));
  assert.match(
    await refusal(most),
    /^model: Cannot use model: it pools by pooling_mode_max_tokens/,
  );
});

Deno.test("a local model may name its parts as other exports do", async () => {
  const variants: readonly Partial<TableModel>[] = [
    { inputs: ["attention_mask", "token_type_ids"] },
    { inputs: [] },
    { output: "token_embeddings" },
    { output: "sentence_embedding" },
    { isShort: true },
  ];
  for (const variant of variants) {
    await using world = new World({ ...MODEL, ...variant });
    assertVectors(await (await world.open()).embed(["red blue"], Infinity), [
      meanOf("red", "blue"),
    ]);
  }
  await using below = new World(MODEL, { "onnx/model.onnx": encodeModel(MODEL) });
  Deno.removeSync(`${below.directory}/model.onnx`);
  Deno.removeSync(`${below.directory}/tokenizer_config.json`);
  assertVectors(await (await below.open()).embed(["red"], Infinity), [meanOf("red")]);
});

Deno.test("a local model cuts long texts and keeps what frames them", async () => {
  const files = { "sentence_bert_config.json": JSON.stringify({ max_seq_length: 4 }) };
  await using world = new World(MODEL, files);
  const expected = [meanOf("red", "blue"), meanOf("green")];
  assertVectors(
    await (await world.open()).embed(["red blue green green", "green"], Infinity),
    expected,
  );
  await using short = new World();
  const cut = await short.open({ tokensMax: 4 });
  assertVectors(await cut.embed(["red blue green green", "green"], Infinity), expected);
  const long = await short.open();
  const text = `${"red blue ".repeat(100_000)}green`;
  const words = Array.from({ length: 510 }, (_, i) => i % 2 === 0 ? "red" : "blue");
  assertVectors(await long.embed([text, ...Array(12).fill(`${text} red`)], Infinity), [
    ...Array(13).fill(meanOf(...words)),
  ]);
});

Deno.test("a local model's identity is all that decides what its vectors are", async () => {
  await using world = new World();
  const { id } = await world.open();
  assert.equal((await world.open()).id, id);
  assert.notEqual((await world.open({ tokensMax: 8 })).id, id);
  const others: readonly (readonly [TableModel, ModelFiles])[] = [
    [{ ...MODEL, table: TABLE.toReversed() }, {}],
    [{ ...MODEL, words: WORDS.with(5, "crimson") }, {}],
    [MODEL, { "1_Pooling/config.json": '{"pooling_mode_cls_token":true}' }],
    [MODEL, { "model.onnx_data": "weights" }],
  ];
  for (const [model, files] of others) {
    await using other = new World(model, files);
    assert.notEqual((await other.open()).id, id);
  }
});

Deno.test("a local model that lacks something says what", async () => {
  await using world = new World();
  const { directory } = world;
  assert.match(
    await refusal(world, { directory: `${directory}/nowhere` }),
    /^directory: Cannot open local model: there is no directory .*nowhere$/,
  );
  Deno.removeSync(`${directory}/tokenizer.json`);
  assert.match(await refusal(world), /^tokenizer: .* there is no tokenizer\.json in /);
  Deno.removeSync(`${directory}/model.onnx`);
  assert.match(await refusal(world), /^model: .* neither model\.onnx nor onnx\/model\.onnx in /);
});

Deno.test("a local model of garbage is refused, part by part", async () => {
  const model = encodeModel(MODEL);
  const cases: readonly (readonly [RegExp, ModelFiles, Partial<TableModel>?])[] = [
    [/^model: Cannot load .*model\.onnx: /, { "model.onnx": "not a model" }],
    [/^model: Cannot load .*model\.onnx: /, { "model.onnx": new Uint8Array() }],
    [/^model: Cannot load .*model\.onnx: /, { "model.onnx": model.slice(0, model.length / 2) }],
    [/^tokenizer: Cannot read .*tokenizer\.json: /, { "tokenizer.json": "{" }],
    [/^tokenizer: Cannot use tokenizer\.json: /, { "tokenizer.json": "{}" }],
    [/^tokenizer: Cannot use tokenizer\.json: /, { "tokenizer.json": "[1]" }],
    [/^tokenizer: Cannot read .*_config\.json: /, { "tokenizer_config.json": "<" }],
    [/^model: Cannot read .*config\.json: /, { "config.json": "nonsense" }],
    [/^model: Cannot use model: its inputs are input_ids, pixels$/, {}, { inputs: ["pixels"] }],
    [/^model: Cannot use model: its outputs are logits$/, {}, { output: "logits" }],
    // A table for fewer words than the tokenizer knows: it fails when it is tried out.
    [/^model: Cannot run the model: /, {}, { table: TABLE.slice(0, 3) }],
    [/^tokenizer: .* does not know the word hello$/, {}, { words: WORDS.with(4, "bye") }],
  ];
  for (const [expected, files, change = {}] of cases) {
    await using world = new World({ ...MODEL, ...change }, files);
    assert.match(await refusal(world), expected);
  }
});

Deno.test("a local model's bad vectors and unreadable texts are refused one by one", async () => {
  const table = TABLE.with(5, [NaN, 0, 0]).with(6, [-1, 0, -1]);
  await using world = new World({ ...MODEL, table });
  const embedder = await world.open();
  const texts = ["red", "green", "blue", "这是什么", "xyz"];
  const kinds = await Promise.all(texts.map((text) => kindOf(embedder.embed([text], Infinity))));
  // Green and its frame add up to nothing.
  assert.deepEqual(kinds, ["unusable", "unusable", "ok", "unusable", "unusable"]);
  assert.equal(embedder.breaker, "closed");
});

Deno.test("a local model tells late callers, remembers, and bounds what waits", async () => {
  await using world = new World();
  const embedder = await world.open({ queueMax: 2, batchMax: 1 });
  world.held = [];
  const late = embedder.embed(["red"], 50);
  await Promise.resolve();
  const waiting = [embedder.embed(["green"], Infinity), embedder.embed(["blue"], Infinity)];
  world.clock.advance(50);
  assert.equal(await kindOf(late), "late");
  assert.equal(await kindOf(embedder.embed(["hello"], Infinity)), "full");
  assert.equal(embedder.queued, 2);
  world.release();
  assertVectors((await Promise.all(waiting)).flat(), [meanOf("green"), meanOf("blue")]);
  assertVectors(await embedder.embed(["red"], Infinity), [meanOf("red")]);
  const types = world.events.map(({ type }) => type);
  assert.deepEqual(types, ["failed", "failed", "embedded", "embedded", "embedded", "memo_hit"]);
});

Deno.test("a local model whose worker is killed or crashes gets another", async () => {
  await using world = new World();
  const embedder = await world.open({ batchMs: 1_000 });
  world.workers[0]?.terminate();
  const lost = embedder.embed(["red"], Infinity);
  await Promise.resolve();
  await Promise.resolve();
  world.clock.advance(1_000);
  assert.equal(await kindOf(lost), "failed");
  assertVectors(await embedder.embed(["red"], Infinity), [meanOf("red")]);

  // What no worker understands ends it, as any error does that nobody caught.
  world.held = [];
  const crashing = embedder.embed(["green"], Infinity);
  await Promise.resolve();
  await Promise.resolve();
  world.workers[1]?.post({ type: "nonsense" } as unknown as ToModel);
  assert.equal(await kindOf(crashing), "failed");
  world.held = null;
  assertVectors(await embedder.embed(["green"], Infinity), [meanOf("green")]);
  assert.equal(world.workers.length, 3);
});

Deno.test("a local model that was changed below a running gateway is not taken for the same", async () => {
  await using world = new World();
  const embedder = await world.open();
  writeModel(world.directory, { ...MODEL, table: TABLE.toReversed() });
  world.held = [];
  const crashing = embedder.embed(["red"], Infinity);
  await Promise.resolve();
  await Promise.resolve();
  world.workers[0]?.post({ type: "nonsense" } as unknown as ToModel);
  assert.equal(await kindOf(crashing), "failed");
  world.held = null;
  for (let i = 0; i < 2; i++) {
    const error = await embedder.embed(["red"], Infinity).catch((cause) => cause);
    assert.match(String(error), /its files have changed/);
  }
  assert.equal(await kindOf(embedder.embed(["red"], Infinity)), "open");
  assert.equal(embedder.breaker, "open");
  writeModel(world.directory, MODEL);
  world.clock.advance(1_000);
  assertVectors(await embedder.embed(["red"], Infinity), [meanOf("red")]);
});

Deno.test("a local model that is closed ends its calls and its worker", async () => {
  await using world = new World();
  const embedder = await world.open();
  const calls = [embedder.embed(["red"], Infinity), embedder.embed(["green"], 1_000)];
  await Promise.resolve();
  embedder.close();
  assert.deepEqual(await Promise.all(calls.map(kindOf)), ["closed", "closed"]);
  assert.equal(await kindOf(embedder.embed(["blue"], Infinity)), "closed");
  assert.equal(world.clock.pending, 0);
});

Deno.test("a local model leaves the event loop free while it loads and runs", async () => {
  await using world = new World({
    ...MODEL,
    table: TABLE.map((row) => [...row, ...Array(765).fill(1)]),
  });
  const embedder = await world.open({ clock: systemClock });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const text = "red blue ".repeat(250);
  const before = turns;
  await embedder.embed(
    Array.from({ length: 60 }, (_, i) => `${text} ${"green ".repeat(i)}`),
    Infinity,
  );
  clearInterval(timer);
  assert.ok(turns - before >= 3, `${turns} turns`);
});
