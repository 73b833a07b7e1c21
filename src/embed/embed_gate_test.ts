import assert from "node:assert/strict";
import { EmbedError } from "../ports.ts";
import { ManualClock } from "../runtime/manual_clock_fixture.ts";
import {
  type BatchInterest,
  type EmbedEvent,
  EmbedGate,
  type EmbedGateOptions,
} from "./embed_gate.ts";

/** A batch that was asked for and waits for its answer. */
interface Asked {
  readonly texts: readonly string[];
  readonly interest: BatchInterest;
  /** Answers every text with the vector of its length. */
  answer(): void;
  answerWith(results: readonly (Float32Array | EmbedError)[]): void;
  reject(error: Error): void;
}

class World {
  readonly clock = new ManualClock();
  readonly asked: Asked[] = [];
  readonly events: EmbedEvent[] = [];
  refusal: EmbedError | null = null;
  closes = 0;
  readonly gate: EmbedGate;

  constructor(more: Partial<EmbedGateOptions> = {}) {
    this.gate = new EmbedGate({
      id: "test",
      dims: 1,
      clock: this.clock,
      queueMax: 4,
      batchMax: 3,
      batchWaitMs: 0,
      callsMax: 2,
      memoEntries: 8,
      onEvent: (event) => this.events.push(event),
      refusal: () => this.refusal,
      ask: (texts, interest) => this.#ask(texts, interest),
      onClose: () => this.closes++,
      ...more,
    });
  }

  /** Embeds, and says how it ended: vectors as numbers, or the kind of failure. */
  embed(texts: readonly string[], deadlineMs = Infinity): Promise<readonly number[] | string> {
    return this.gate.embed(texts, deadlineMs).then(
      (vectors) => vectors.map((vector) => vector[0] ?? NaN),
      (error) => error instanceof EmbedError ? error.kind : String(error),
    );
  }

  /** The texts of all batches so far. */
  get batches(): readonly (readonly string[])[] {
    return this.asked.map(({ texts }) => texts);
  }

  at(place: number): Asked {
    const asked = this.asked[place];
    assert.ok(asked !== undefined, `there is no batch ${place}`);
    return asked;
  }

  #ask(texts: readonly string[], interest: BatchInterest) {
    const { promise, resolve, reject } = Promise.withResolvers<
      readonly (Float32Array | EmbedError)[]
    >();
    const answer = () => resolve(texts.map((text) => Float32Array.of(text.length)));
    this.asked.push({ texts, interest, answer, answerWith: resolve, reject });
    return promise;
  }
}

/** Lets everything that can run without the clock run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

Deno.test("EmbedGate batches the calls of one turn and answers each in its order", async () => {
  const world = new World();
  const one = world.embed(["aa", "b"]);
  const two = world.embed(["ccc"]);
  await settle();
  assert.deepEqual(world.batches, [["aa", "b", "ccc"]]);
  world.at(0).answer();
  assert.deepEqual(await one, [2, 1]);
  assert.deepEqual(await two, [3]);
  assert.deepEqual(world.events, [{ type: "embedded", seconds: 0, texts: 3 }]);
  assert.deepEqual(await world.embed([]), []);
});

Deno.test("EmbedGate waits for more texts as long as it is told to", async () => {
  const world = new World({ batchWaitMs: 2 });
  const one = world.embed(["a"]);
  await settle();
  world.clock.advance(1);
  const two = world.embed(["bb"]);
  await settle();
  assert.deepEqual(world.batches, []);
  world.clock.advance(1);
  assert.deepEqual(world.batches, [["a", "bb"]]);
  world.at(0).answer();
  assert.deepEqual(await Promise.all([one, two]), [[1], [2]]);
});

Deno.test("EmbedGate asks for equal texts once, in one call, in two, and once more under way", async () => {
  const world = new World();
  const calls = [world.embed(["a", "a", "bb"]), world.embed(["a"])];
  await settle();
  calls.push(world.embed(["bb", "a"]));
  await settle();
  assert.deepEqual(world.batches, [["a", "bb"]]);
  world.at(0).answer();
  assert.deepEqual(await Promise.all(calls), [[1, 1, 2], [1], [2, 1]]);
});

Deno.test("EmbedGate remembers, and gives every caller a vector of its own", async () => {
  const world = new World();
  const first = world.gate.embed(["a"], Infinity);
  await settle();
  world.at(0).answer();
  const [vector] = await first;
  vector?.fill(99);
  world.refusal = new EmbedError("open", "Cannot embed: open");
  assert.deepEqual(await world.embed(["a"]), [1]);
  assert.equal(await world.embed(["a", "new"]), "open");
  assert.deepEqual(world.batches, [["a"]]);
  assert.deepEqual(world.events.slice(1), [
    { type: "memo_hit", texts: 1 },
    { type: "failed", kind: "open" },
  ]);
});

Deno.test("EmbedGate sends so many batches at once, and what waited when one comes back", async () => {
  const world = new World({ batchMax: 1 });
  const calls = ["a", "bb", "ccc", "dddd"].map((text) => world.embed([text]));
  await settle();
  assert.deepEqual(world.batches, [["a"], ["bb"]]);
  assert.equal(world.gate.queued, 2);
  world.at(1).answer();
  await settle();
  assert.deepEqual(world.batches, [["a"], ["bb"], ["ccc"]]);
  for (const place of [0, 2]) world.at(place).answer();
  await settle();
  world.at(3).answer();
  assert.deepEqual(await Promise.all(calls), [[1], [2], [3], [4]]);
  assert.equal(world.gate.queued, 0);
});

Deno.test("EmbedGate refuses a call for which its queue has no room, whole", async () => {
  const world = new World({ callsMax: 1, batchMax: 1, queueMax: 2 });
  const sent = world.embed(["a"]);
  await settle();
  const waiting = world.embed(["bb"]);
  assert.equal(await world.embed(["ccc", "dddd"]), "full");
  assert.equal(world.gate.queued, 1);
  const joining = world.embed(["a", "bb", "ccc"]);
  for (const place of [0, 1, 2]) {
    await settle();
    world.at(place).answer();
  }
  assert.deepEqual(await Promise.all([sent, waiting, joining]), [[1], [2], [1, 2, 3]]);
});

Deno.test("EmbedGate tells a late call at once, and the batch still fills the memo", async () => {
  const world = new World();
  const late = world.embed(["a"], 10);
  const patient = world.embed(["bb"], 50);
  let deserted = 0;
  await settle();
  world.at(0).interest.onDeserted(() => deserted++);
  world.clock.advance(10);
  assert.equal(await late, "late");
  assert.equal(deserted, 0);
  world.clock.advance(40);
  assert.equal(await patient, "late");
  assert.equal(deserted, 1);
  assert.equal(world.at(0).interest.wanted, false);
  world.at(0).answer();
  await settle();
  assert.deepEqual(await world.embed(["a", "bb"], 60), [1, 2]);
  assert.equal(world.asked.length, 1);
  assert.equal(world.clock.pending, 0);
  assert.equal(await world.embed(["a"], 50), "late");
});

Deno.test("EmbedGate drops texts that nobody waits for before they are sent", async () => {
  const world = new World({ callsMax: 1, batchMax: 1, queueMax: 1 });
  const sent = world.embed(["a"]);
  await settle();
  const late = world.embed(["bb"], 10);
  world.clock.advance(10);
  assert.equal(await late, "late");
  const next = world.embed(["ccc"]);
  world.at(0).answer();
  await settle();
  world.at(1).answer();
  assert.deepEqual(await Promise.all([sent, next]), [[1], [3]]);
  assert.deepEqual(world.batches, [["a"], ["ccc"]]);
  const again = world.embed(["bb"]);
  await settle();
  world.at(2).answer();
  assert.deepEqual(await again, [2]);
});

Deno.test("EmbedGate fails a text by itself and a batch as a whole", async () => {
  const world = new World();
  const good = world.embed(["a"]);
  const bad = world.embed(["bb"]);
  const both = world.embed(["a", "bb"]);
  await settle();
  world.at(0).answerWith([Float32Array.of(1), new EmbedError("dims", "Cannot use vector")]);
  assert.deepEqual(await Promise.all([good, bad, both]), [[1], "dims", "dims"]);
  const again = [world.embed(["bb"]), world.embed(["ccc"])];
  await settle();
  world.at(1).reject(new EmbedError("failed", "Cannot embed: no"));
  assert.deepEqual(await Promise.all(again), ["failed", "failed"]);
  const bug = world.embed(["d"]);
  await settle();
  world.at(2).reject(new TypeError("Cannot be"));
  assert.equal(await bug, "TypeError: Cannot be");
});

Deno.test("EmbedGate refuses an empty text without troubling others", async () => {
  const world = new World();
  assert.equal(await world.embed(["a", " \n"]), "unusable");
  await settle();
  assert.deepEqual(world.batches, []);
});

Deno.test("EmbedGate ends what waits and what is under way when it is closed", async () => {
  const world = new World({ callsMax: 1, batchMax: 1 });
  const calls = [world.embed(["a"], 100), world.embed(["bb"], 100)];
  await settle();
  calls.push(world.embed(["ccc"]));
  world.gate.close();
  world.gate.close();
  assert.deepEqual(await Promise.all(calls), ["closed", "closed", "closed"]);
  assert.equal(await world.embed(["a"]), "closed");
  world.at(0).answer();
  await settle();
  assert.deepEqual([world.asked.length, world.closes, world.gate.queued], [1, 1, 0]);
  assert.equal(world.clock.pending, 0);
});
