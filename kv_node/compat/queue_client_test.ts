import assert from "node:assert/strict";
import { systemClock } from "../../src/runtime/clock.ts";
import { serve } from "../../src/runtime/http_server_fixture.ts";
import type { ServerRequest } from "../../src/ports.ts";
import { StampOracle } from "../clock/stamps.ts";
import { createEdge } from "../edge/edge.ts";
import { ownEndpoints } from "../edge/metadata.ts";
import { HmacTokenSigner } from "../edge/token.ts";
import { KvError } from "../errors.ts";
import { encodeKey } from "../keyspace/key_codec.ts";
import { withPrefix } from "../keyspace/spaces.ts";
import { FixtureDatabase } from "../queue/database_fixture.ts";
import { QueueRoute } from "../queue/endpoint/queue_route.ts";
import { DEFAULT_QUEUE_OPTIONS } from "../queue/queue_options.ts";
import { Queues } from "../queue/queues.ts";
import { evaluate } from "../txn/evaluate.ts";
import { checkCommand, checkRanges, checkWatchedKeys } from "../txn/limits.ts";
import { decodeValue } from "../values/value.ts";
import { openQueue, type OpenQueueOptions, type QueueClient } from "./queue_client.ts";

const TOKEN = "secret-of-the-test";
const OPTIONS = { ...DEFAULT_QUEUE_OPTIONS, leaseMsMin: 50 };

/** A node's listener with queues, served on a socket. */
class Node implements AsyncDisposable {
  readonly oracle = new StampOracle(0, null);
  readonly database = new FixtureDatabase({
    evaluate,
    nextStamp: () => this.oracle.next(systemClock.wallMs()),
    wallMs: () => systemClock.wallMs(),
  });
  readonly faults: unknown[] = [];
  readonly paths: string[] = [];
  /** What the next requests are answered instead. */
  readonly refusals: number[] = [];
  epoch = 0;
  queues = this.#makeQueues();
  #server = serve((request) => this.#handle(request));
  #edge = this.#makeEdge();

  get url(): string {
    return this.#server.url;
  }

  open(options: OpenQueueOptions = {}): Promise<QueueClient> {
    return openQueue(this.url, { token: TOKEN, ...options });
  }

  /** Leases are forgotten, rows are kept. */
  restart(): void {
    this.queues[Symbol.dispose]();
    this.#edge.stop();
    this.queues = this.#makeQueues();
    this.#edge = this.#makeEdge();
  }

  /** Cuts all connections, and listens again at the same address after `meanwhile`. */
  async lose(meanwhile: () => Promise<void>): Promise<void> {
    const { port } = this.#server;
    await this.#server.stop(0);
    this.restart();
    await meanwhile();
    this.#server = serve((request) => this.#handle(request), { port });
  }

  stored(...key: readonly string[]): unknown {
    const row = this.database.rows.get(withPrefix(this.database.prefixOf("data"), encodeKey(key)));
    return row === null ? undefined : decodeValue(row);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.queues[Symbol.dispose]();
    this.#edge.stop();
    await this.#server[Symbol.asyncDispose]();
  }

  async #handle(request: ServerRequest) {
    this.paths.push(new URL(request.url).pathname);
    const status = this.refusals.shift();
    if (status === undefined) return await this.#edge.handle(request);
    return { status, headers: [], body: "Cannot answer: not now" };
  }

  #makeQueues(): Queues {
    return new Queues({
      clock: systemClock,
      options: OPTIONS,
      checkCommand,
      metrics: { settled: () => {}, fault: (error) => this.faults.push(error) },
    });
  }

  #makeEdge() {
    const { database } = this;
    return createEdge({
      databases: { find: () => database, open: () => Promise.resolve(database) },
      accessTokens: {
        check: (bearer) =>
          bearer === TOKEN ? "ok" : new KvError("unauthorized", "Cannot open the database: token"),
        epochOf: () => this.epoch,
      },
      tokens: new HmacTokenSigner([new Uint8Array(32).fill(3)]),
      checks: { command: checkCommand, ranges: checkRanges, watch: checkWatchedKeys },
      clock: systemClock,
      endpoints: ownEndpoints(null),
      metrics: {
        answered: () => {},
        transferred: () => {},
        limitRefused: () => {},
        watches: () => {},
        fault: (error) => this.faults.push(error),
      },
      routes: new Map([["queue", new QueueRoute({ queues: this.queues, options: OPTIONS })]]),
    });
  }
}

Deno.test("QueueClient hands values of every kind through a queue", async () => {
  await using node = new Node();
  await using queue = await node.open();
  const values = [
    { text: "ä", list: [1, 2n, null], when: new Date(5), map: new Map([["a", 1]]) },
    new Uint8Array([1, 2, 3]),
    new Deno.KvU64(5n),
    undefined,
  ];
  const ids: string[] = [];
  for (const value of values) ids.push((await queue.enqueue(value)).id);
  const messages = await queue.receive({ messagesMax: 10, leaseMs: 5_000 });
  assert.deepEqual(messages.map(({ value }) => value), values);
  assert.deepEqual(messages.map(({ id }) => id), ids);
  assert.deepEqual(messages.map(({ attempt, attemptsMax }) => [attempt, attemptsMax]), [
    ...[[1, 6], [1, 6], [1, 6], [1, 6]],
  ]);
  const results = await queue.settle(messages.map(({ receipt }) => ({ receipt, action: "ack" })));
  assert.deepEqual(results, ["ok", "ok", "ok", "ok"]);
  const { due, leased, delayed } = await queue.stats();
  assert.deepEqual([due, leased, delayed], [0, 0, 0]);
  assert.deepEqual(node.faults, []);
});

Deno.test("QueueClient.listen acknowledges, tries again and gives up by what the handler does", async () => {
  await using node = new Node();
  await using queue = await node.open();
  const seen: string[] = [];
  const done = Promise.withResolvers<void>();
  const listening = queue.listen((value, { attempt }) => {
    seen.push(`${value} ${attempt}`);
    if (value === "good" && seen.length < 3) return;
    if (value === "end") return done.resolve();
    throw new Error("no luck");
  });
  await queue.enqueue("good");
  await queue.enqueue("bad", { backoffSchedule: [20], keysIfUndelivered: [["bad", "one"]] });
  await queue.enqueue("end", { delay: 300 });
  await done.promise;
  await queue[Symbol.asyncDispose]();
  await listening;
  assert.deepEqual(seen.toSorted(), ["bad 1", "bad 2", "end 1", "good 1"]);
  assert.equal(node.stored("bad", "one"), "bad");
  const row = node.database.rows.below(node.database.prefixOf("queue"));
  assert.equal(row.length, 0, "the last one was acknowledged before the client closed");
  await using other = await node.open();
  const letters = await Array.fromAsync(other.dead());
  assert.deepEqual(
    letters.map(({ value, attempts, lastError, undeliveredKeys }) => ({
      value,
      attempts,
      lastError,
      undeliveredKeys,
    })),
    [{
      value: "bad",
      attempts: 2,
      lastError: "Error: no luck",
      undeliveredKeys: [["bad", "one"]],
    }],
  );
  const [id = ""] = letters.map(({ id }) => id);
  assert.deepEqual(await other.requeue([id, id]), [true, false]);
  const [again] = await other.receive();
  assert.deepEqual([again?.value, again?.attempt], ["bad", 1]);
  assert.deepEqual(await other.deleteDead([id]), [false]);
});

Deno.test("QueueClient.listen extends a lease for as long as the handler works", async () => {
  await using node = new Node();
  await using queue = await node.open();
  const stop = new AbortController();
  const started = Promise.withResolvers<AbortSignal>();
  const finish = Promise.withResolvers<void>();
  const listening = queue.listen(async (_value, { signal }) => {
    started.resolve(signal);
    await finish.promise;
  }, { leaseMs: 400, signal: stop.signal });
  await queue.enqueue("slow");
  const signal = await started.promise;
  // Until three extensions were answered: without them the lease had ended.
  while (node.paths.filter((path) => path.endsWith("/settle")).length < 4) {
    assert.deepEqual(await queue.receive({ waitMs: 20, leaseMs: 400 }), []);
  }
  assert.equal(signal.aborted, false);
  finish.resolve();
  stop.abort();
  await listening;
  assert.equal(node.database.rows.below(node.database.prefixOf("queue")).length, 0);
});

Deno.test("QueueClient.listen tells a handler that its message is lost", async () => {
  await using node = new Node();
  await using queue = await node.open();
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let attempts = 0;
  const stop = new AbortController();
  const listening = queue.listen(async (_value, { signal }) => {
    if (++attempts > 1) return second.resolve();
    first.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await second.promise;
  }, { leaseMs: 200, signal: stop.signal, concurrency: 2 });
  await queue.enqueue("x");
  await first.promise;
  // A restarted node knows no leases; the other slot of the listener gets the message.
  node.restart();
  await second.promise;
  stop.abort();
  await listening;
  assert.equal(attempts, 2);
});

Deno.test("QueueAtomic commits messages with checks and mutations, or nothing", async () => {
  await using node = new Node();
  await using queue = await node.open();
  const first = await queue.atomic()
    .check({ key: ["order", 1], versionstamp: null })
    .set(["order", 1], { state: "new" })
    .sum(["orders"], 1n)
    .enqueue({ order: 1 })
    .enqueue({ mail: 1 }, { delay: 50_000 })
    .commit();
  assert.ok(first.ok);
  assert.equal(first.ids.length, 2);
  const again = queue.atomic()
    .check({ key: ["order", 1], versionstamp: null })
    .sum(["orders"], 1n)
    .enqueue({ order: 1 });
  assert.deepEqual(await again.commit(), { ok: false });
  const second = queue.atomic()
    .check({ key: ["order", 1], versionstamp: first.versionstamp })
    .delete(["order", 1])
    .max(["orders"], 9n)
    .enqueue({ order: 2 });
  assert.ok((await second.commit()).ok);
  assert.deepEqual(node.stored("order"), undefined);
  assert.equal(String(node.stored("orders")), "9");
  const messages = await queue.receive({ messagesMax: 10 });
  assert.deepEqual(messages.map(({ value }) => value), [{ order: 1 }, { order: 2 }]);
});

Deno.test("QueueClient tries passing failures again, and makes a new exchange where one is needed", async () => {
  await using node = new Node();
  await using queue = await node.open();
  node.refusals.push(503, 503);
  await queue.enqueue("a");
  node.epoch++;
  await queue.enqueue("b");
  assert.equal(node.paths.filter((path) => path === "/").length, 2);
  node.refusals.push(400);
  await assert.rejects(queue.enqueue("c"), { name: "QueueError", kind: "refused" });
  node.database.writeFailure = new KvError("disk_full", "Cannot commit: the disk is full");
  await using impatient = await node.open({ retryMs: 100 });
  await assert.rejects(impatient.enqueue("d"), {
    kind: "unavailable",
    message: "Cannot commit: the disk is full",
  });
  node.database.writeFailure = null;
  const messages = await queue.receive({ messagesMax: 10 });
  assert.deepEqual(messages.map(({ value }) => value), ["a", "b"]);
});

Deno.test("QueueClient.listen outlives the loss of its node", async () => {
  await using node = new Node();
  await using queue = await node.open();
  const got = Promise.withResolvers<unknown>();
  const stop = new AbortController();
  const listening = queue.listen(got.resolve, { signal: stop.signal });
  await eventually(() => node.paths.some((path) => path.endsWith("/receive")));
  await node.lose(async () => {
    await assert.rejects(node.open(), { kind: "unavailable" });
    node.refusals.push(503, 500);
  });
  await eventually(() => node.refusals.length === 0);
  await using other = await node.open();
  await other.enqueue("late");
  assert.equal(await got.promise, "late");
  stop.abort();
  await listening;
});

Deno.test("openQueue says what is wrong with address, token or server", async () => {
  await using node = new Node();
  await assert.rejects(openQueue("weir://x"), { kind: "address" });
  await assert.rejects(node.open({ token: "wrong" }), {
    kind: "token",
    message: "Cannot open the database: token",
  });
  node.refusals.push(200);
  await assert.rejects(node.open(), { kind: "protocol" });
  await assert.rejects(openQueue("http://127.0.0.1:9/", { token: TOKEN }), { kind: "unavailable" });
  const queue = await node.open();
  const waiting = queue.receive({ waitMs: 20_000 });
  queue.close();
  await assert.rejects(waiting, { kind: "closed" });
  await assert.rejects(queue.stats(), { kind: "closed" });
});

Deno.test("a client that goes while it waits leaves nothing behind on the node", async () => {
  await using node = new Node();
  await using queue = await node.open();
  const signal = new AbortController();
  const waiting = queue.receive({ waitMs: 20_000, signal: signal.signal });
  await eventually(() => node.queues.of(node.database).stats().waiting > 0);
  signal.abort();
  await assert.rejects(waiting, { kind: "closed" });
  await eventually(() => node.queues.of(node.database).stats().waiting === 0);
});

/** Looks again and again until something is so. */
async function eventually(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
