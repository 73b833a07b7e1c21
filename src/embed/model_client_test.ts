import assert from "node:assert/strict";
import { EmbedError } from "../ports.ts";
import { ManualClock } from "../runtime/manual_clock_fixture.ts";
import { LocalModelError, ModelClient } from "./model_client.ts";
import type { FromModel, ModelWorkerEvents, ToModel } from "./model_messages.ts";

const OPEN: Extract<ToModel, { type: "open" }> = {
  type: "open",
  directory: "/model",
  tokensMax: 8,
  threads: 1,
};

/** A worker as the client sees it. */
interface Started {
  readonly events: ModelWorkerEvents;
  readonly posted: ToModel[];
  ended: boolean;
}

class World {
  readonly clock = new ManualClock();
  readonly workers: Started[] = [];
  /** What a new worker says. */
  reply: FromModel | null = { type: "opened", digest: "d", dims: 2 };
  readonly client = new ModelClient({
    clock: this.clock,
    open: OPEN,
    openMs: 100,
    batchMs: 10,
    start: (events) => {
      const worker: Started = { events, posted: [], ended: false };
      this.workers.push(worker);
      return {
        post: (message) => {
          worker.posted.push(message);
          if (message.type === "open" && this.reply !== null) events.onMessage(this.reply);
        },
        terminate: () => worker.ended = true,
      };
    },
  });

  get last(): Started {
    const worker = this.workers.at(-1);
    assert.ok(worker !== undefined);
    return worker;
  }

  /** Vectors of the call as plain numbers, or kind and message of its failure. */
  async embed(): Promise<unknown> {
    try {
      return (await this.client.embed(["a"])).map((vector) => [...vector]);
    } catch (error) {
      assert.ok(error instanceof EmbedError);
      return `${error.kind}: ${error.message}`;
    }
  }
}

const ANSWER: FromModel = { type: "embedded", vectors: [Float32Array.of(3, 4)] };

async function refused(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(() => null, (cause) => cause);
  assert.ok(error instanceof LocalModelError);
  return error.problem;
}

Deno.test("ModelClient opens a worker once and asks it", async () => {
  const world = new World();
  assert.equal((await world.client.open()).dims, 2);
  const call = world.embed();
  world.last.events.onMessage(ANSWER);
  assert.deepEqual(await call, [[3, 4]]);
  assert.deepEqual(world.last.posted, [OPEN, { type: "embed", texts: ["a"] }]);
  assert.equal(world.clock.pending, 0);
});

Deno.test("ModelClient says why a model cannot be opened, and keeps no worker", async () => {
  const world = new World();
  world.reply = { type: "refused", problem: "tokenizer", message: "Cannot" };
  assert.equal(await refused(world.client.open()), "tokenizer");
  assert.deepEqual(world.last.posted, [OPEN, { type: "close" }]);
  world.reply = null;
  const opening = world.client.open();
  world.clock.advance(100);
  assert.equal(await refused(opening), "worker");
  const crashing = world.client.open();
  world.last.events.onCrash('Requires read access to "/x/worker.ts"');
  assert.equal(await refused(crashing), "permission");
});

Deno.test("ModelClient says what it needs where a worker may not be started", async () => {
  const client = new ModelClient({
    clock: new ManualClock(),
    open: OPEN,
    openMs: 1,
    batchMs: 1,
    start() {
      throw Object.assign(new Error("no"), { name: "NotCapable" });
    },
  });
  const error = await client.open().catch((cause) => cause);
  assert.ok(error instanceof LocalModelError);
  assert.equal(error.problem, "permission");
  assert.match(error.message, /--allow-ffi and --allow-read=\/model$/);
});

Deno.test("ModelClient replaces a worker that crashed or does not answer", async () => {
  const world = new World();
  await world.client.open();
  const crashed = world.embed();
  world.last.events.onCrash("out of memory");
  assert.equal(await crashed, "failed: Cannot go on: the worker ended: out of memory");
  const stale = world.last;

  const hanging = world.embed();
  for (let turn = 0; turn < 9; turn++) await Promise.resolve();
  stale.events.onMessage(ANSWER);
  stale.events.onCrash("again");
  world.clock.advance(10);
  assert.equal(await hanging, "failed: Cannot go on: the worker did not answer within 10 ms");

  const call = world.embed();
  for (let turn = 0; turn < 9; turn++) await Promise.resolve();
  world.last.events.onMessage(ANSWER);
  assert.deepEqual(await call, [[3, 4]]);
  assert.deepEqual(world.workers.map(({ ended }) => ended), [true, true, false]);
});

Deno.test("ModelClient fails a batch that the worker could not do, and keeps the worker", async () => {
  const world = new World();
  await world.client.open();
  for (const message of [{ type: "failed", message: "Cannot run" }, { ...ANSWER, vectors: [] }]) {
    const call = world.embed();
    world.last.events.onMessage(message as FromModel);
    assert.match(String(await call), /^failed: Cannot/);
  }
  assert.equal(world.workers.length, 1);
});

Deno.test("ModelClient refuses a replaced worker whose model is another", async () => {
  const world = new World();
  await world.client.open();
  world.last.events.onCrash("x");
  world.reply = { type: "opened", digest: "other", dims: 2 };
  assert.equal(await world.embed(), "failed: Cannot open local model: its files have changed");
  assert.deepEqual(world.last.posted, [OPEN, { type: "close" }]);
});

Deno.test("ModelClient ends what is under way when it is closed", async () => {
  const world = new World();
  await world.client.open();
  const call = world.embed();
  world.client.close();
  assert.match(String(await call), /^closed/);
  assert.match(String(await world.embed()), /^closed/);
  assert.deepEqual(world.workers.map(({ ended }) => ended), [true]);
});

Deno.test("ModelClient lets an idle worker free its model and end by itself", async () => {
  const world = new World();
  await world.client.open();
  const call = world.embed();
  world.last.events.onMessage(ANSWER);
  await call;
  world.client.close();
  world.client.close();
  assert.deepEqual(world.last.posted.slice(2), [{ type: "close" }]);
  assert.equal(world.last.ended, false);
});
