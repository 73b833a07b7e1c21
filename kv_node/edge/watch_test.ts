/**
 * Watches on a clock in the hands of the test: what is sent, and when.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KvError } from "../errors.ts";
import { withPrefix } from "../keyspace/spaces.ts";
import { FrameDecoder } from "../wire/frame.ts";
import { decodeWatchOutput, type WatchOutput } from "../wire/watch.ts";
import { ManualClock } from "../../src/runtime/manual_clock_fixture.ts";
import { MemoryDatabase } from "./memory_database_fixture.ts";
import { Watches } from "./watch.ts";

const START_MS = 1_000_000;

/** A watch on keys of one letter, and all that it hangs on. */
class Scene {
  readonly clock = new ManualClock(START_MS);
  readonly database = new MemoryDatabase("default", 1, () => this.clock.wallMs());
  readonly client = new AbortController();
  readonly counts: number[] = [];
  readonly faults: unknown[] = [];
  readonly watches = new Watches(2, (open) => this.counts.push(open));
  sentBytes = 0;

  watch(letters: string, signal: AbortSignal = this.client.signal) {
    return this.watches.start({
      database: this.database,
      keys: [...letters].map((letter) => this.key(letter)),
      clock: this.clock,
      signal,
      sent: (sizeBytes) => this.sentBytes += sizeBytes,
      fault: (error) => this.faults.push(error),
    });
  }

  key(letter: string): Uint8Array {
    return withPrefix(this.database.prefixOf("data"), new TextEncoder().encode(letter));
  }

  async set(letter: string, text: string, expiresMs: number | null = null): Promise<void> {
    const value = { data: new TextEncoder().encode(text), encoding: 3 } as const;
    const mutation = { type: "set", key: this.key(letter), value, expiresMs } as const;
    await this.database.write({ checks: [], mutations: [mutation] });
  }

  async remove(letter: string): Promise<void> {
    const mutation = { type: "delete", key: this.key(letter) } as const;
    await this.database.write({ checks: [], mutations: [mutation] });
  }
}

/** What a pull gave, each key as its text; `"alive"` for an empty frame, `null` for the end. */
function told(slices: readonly Uint8Array[] | null): readonly (string | null)[] | string | null {
  if (slices === null) return null;
  const messages = slices.flatMap((slice) => new FrameDecoder().push(slice));
  assert.equal(messages.length, 1);
  const [message = new Uint8Array()] = messages;
  if (message.length === 0) return "alive";
  const output: WatchOutput = decodeWatchOutput(message);
  if (output.status !== "success") return output.status;
  return output.keys.map((key) => {
    if (key === null || key === "unchanged") return key;
    return new TextDecoder().decode(key.data);
  });
}

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  promise.then(() => isSettled = true);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return isSettled;
}

Deno.test("a watch begins with what is there", async () => {
  const scene = new Scene();
  await scene.set("a", "one");
  const stream = scene.watch("ab");
  assert.deepEqual(told(await stream.pull()), ["one", null]);
});

Deno.test("a watch tells a change at once, with all its keys", async () => {
  const scene = new Scene();
  const stream = scene.watch("ab");
  await stream.pull();
  const next = stream.pull();
  assert.equal(await settled(next), false);
  await scene.set("b", "two");
  assert.deepEqual(told(await next), [null, "two"]);
  await scene.remove("b");
  assert.deepEqual(told(await stream.pull()), [null, null]);
});

Deno.test("a watch says nothing where stamps are the same", async () => {
  const scene = new Scene();
  const stream = scene.watch("a");
  await stream.pull();
  const next = stream.pull();
  await scene.remove("a");
  await scene.set("c", "another key");
  assert.equal(await settled(next), false);
  await scene.set("a", "x");
  assert.deepEqual(told(await next), ["x"]);
});

Deno.test("a watch keeps nothing for a slow reader but the newest", async () => {
  const scene = new Scene();
  const stream = scene.watch("ab");
  await stream.pull();
  const readsBefore = scene.database.reads;
  for (let round = 0; round < 1_000; round++) await scene.set("a", `value ${round}`);
  await scene.set("b", "x");
  assert.equal(scene.database.reads, readsBefore);
  assert.deepEqual(told(await stream.pull()), ["value 999", "x"]);
  assert.equal(await settled(stream.pull()), false);
});

Deno.test("a silent watch sends an empty frame every 5 s, and no timer while nobody pulls", async () => {
  const scene = new Scene();
  const stream = scene.watch("a");
  await stream.pull();
  assert.equal(scene.clock.pending, 0);
  for (let round = 0; round < 3; round++) {
    const next = stream.pull();
    assert.equal(await settled(next), false);
    scene.clock.advance(4_999);
    assert.equal(await settled(next), false);
    scene.clock.advance(1);
    assert.equal(told(await next), "alive");
    assert.equal(scene.clock.pending, 0);
  }
});

Deno.test("a watched row that expires is told as gone at its time", async () => {
  const scene = new Scene();
  await scene.set("a", "brief", START_MS + 7_300);
  const stream = scene.watch("a");
  assert.deepEqual(told(await stream.pull()), ["brief"]);
  let next = stream.pull();
  await settled(next);
  scene.clock.advance(5_000);
  assert.equal(told(await next), "alive");
  next = stream.pull();
  await settled(next);
  scene.clock.advance(2_299);
  assert.equal(await settled(next), false);
  scene.clock.advance(1);
  assert.deepEqual(told(await next), [null]);
});

Deno.test("a watch looks again where the database still shows an expired row", async () => {
  const scene = new Scene();
  const late = new MemoryDatabase("late", 1, () => scene.clock.wallMs() - 250);
  await late.write({
    checks: [],
    mutations: [{
      type: "set",
      key: scene.key("a"),
      value: { data: new TextEncoder().encode("brief"), encoding: 3 },
      expiresMs: START_MS + 1_000,
    }],
  });
  const stream = scene.watches.start({
    database: late,
    keys: [scene.key("a")],
    clock: scene.clock,
    signal: scene.client.signal,
    sent: () => {},
    fault: (error) => scene.faults.push(error),
  });
  assert.deepEqual(told(await stream.pull()), ["brief"]);
  const next = stream.pull();
  for (let ms = 0; ms < 1_200; ms += 100) {
    assert.equal(await settled(next), false);
    scene.clock.advance(100);
  }
  for (let ms = 0; ms < 200 && !await settled(next); ms += 100) scene.clock.advance(100);
  assert.equal(await settled(next), true);
  assert.deepEqual(told(await next), [null]);
});

Deno.test("a watch ends when its client goes, and leaves nothing behind", async () => {
  for (const how of ["signal", "cancel"] as const) {
    const scene = new Scene();
    const stream = scene.watch("a");
    await stream.pull();
    const next = stream.pull();
    await settled(next);
    assert.deepEqual([scene.database.watching, scene.clock.pending], [1, 1]);
    if (how === "signal") scene.client.abort();
    else stream.cancel();
    assert.equal(await next, null);
    assert.equal(await stream.pull(), null);
    assert.deepEqual([scene.database.watching, scene.clock.pending], [0, 0]);
    assert.deepEqual(scene.counts, [1, 0]);
  }
});

Deno.test("a watch of a client that has gone already is over at once", async () => {
  const scene = new Scene();
  scene.client.abort();
  assert.equal(await scene.watch("a").pull(), null);
  assert.deepEqual([scene.database.watching, scene.watches.open], [0, 0]);
});

Deno.test("a watch says that its database was closed for reading, then ends", async () => {
  const scene = new Scene();
  const stream = scene.watch("a");
  await stream.pull();
  const next = stream.pull();
  await settled(next);
  scene.database.readDisabled = true;
  scene.clock.advance(5_000);
  assert.equal(told(await next), "disabled");
  assert.equal(await stream.pull(), null);
  assert.equal(scene.watches.open, 0);
});

Deno.test("a watch ends where its rows cannot be read, and reports what was no KvError", async () => {
  for (const failure of [new KvError("stopping", "Cannot read: it stops"), new Error("Broken")]) {
    const scene = new Scene();
    const stream = scene.watch("a");
    await stream.pull();
    await scene.set("a", "x");
    scene.database.failure = failure;
    assert.equal(await stream.pull(), null);
    assert.deepEqual(scene.faults, failure instanceof KvError ? [] : [failure]);
    assert.equal(scene.database.watching, 0);
  }
});

Deno.test("Watches takes no more than it may, and a place is free again after an end", () => {
  const scene = new Scene();
  scene.watch("a");
  const second = scene.watch("b");
  assert.throws(
    () => scene.watch("c"),
    (error) => error instanceof KvError && error.status === 503,
  );
  second.cancel();
  scene.watch("c");
  assert.equal(scene.watches.open, 2);
});

Deno.test("Watches.stop ends all of them", async () => {
  const scene = new Scene();
  const streams = [scene.watch("a"), scene.watch("b")];
  for (const stream of streams) await stream.pull();
  const pulls = streams.map((stream) => stream.pull());
  scene.watches.stop();
  assert.deepEqual(await Promise.all(pulls), [null, null]);
  assert.equal(scene.database.watching, 0);
});
