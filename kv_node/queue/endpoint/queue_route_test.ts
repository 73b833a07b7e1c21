import assert from "node:assert/strict";
import fc from "fast-check";
import { StampOracle } from "../../clock/stamps.ts";
import { ManualClock } from "../../../src/runtime/manual_clock_fixture.ts";
import { KvError } from "../../errors.ts";
import { evaluate } from "../../txn/evaluate.ts";
import { checkCommand } from "../../txn/limits.ts";
import { FixtureDatabase } from "../database_fixture.ts";
import { DEFAULT_QUEUE_OPTIONS } from "../queue_options.ts";
import { Queues } from "../queues.ts";
import { QUEUE_OPERATIONS, QueueRoute } from "./queue_route.ts";

const DATA = "aGVsbG8=";

class Scene implements Disposable {
  readonly clock = new ManualClock(1_700_000_000_000);
  readonly oracle = new StampOracle(0, null);
  readonly database = new FixtureDatabase({
    evaluate,
    nextStamp: () => this.oracle.next(this.clock.wallMs()),
    wallMs: () => this.clock.wallMs(),
  });
  readonly faults: unknown[] = [];
  readonly queues = new Queues({
    clock: this.clock,
    options: DEFAULT_QUEUE_OPTIONS,
    checkCommand,
    metrics: { settled: () => {}, fault: (error) => this.faults.push(error) },
  });
  readonly route = new QueueRoute({ queues: this.queues, options: DEFAULT_QUEUE_OPTIONS });

  async send(operation: string, body: string | Uint8Array): Promise<unknown> {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const reply = await this.route.handle({
      database: this.database,
      operation,
      request: { signal: new AbortController().signal },
      readBody: () => Promise.resolve(bytes),
    });
    assert.equal(reply.status, 200);
    assert.ok(typeof reply.body === "string");
    return JSON.parse(reply.body);
  }

  ask(operation: string, body: unknown): Promise<unknown> {
    return this.send(operation, JSON.stringify(body));
  }

  [Symbol.dispose](): void {
    this.queues[Symbol.dispose]();
  }
}

Deno.test("QueueRoute answers as documented, from enqueue to stats", async () => {
  using scene = new Scene();
  const message = { value: { data: DATA, encoding: 3 }, delayMs: 0, backoffMs: [] };
  const enqueued = await scene.ask("enqueue", {
    messages: [message],
    checks: [{ key: "AgBB", versionstamp: null }],
    mutations: [{ type: "set", key: "AgBB", value: { data: DATA, encoding: 3 } }],
  });
  const { versionstamp, ids: [id = ""] } = enqueued as { versionstamp: string; ids: string[] };
  assert.match(versionstamp, /^[0-9a-f]{20}$/);
  assert.equal(id, `${versionstamp}0001`);
  const conflict = await scene.ask("enqueue", {
    messages: [message],
    checks: [{ key: "AgBB", versionstamp: null }, { key: "AgBB", versionstamp }],
  });
  assert.deepEqual(conflict, { ok: false, failedChecks: [0] });

  const received = await scene.ask("receive", { messagesMax: 5, leaseMs: 5_000 });
  const { messages: [first] } = received as { messages: { receipt: string }[] };
  assert.ok(first !== undefined);
  const { receipt } = first;
  assert.deepEqual(received, {
    messages: [{
      receipt,
      id,
      value: { data: DATA, encoding: 3 },
      attempt: 1,
      attemptsMax: 1,
      enqueuedAt: 1_700_000_000_000,
      lastError: "",
      leaseMs: 5_000,
    }],
  });
});

Deno.test("QueueRoute shows, requeues and deletes dead letters as documented", async () => {
  using scene = new Scene();
  const enqueued = await scene.ask("enqueue", {
    messages: [{ value: { data: DATA, encoding: 3 }, backoffMs: [], undeliveredKeys: ["AkEA"] }],
  });
  const { ids: [id = ""] } = enqueued as { ids: string[] };
  const { messages: [first] } = await scene.ask("receive", {}) as {
    messages: { receipt: string }[];
  };
  assert.ok(first !== undefined);
  const { receipt } = first;
  const settlements = [
    { receipt, action: "extend", leaseMs: 9_000 },
    { receipt, action: "fail", error: "broken" },
    { receipt, action: "ack" },
  ];
  assert.deepEqual(await scene.ask("settle", { settlements }), { results: ["ok", "ok", "lost"] });

  const listed = await scene.ask("dead/list", {});
  const { letters: [letter] } = listed as { letters: { id: string }[] };
  const expected = {
    id: letter?.id,
    messageId: id,
    deadAt: 1_700_000_000_000,
    enqueuedAt: 1_700_000_000_000,
    attempts: 1,
    lastError: "broken",
    undeliveredKeys: ["AkEA"],
    sizeBytes: 5,
  };
  assert.deepEqual(listed, { letters: [expected], cursor: null });
  assert.deepEqual(await scene.ask("dead/get", { id: letter?.id }), {
    letter: { ...expected, value: { data: DATA, encoding: 3 } },
  });
  assert.deepEqual(await scene.ask("dead/requeue", { ids: [letter?.id, "no"], delayMs: 7_000 }), {
    results: [true, false],
  });
  await assert.rejects(scene.ask("dead/get", { id: letter?.id }), { code: "not_found" });
  assert.deepEqual(await scene.ask("dead/delete", { ids: [letter?.id] }), { results: [false] });
  scene.clock.advance(0);
  scene.clock.advance(0);
  assert.deepEqual(await scene.send("stats", ""), {
    due: 0,
    delayed: 1,
    leased: 0,
    dead: 0,
    waiting: 0,
    oldestDueMs: 0,
    isCounted: true,
  });
});

Deno.test("QueueRoute pages through dead letters in both directions", async () => {
  using scene = new Scene();
  const messages = Array.from({ length: 7 }, (_, at) => ({
    value: { data: new Uint8Array([at]).toBase64(), encoding: 3 },
    backoffMs: [],
  }));
  await scene.ask("enqueue", { messages });
  const received = await scene.ask("receive", { messagesMax: 7 });
  const { messages: all } = received as { messages: { receipt: string }[] };
  for (const { receipt } of all) {
    await scene.ask("settle", { settlements: [{ receipt, action: "fail" }] });
    scene.clock.advance(5);
  }
  for (const reverse of [false, true]) {
    const found: string[] = [];
    let cursor: string | null = null;
    do {
      const page: unknown = await scene.ask("dead/list", {
        limit: 3,
        values: true,
        cursor,
        reverse,
      });
      const { letters, cursor: next } = page as {
        letters: { value: { data: string } }[];
        cursor: string | null;
      };
      found.push(...letters.map(({ value }) => value.data));
      cursor = next;
    } while (cursor !== null);
    const expected = messages.map(({ value }) => value.data);
    assert.deepEqual(found, reverse ? expected.toReversed() : expected);
  }
});

Deno.test("QueueRoute refuses bodies that it does not know, and says what is wrong", async () => {
  using scene = new Scene();
  const value = { data: DATA, encoding: 3 };
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    ["enqueue", {}, /messages has to be a list with at least one message$/],
    ["enqueue", { messages: [{ value }], more: 1 }, /it has an unknown field; known are messages/],
    ["enqueue", { messages: [{ value, delay: 5 }] }, /messages\[0\] has an unknown field/],
    [
      "enqueue",
      { messages: [{ value: { data: "*", encoding: 3 } }] },
      /value\.data has to be bytes/,
    ],
    ["enqueue", { messages: [{ value: { data: DATA, encoding: 4 } }] }, /from 1 to 3$/],
    ["enqueue", { messages: [{ value: { data: DATA, encoding: 2 } }] }, /must have 8 bytes/],
    ["enqueue", { messages: [{ value, backoffMs: [-1] }] }, /backoffMs\[0\] has to be whole/],
    ["enqueue", { messages: [{ value, delayMs: 2 ** 40 }] }, /limit delayMsMax\)$/],
    [
      "enqueue",
      { messages: [{ value }], mutations: [{ type: "x", key: "AgBB" }] },
      /type has to be/,
    ],
    [
      "enqueue",
      { messages: [{ value }], mutations: [{ type: "delete", key: "" }] },
      /key cannot be/,
    ],
    ["enqueue", { messages: [{ value }], checks: [{ key: "AA==", versionstamp: "1" }] }, /20 hexa/],
    ["receive", { messagesMax: 0 }, /messagesMax has to be a whole number from 1 to 100$/],
    ["receive", { leaseMs: 999 }, /from 1000 to 3600000$/],
    ["receive", { waitMs: "1" }, /waitMs has to be a whole number/],
    ["settle", { settlements: [] }, /settlements has to be a list with at least one$/],
    ["settle", { settlements: [{ receipt: "a", action: "eat" }] }, /action has to be ack, fail/],
    ["settle", { settlements: new Array(101).fill({}) }, /settlements is too long \(max 100/],
    ["dead/list", { cursor: "x" }, /the cursor is none of a list$/],
    ["dead/get", [], /it has to be an object$/],
    ["dead/delete", { ids: [1] }, /ids\[0\] has to be a text$/],
    ["stats", { a: 1 }, /there are none here$/],
    ["eat", {}, /there are enqueue, receive, settle, stats, dead\/list/],
  ];
  for (const [operation, body, expected] of cases) {
    await assert.rejects(scene.ask(operation, body), (error: unknown) => {
      assert.ok(error instanceof KvError, String(error));
      assert.match(error.message, expected);
      assert.ok(error.status >= 400 && error.status < 500);
      return true;
    });
  }
  await assert.rejects(scene.send("stats", "{"), /it is no JSON$/);
  await assert.rejects(scene.send("stats", Uint8Array.of(0xff)), /it is no JSON$/);
});

Deno.test("QueueRoute answers any body with a result or a refusal, and keeps nothing of it", async () => {
  using scene = new Scene();
  const names = [
    ...["messages", "value", "data", "encoding", "delayMs", "backoffMs", "undeliveredKeys"],
    ...["checks", "mutations", "key", "type", "versionstamp", "settlements", "receipt", "action"],
    ...["leaseMs", "messagesMax", "ids", "id", "cursor", "limit", "reverse", "values"],
  ];
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, 0, 1, 3, -1, 1e300, "", DATA, "ack", "set", "__proto__"),
      fc.string(),
      fc.array(tie("tree"), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...names), tie("tree"), { maxKeys: 6 }),
    ),
  }));
  const operation = fc.constantFrom(...QUEUE_OPERATIONS.map(({ suffix }) => suffix));
  await fc.assert(
    fc.asyncProperty(operation, tree, async (suffix, body) => {
      await scene.ask(suffix, body ?? {}).catch((error: unknown) => {
        assert.ok(error instanceof KvError, String(error));
        assert.ok(error.status < 500, error.message);
      });
    }),
    { numRuns: 2_000 },
  );
  assert.deepEqual(scene.faults, []);
  assert.equal(scene.queues.totals()?.leased, 0);
});

Deno.test("Queues tells nothing before one was used, and then sums up", async () => {
  using scene = new Scene();
  assert.equal(scene.queues.totals(), null);
  await scene.ask("enqueue", { messages: [{ value: { data: DATA, encoding: 3 } }] });
  scene.clock.advance(2_000);
  assert.deepEqual(scene.queues.totals(), {
    due: 1,
    delayed: 0,
    leased: 0,
    dead: 0,
    oldestDueSeconds: 2,
  });
});

Deno.test("QueueRoute reads nothing of a database that is closed for reading", async () => {
  using scene = new Scene();
  scene.database.readDisabled = true;
  for (const operation of ["receive", "stats", "dead/list"]) {
    await assert.rejects(scene.ask(operation, {}), { code: "unsupported" });
  }
});
