import assert from "node:assert/strict";
import type { Departure } from "../../src/ports.ts";
import { StampOracle } from "../clock/stamps.ts";
import { ManualClock } from "../../src/runtime/manual_clock_fixture.ts";
import { KvError } from "../errors.ts";
import { withPrefix } from "../keyspace/spaces.ts";
import { evaluate } from "../txn/evaluate.ts";
import { checkCommand } from "../txn/limits.ts";
import { ENCODING_BYTES } from "../types.ts";
import { FixtureDatabase } from "./database_fixture.ts";
import { MessageQueue } from "./message_queue.ts";
import type { NewMessage } from "./queue_command.ts";
import type { Delivery } from "./queue_core.ts";
import { DEFAULT_QUEUE_OPTIONS, type QueueOptions } from "./queue_options.ts";

const NOTHING = { checks: [], mutations: [] };

/** A queue, its database and its clock. */
class Scene {
  readonly clock = new ManualClock(1_700_000_000_000);
  readonly oracle = new StampOracle(0, null);
  readonly database = new FixtureDatabase({
    evaluate,
    nextStamp: () => this.oracle.next(this.clock.wallMs()),
    wallMs: () => this.clock.wallMs(),
  });
  readonly events = new Map<string, number>();
  readonly faults: unknown[] = [];
  readonly #options: QueueOptions;
  queue: MessageQueue;

  constructor(options: Partial<QueueOptions> = {}) {
    this.#options = { ...DEFAULT_QUEUE_OPTIONS, ...options };
    this.queue = this.#open();
  }

  restart(): void {
    this.queue[Symbol.dispose]();
    this.clock.advance(1);
    this.queue = this.#open();
  }

  async enqueue(text: string, options: Partial<NewMessage> = {}): Promise<string> {
    const message: NewMessage = {
      payload: { data: new TextEncoder().encode(text), encoding: ENCODING_BYTES },
      delayMs: 0,
      backoffMs: [1_000],
      undeliveredKeys: [],
      ...options,
    };
    const result = await this.queue.enqueue([message], NOTHING);
    assert.ok(result.type === "committed");
    return result.ids[0] ?? "";
  }

  receive(
    waitMs = 0,
    messagesMax = 1,
    signal: Departure = new AbortController().signal,
  ): Promise<readonly Delivery[]> {
    return this.queue.receive({ messagesMax, leaseMs: 10_000, waitMs }, signal);
  }

  async one(): Promise<Delivery> {
    const [delivery] = await this.receive();
    assert.ok(delivery !== undefined, "a message is due");
    return delivery;
  }

  /** Lets time go by, and everything happen that it brings about. */
  async pass(ms: number): Promise<void> {
    for (let part = 0; part < 10; part++) {
      await turn();
      this.clock.advance(ms / 10);
    }
    await turn();
  }

  #open(): MessageQueue {
    return new MessageQueue({
      database: this.database,
      clock: this.clock,
      options: this.#options,
      checkCommand,
      metrics: {
        settled: (event, count) => {
          this.events.set(event, (this.events.get(event) ?? 0) + count);
        },
        fault: (error) => this.faults.push(error),
      },
    });
  }
}

Deno.test("MessageQueue delivers, and forgets what is acknowledged", async () => {
  const scene = new Scene();
  const id = await scene.enqueue("one");
  const delivery = await scene.one();
  assert.equal(textOf(delivery), "one");
  assert.equal(delivery.id, id);
  assert.deepEqual(await scene.receive(), []);
  const ack = { type: "ack", receipt: delivery.receipt } as const;
  assert.deepEqual(await scene.queue.settle([ack]), ["ok"]);
  assert.deepEqual(await scene.queue.settle([ack]), ["lost"]);
  assert.deepEqual(Object.fromEntries(scene.events), {
    enqueued: 1,
    delivered: 1,
    acknowledged: 1,
  });
  assert.deepEqual(await scene.receive(), []);
});

Deno.test("MessageQueue wakes who waits when a message comes or is due", async () => {
  const scene = new Scene();
  const first = scene.receive(30_000);
  await scene.pass(100);
  await scene.enqueue("now");
  assert.deepEqual((await first).map(textOf), ["now"]);
  await scene.enqueue("later", { delayMs: 5_000 });
  let got: readonly Delivery[] | null = null;
  const second = scene.receive(30_000).then((deliveries) => got = deliveries);
  await scene.pass(4_990);
  assert.equal(got, null);
  await scene.pass(20);
  assert.deepEqual((await second).map(textOf), ["later"]);
  const third = scene.receive(1_000);
  await scene.pass(1_001);
  assert.deepEqual(await third, []);
});

Deno.test("MessageQueue tries again after the schedule, then buries the message", async () => {
  const scene = new Scene();
  const key = Uint8Array.of(2, 65, 0);
  const id = await scene.enqueue("bad", { undeliveredKeys: [key] });
  const complete = withPrefix(scene.database.prefixOf("data"), key);
  const first = await scene.one();
  const fail = { type: "fail", receipt: first.receipt, error: "no luck", isFinal: false } as const;
  assert.deepEqual(await scene.queue.settle([fail]), ["ok"]);
  await scene.pass(990);
  assert.deepEqual(await scene.receive(), []);
  await scene.pass(20);
  const second = await scene.one();
  assert.deepEqual([second.id, second.message.attempts], [id, 1]);
  assert.equal(second.message.lastError, "no luck");
  assert.equal(scene.database.rows.get(complete), null);
  // Nobody settles it: the end of the lease is a failure too.
  await scene.pass(10_100);
  assert.deepEqual(scene.database.rows.get(complete)?.data, new TextEncoder().encode("bad"));
  const { letters, cursor } = scene.queue.dead.list({
    limit: 10,
    bytesMax: 1_000,
    cursor: null,
    reverse: false,
  });
  assert.equal(cursor, null);
  assert.deepEqual(letters.map(({ messageId, attempts }) => ({ messageId, attempts })), [
    { messageId: id, attempts: 2 },
  ]);
  assert.match(letters[0]?.lastError ?? "", /lease ended/);
  const deadId = letters[0]?.id ?? "";
  assert.deepEqual(await scene.queue.requeue([deadId, deadId], 0), [true, false]);
  const third = await scene.one();
  assert.deepEqual([third.id, third.message.attempts, textOf(third)], [id, 0, "bad"]);
  assert.deepEqual(scene.events.get("dead"), 1);
});

Deno.test("MessageQueue buries at once what is of no use to try again", async () => {
  const scene = new Scene();
  await scene.enqueue("never");
  const { receipt } = await scene.one();
  await scene.queue.settle([{ type: "fail", receipt, error: "", isFinal: true }]);
  await scene.pass(100);
  assert.equal(scene.queue.stats().dead, 1);
});

Deno.test("MessageQueue keeps a lease that is extended, and gives on what is released", async () => {
  const scene = new Scene();
  await scene.enqueue("long");
  const { receipt } = await scene.one();
  for (let time = 0; time < 5; time++) {
    await scene.pass(9_000);
    const extend = { type: "extend", receipt, leaseMs: 10_000 } as const;
    assert.deepEqual(await scene.queue.settle([extend]), ["ok"]);
  }
  assert.deepEqual(await scene.receive(), []);
  assert.deepEqual(await scene.queue.settle([{ type: "release", receipt }]), ["ok"]);
  const again = await scene.one();
  assert.equal(again.message.attempts, 0);
  assert.deepEqual(await scene.queue.settle([{ type: "ack", receipt }]), ["lost"]);
  assert.deepEqual(await scene.queue.settle([{ type: "ack", receipt: again.receipt }]), ["ok"]);
});

Deno.test("MessageQueue commits messages with checks and mutations, or nothing of it", async () => {
  const scene = new Scene();
  const key = withPrefix(scene.database.prefixOf("data"), Uint8Array.of(7));
  const value = { data: Uint8Array.of(1), encoding: ENCODING_BYTES } as const;
  const message = { payload: value, delayMs: 0, backoffMs: [], undeliveredKeys: [] };
  const command = {
    checks: [{ key, stamp: null }],
    mutations: [{ type: "set", key, value, expiresMs: null } as const],
  };
  assert.equal((await scene.queue.enqueue([message], command)).type, "committed");
  const again = await scene.queue.enqueue([message], command);
  assert.deepEqual(again, { type: "conflict", failedChecks: [0] });
  assert.equal((await scene.receive(0, 10)).length, 1);
});

Deno.test("MessageQueue lets an acknowledgement count that outlived a restart", async () => {
  const scene = new Scene();
  await scene.enqueue("a");
  await scene.enqueue("b");
  const [a, b] = await scene.receive(0, 2);
  assert.ok(a !== undefined && b !== undefined);
  scene.restart();
  // Nobody has it: the work was done, so it is not done again.
  assert.deepEqual(await scene.queue.settle([{ type: "ack", receipt: a.receipt }]), ["ok"]);
  const again = await scene.one();
  assert.deepEqual([textOf(again), again.message.attempts], ["b", 0]);
  assert.deepEqual(await scene.queue.settle([{ type: "ack", receipt: b.receipt }]), ["lost"]);
  assert.deepEqual(await scene.queue.settle([{ type: "ack", receipt: again.receipt }]), ["ok"]);
});

Deno.test("MessageQueue takes back what a client that has gone was dealt", async () => {
  const scene = new Scene();
  let isGone = false;
  // It goes in the moment between the deal and the answer: nobody is told of that one.
  const departure: Departure = {
    get aborted() {
      return isGone;
    },
    addEventListener() {},
    removeEventListener() {},
  };
  const waiting = scene.receive(30_000, 1, departure);
  await scene.pass(10);
  isGone = true;
  await scene.enqueue("x");
  assert.deepEqual(await waiting, []);
  const { message } = await scene.one();
  assert.equal(message.attempts, 0);
  assert.equal(scene.events.get("delivered"), 1);
});

Deno.test("MessageQueue deals nothing to a client that went while it waited", async () => {
  const scene = new Scene();
  const gone = new AbortController();
  const waiting = scene.receive(30_000, 1, gone.signal);
  await scene.pass(10);
  gone.abort();
  assert.deepEqual(await waiting, []);
  assert.equal(scene.queue.stats().waiting, 0);
  await scene.enqueue("x");
  assert.equal(textOf(await scene.one()), "x");
  assert.deepEqual(await scene.receive(30_000, 1, gone.signal), []);
});

Deno.test("MessageQueue keeps messages through a disk that takes nothing", async () => {
  const scene = new Scene();
  await scene.enqueue("x");
  await scene.enqueue("y");
  const { receipt } = await scene.one();
  await scene.one();
  scene.database.writeFailure = new KvError("disk_full", "Cannot commit: the disk is full");
  const ack = { type: "ack", receipt } as const;
  await assert.rejects(scene.queue.settle([ack]), { code: "disk_full" });
  await assert.rejects(scene.enqueue("z"), { code: "disk_full" });
  const lost = { type: "ack", receipt: "none" } as const;
  assert.deepEqual(await scene.queue.settle([ack, lost]), ["later", "lost"]);
  // Leases end meanwhile, and cannot be written down.
  await scene.pass(30_000);
  assert.deepEqual(await scene.receive(), []);
  scene.database.writeFailure = null;
  await scene.pass(3_000);
  const again = await scene.receive(0, 5);
  assert.deepEqual(again.map(({ message }) => message.attempts), [1, 1]);
  assert.deepEqual(scene.faults, []);
});

Deno.test("MessageQueue tells who waits that nothing can be read, and goes on after", async () => {
  const scene = new Scene();
  scene.database.readFailure = new KvError("starting", "Cannot read: the log is being replayed");
  await assert.rejects(scene.receive(1_000), { code: "starting" });
  scene.database.readFailure = null;
  await scene.enqueue("x");
  assert.equal(textOf(await scene.one()), "x");
});

Deno.test("MessageQueue bounds who waits and what is leased", async () => {
  const scene = new Scene({ waitingMax: 2, leasedMax: 3 });
  const waiting = [scene.receive(1_000), scene.receive(1_000)];
  await assert.rejects(scene.receive(1_000), { code: "overloaded" });
  await scene.pass(1_100);
  assert.deepEqual(await Promise.all(waiting), [[], []]);
  for (const text of ["a", "b", "c", "d"]) await scene.enqueue(text);
  const got = await scene.receive(0, 10);
  assert.deepEqual(got.map(textOf), ["a", "b", "c"]);
  const fourth = scene.receive(5_000);
  await scene.pass(100);
  await scene.queue.settle([{ type: "ack", receipt: got[0]?.receipt ?? "" }]);
  assert.deepEqual((await fourth).map(textOf), ["d"]);
});

Deno.test("MessageQueue counts what it finds and what becomes of it", async () => {
  const scene = new Scene();
  for (let count = 0; count < 150; count++) {
    await scene.enqueue("x", { delayMs: count < 50 ? 60_000 : 0, backoffMs: [] });
  }
  scene.restart();
  assert.equal(scene.queue.stats().isCounted, false);
  // Between two pages of the count some are settled and one more comes.
  scene.clock.advance(0);
  const got = await scene.receive(0, 20);
  const settlements = got.slice(0, 10).map(({ receipt }, at) => {
    return at < 4
      ? { type: "fail", receipt, error: "", isFinal: false } as const
      : { type: "ack", receipt } as const;
  });
  await scene.queue.settle(settlements);
  await scene.enqueue("y", { delayMs: 120_000 });
  await scene.pass(500);
  const { due, delayed, leased, dead, oldestDueMs, isCounted } = scene.queue.stats();
  assert.deepEqual({ due, delayed, leased, dead, isCounted }, {
    due: 80,
    delayed: 51,
    leased: 10,
    dead: 4,
    isCounted: true,
  });
  assert.ok(oldestDueMs >= 500);
});

Deno.test("MessageQueue keeps so many dead letters, for so long", async () => {
  const scene = new Scene({ deadMax: 5, deadAgeMsMax: 86_400_000 });
  await scene.pass(10);
  for (let count = 0; count < 12; count++) {
    await scene.enqueue(String(count), { backoffMs: [] });
    const { receipt } = await scene.one();
    await scene.queue.settle([{ type: "fail", receipt, error: "", isFinal: false }]);
    await scene.pass(10);
  }
  const texts = scene.queue.dead.list({ limit: 100, bytesMax: 1e6, cursor: null, reverse: false })
    .letters.map(({ payload }) => new TextDecoder().decode(payload.data));
  assert.deepEqual(texts, ["7", "8", "9", "10", "11"]);
  assert.equal(scene.queue.stats().dead, 5);
  await scene.pass(2 * 86_400_000);
  assert.equal(scene.queue.stats().dead, 0);
  assert.equal(scene.database.rows.below(scene.database.prefixOf("dead")).length, 0);
});

Deno.test("MessageQueue refuses what is above the limits, and names them", async () => {
  const scene = new Scene();
  const big = { data: new Uint8Array(65_537), encoding: ENCODING_BYTES } as const;
  const cases: readonly (readonly [Partial<NewMessage>, RegExp])[] = [
    [{ delayMs: 30 * 86_400_000 + 1 }, /limit delayMsMax\)$/],
    [{ backoffMs: new Array(11).fill(1) }, /limit backoffsMax\)$/],
    [{ backoffMs: [3_600_001] }, /limit backoffMsMax\)$/],
    [{ undeliveredKeys: new Array(11).fill(Uint8Array.of(1)) }, /limit undeliveredKeysMax\)$/],
    [{ undeliveredKeys: [new Uint8Array(2_049)] }, /limit keyBytesMax\)$/],
    [{ undeliveredKeys: [new Uint8Array()] }, /cannot be empty$/],
    [{ payload: big }, /limit valueBytesMax\)$/],
    [{ delayMs: -1 }, /whole milliseconds/],
    [{ backoffMs: [0.5] }, /whole milliseconds/],
  ];
  for (const [options, expected] of cases) {
    await assert.rejects(scene.enqueue("", options), expected);
  }
  const message = { payload: big, delayMs: 0, backoffMs: [], undeliveredKeys: [] };
  const small = { ...message, payload: { ...big, data: new Uint8Array(65_536) } };
  await assert.rejects(
    scene.queue.enqueue(new Array(13).fill(small), NOTHING),
    /limit commitBytesMax\)$/,
  );
  await assert.rejects(
    scene.queue.enqueue(
      new Array(1_001).fill({ ...message, payload: { ...big, data: new Uint8Array() } }),
      NOTHING,
    ),
    /limit mutationsMax\)$/,
  );
  assert.equal(scene.database.rows.below(scene.database.prefixOf("queue")).length, 0);
});

Deno.test("MessageQueue passes over a row that it cannot read, and says so", async () => {
  const scene = new Scene();
  await scene.enqueue("x");
  const [row] = scene.database.rows.below(scene.database.prefixOf("queue"));
  assert.ok(row !== undefined);
  scene.database.rows.put({ ...row, data: Uint8Array.of(99) });
  await scene.enqueue("y");
  assert.equal(textOf(await scene.one()), "y");
  assert.equal(scene.faults.length, 1);
});

Deno.test("MessageQueue ends with nothing left behind", async () => {
  const scene = new Scene();
  const waiting = scene.receive(30_000);
  await scene.pass(10);
  scene.queue[Symbol.dispose]();
  assert.deepEqual(await waiting, []);
  assert.deepEqual([scene.clock.pending, scene.database.watching], [0, 0]);
  await assert.rejects(scene.receive(), { code: "stopping" });
  await assert.rejects(scene.enqueue("x"), { code: "stopping" });
});

function textOf({ message }: Delivery): string {
  return new TextDecoder().decode(message.payload.data);
}

/** Lets everything happen that waits for nothing but its turn. */
async function turn(): Promise<void> {
  for (let count = 0; count < 30; count++) await Promise.resolve();
}
