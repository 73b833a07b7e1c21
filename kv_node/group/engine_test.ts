import assert from "node:assert/strict";
import { type MemoryState, openMemoryState } from "../../tests/support/memory_state.ts";
import { ManualClock } from "../../src/runtime/manual_clock_fixture.ts";
import { stampMs, StampOracle } from "../clock/stamps.ts";
import { KvError } from "../errors.ts";
import type { Log, LogRecord } from "../ports.ts";
import { type Command, ENCODING_BYTES, type Mutation, type Outcome, type Row } from "../types.ts";
import { MemoryDisk } from "../wal/memory_disk_fixture.ts";
import { GroupEngine, SWEEP_KEYS_MAX } from "./engine.ts";

/** A log whose syncs end when the test says so. */
class HeldLog implements Log {
  readonly batches: (readonly LogRecord[])[] = [];
  readonly #waiting: PromiseWithResolvers<void>[] = [];

  append(records: readonly LogRecord[]): Promise<void> {
    this.batches.push(records);
    const sync = Promise.withResolvers<void>();
    this.#waiting.push(sync);
    return sync.promise;
  }

  /** Ends the oldest sync. */
  async end(error?: unknown): Promise<void> {
    const sync = this.#waiting.shift();
    if (error === undefined) sync?.resolve();
    else sync?.reject(error);
    await turns();
  }

  cut(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface Stage {
  readonly log: HeldLog;
  readonly state: MemoryState;
  readonly clock: ManualClock;
  readonly engine: GroupEngine;
  readonly fatal: unknown[];
}

/** A stage whose state cannot read the rows that are named. */
function damagedStage(): Stage & { readonly damage: (name: string) => void } {
  const damaged = new Set<string>();
  const found = stage({
    onUnreadable: (cause) => new KvError("internal", "Cannot read: on purpose", { cause }),
  });
  const { state } = found;
  const refuse = (row: Row | null): Row | null => {
    if (row !== null && damaged.has(row.key.toHex())) throw new Error("damaged");
    return row;
  };
  const [get, scan, transact] = [state.get, state.scan, state.transact];
  state.get = (key) => refuse(get.call(state, key));
  state.scan = (range, nowMs) => {
    const rows = scan.call(state, range, nowMs);
    rows.forEach(refuse);
    return rows;
  };
  // Putting a row needs no reading in the real one.
  state.transact = (position, run) => {
    transact.call(state, position, (writer) =>
      run({
        ...writer,
        put: (row) => {
          damaged.delete(row.key.toHex());
          writer.put(row);
        },
      }));
  };
  return { ...found, damage: (name) => void damaged.add(key(name).toHex()) };
}

interface StageOptions {
  readonly waitingMax?: number;
  readonly waitingBytesMax?: number;
  readonly onUnreadable?: (error: unknown) => unknown;
}

function stage(limits: StageOptions = {}): Stage {
  const [log, state, clock] = [
    new HeldLog(),
    openMemoryState(new MemoryDisk()),
    new ManualClock(1_000_000),
  ];
  const fatal: unknown[] = [];
  const engine = new GroupEngine({
    ...{ group: 1, term: 1, log, state, clock },
    oracle: new StampOracle(1, null),
    limits: {
      waitingMax: limits.waitingMax ?? 100,
      waitingBytesMax: limits.waitingBytesMax ?? 1_000_000,
      commandBytesMax: 10_000,
      holdMs: 3_000,
      retryMs: 500,
    },
    onFatal: (error) => void fatal.push(error),
    ...(limits.onUnreadable === undefined ? {} : { onUnreadable: limits.onUnreadable }),
  });
  return { log, state, clock, engine, fatal };
}

/** Lets everything run that waits for nothing but its turn. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

const key = (name: string): Uint8Array => new TextEncoder().encode(`....${name}`);

function set(name: string, expiresMs: number | null = null): Mutation {
  const value = { data: new Uint8Array([1]), encoding: ENCODING_BYTES } as const;
  return { type: "set", key: key(name), value, expiresMs };
}

const setting = (name: string): Command => ({ checks: [], mutations: [set(name)] });

/** What became of a commit so far. */
function follow(commit: Promise<Outcome>): { outcome: string } {
  const followed = { outcome: "waiting" };
  commit.then(
    ({ type }) => void (followed.outcome = type),
    (error: unknown) =>
      void (followed.outcome = error instanceof KvError ? error.code : String(error)),
  );
  return followed;
}

Deno.test("GroupEngine answers and shows nothing before it is on disk", async () => {
  const { log, state, engine } = stage();
  const commit = follow(engine.propose(setting("a")));
  await turns();
  assert.equal(log.batches.length, 1);
  assert.equal(commit.outcome, "waiting");
  assert.equal(state.get(key("a")), null);
  await log.end();
  assert.equal(commit.outcome, "committed");
  assert.notEqual(state.get(key("a")), null);
});

Deno.test("GroupEngine gathers what comes while a batch is synced, with rising numbers", async () => {
  const { log, engine } = stage();
  const commits = ["a", "b"].map((name) => follow(engine.propose(setting(name))));
  await turns();
  commits.push(...["c", "d", "e"].map((name) => follow(engine.propose(setting(name)))));
  await turns();
  assert.deepEqual(log.batches.map((batch) => batch.length), [2]);
  await log.end();
  assert.deepEqual(commits.map(({ outcome }) => outcome), [
    ...["committed", "committed"],
    ...["waiting", "waiting", "waiting"],
  ]);
  await log.end();
  assert.deepEqual(log.batches.flat().map(({ index }) => index), [1, 2, 3, 4, 5]);
  assert.equal(engine.state.applied.index, 5);
});

Deno.test("GroupEngine refuses a batch that the log has no room for, and uses its numbers again", async () => {
  const { log, state, engine } = stage();
  const [first, second] = [
    follow(engine.propose(setting("a"))),
    follow(engine.propose(setting("b"))),
  ];
  await turns();
  await log.end(new KvError("disk_full", "Cannot write: no room"));
  assert.deepEqual([first.outcome, second.outcome], ["disk_full", "disk_full"]);
  const third = follow(engine.propose(setting("c")));
  await turns();
  await log.end();
  assert.equal(third.outcome, "committed");
  assert.equal(state.applied.index, 1);
  assert.equal(state.get(key("a")), null);
});

Deno.test("GroupEngine applies what is logged as soon as there is room, answered or not", async () => {
  const { log, state, clock, engine } = stage();
  state.isFull = true;
  const early = follow(engine.propose(setting("a")));
  await turns();
  await log.end();
  assert.equal(early.outcome, "waiting");
  assert.equal(follow(engine.propose(setting("b"))).outcome, "waiting");
  await turns();
  assert.equal(engine.refusal?.code, "disk_full");
  for (let ms = 0; ms < 4_000; ms += 500) {
    clock.advance(500);
    await turns();
  }
  // Told apart from a refusal, after which nothing is carried out.
  assert.equal(early.outcome, "outcome_unknown");
  state.isFull = false;
  clock.advance(500);
  await turns();
  assert.notEqual(state.get(key("a")), null);
  assert.equal(engine.refusal, null);
  const later = follow(engine.propose(setting("c")));
  await turns();
  await log.end();
  assert.equal(later.outcome, "committed");
});

Deno.test("GroupEngine leaves nobody waiting for room who came before it was known to be needed", async () => {
  const { log, state, clock, engine } = stage();
  state.isFull = true;
  const first = follow(engine.propose(setting("a")));
  await turns();
  const behind = follow(engine.propose(setting("b")));
  await log.end();
  assert.equal(engine.refusal?.code, "disk_full");
  await log.end();
  for (let ms = 0; ms < 4_000; ms += 500) {
    clock.advance(500);
    await turns();
  }
  // Both are in the log, and nobody knows when they will be applied.
  assert.deepEqual([first.outcome, behind.outcome], ["outcome_unknown", "outcome_unknown"]);
  state.isFull = false;
  clock.advance(500);
  await turns();
  assert.ok(state.get(key("a")) !== null && state.get(key("b")) !== null);
});

Deno.test("GroupEngine ends on any other failure and acknowledges nothing more", async () => {
  const { log, engine, fatal } = stage();
  const first = follow(engine.propose(setting("a")));
  await turns();
  const gathered = follow(engine.propose(setting("b")));
  await log.end(new Error("the disk is gone"));
  assert.equal(fatal.length, 1);
  assert.deepEqual([first.outcome, gathered.outcome], ["stopping", "stopping"]);
  const late = follow(engine.propose(setting("c")));
  await turns();
  assert.equal(late.outcome, "stopping");
});

Deno.test("GroupEngine answers a check that has failed already without an entry", async () => {
  const { log, engine } = stage();
  const check = { key: key("a"), stamp: new Uint8Array(10).fill(9) };
  const commit = follow(engine.propose({ checks: [check], mutations: [set("a")] }));
  await turns();
  assert.equal(commit.outcome, "conflict");
  assert.equal(log.batches.length, 0);

  const under = follow(engine.propose(setting("b")));
  await turns();
  // Something is under way that could change it: the log decides.
  const behind = follow(engine.propose({ checks: [check], mutations: [set("a")] }));
  await log.end();
  await log.end();
  assert.deepEqual([under.outcome, behind.outcome], ["committed", "conflict"]);
  assert.equal(log.batches.length, 2);
});

Deno.test("GroupEngine bounds what waits, by number and by bytes", async () => {
  const { engine } = stage({ waitingMax: 2 });
  const outcomes = ["a", "b", "c"].map((name) => follow(engine.propose(setting(name))));
  await Promise.resolve();
  assert.equal(outcomes[2]?.outcome, "overloaded");

  const small = stage({ waitingBytesMax: 150 });
  const fits = follow(small.engine.propose(setting("a")));
  const refused = follow(small.engine.propose(setting("b")));
  await turns();
  assert.deepEqual([fits.outcome, refused.outcome], ["waiting", "overloaded"]);
});

Deno.test("GroupEngine refuses a command that no log takes, and no other with it", async () => {
  const { log, engine } = stage();
  const fits = follow(engine.propose(setting("a")));
  const data = new Uint8Array(10_000);
  const large = { ...set("b"), value: { data, encoding: ENCODING_BYTES } } as Mutation;
  const refused = follow(engine.propose({ checks: [], mutations: [large] }));
  await turns();
  await log.end();
  assert.deepEqual([fits.outcome, refused.outcome], ["committed", "too_large"]);
});

Deno.test("GroupEngine tells watchers of touched keys and prefixes once for each commit", async () => {
  const { log, engine } = stage();
  const told: string[] = [];
  using _one = engine.watch([key("a"), key("b")], () => told.push("keys"));
  using _two = engine.watchPrefix(key("a"), () => told.push("prefix"));
  const commit = async (...names: string[]): Promise<void> => {
    engine.propose({ checks: [], mutations: names.map((name) => set(name)) });
    await turns();
    await log.end();
  };
  await commit("a", "b");
  assert.deepEqual(told.splice(0), ["keys", "prefix"]);
  await commit("ab");
  assert.deepEqual(told.splice(0), ["prefix"]);
  await commit("c");
  assert.deepEqual(told, []);
  assert.equal(engine.watches, 2);
  _one[Symbol.dispose]();
  _one[Symbol.dispose]();
  assert.equal(engine.watches, 1);
  await commit("b");
  assert.deepEqual(told, []);
});

Deno.test("GroupEngine sweeps what has expired, and reads never show it", async () => {
  const { log, state, clock, engine } = stage();
  engine.propose({ checks: [], mutations: [set("a", clock.wallMs() + 100), set("b")] });
  await turns();
  await log.end();
  const range = { start: key(""), end: key("z"), limit: 10, reverse: false };
  assert.equal(engine.read([range])[0]?.length, 2);
  assert.equal(await engine.sweep(), 0);
  clock.advance(100);
  assert.equal(engine.read([range])[0]?.length, 1);
  const swept = engine.sweep();
  await turns();
  await log.end();
  assert.equal(await swept, 1);
  assert.equal(state.get(key("a")), null);
  assert.ok(SWEEP_KEYS_MAX > 1);
});

Deno.test("GroupEngine refuses what reads over a damaged row, and goes on", async () => {
  const { log, state, clock, engine, damage } = damagedStage();
  engine.propose({ checks: [], mutations: [set("a", clock.wallMs() + 100), set("b")] });
  engine.propose({ checks: [], mutations: [set("c", clock.wallMs() + 100)] });
  await turns();
  await log.end();
  damage("a");
  const range = { start: key(""), end: key("z"), limit: 10, reverse: false };
  assert.throws(() => engine.read([range]), {
    name: "KvError",
    message: "Cannot read: on purpose",
  });
  assert.equal(engine.read([{ ...range, start: key("b") }])[0]?.length, 2);
  const checking = { checks: [{ key: key("a"), stamp: null }], mutations: [set("d")] };
  await assert.rejects(engine.propose(checking), { message: "Cannot read: on purpose" });
  assert.equal(log.batches.length, 1, "it is not in the log, where it could not be applied");

  clock.advance(100);
  const swept = engine.sweep();
  await turns();
  await log.end();
  assert.equal(await swept, 1);
  assert.equal(state.get(key("c")), null);
  assert.equal(await engine.sweep(), 0);

  const healed = follow(engine.propose(setting("a")));
  await turns();
  await log.end();
  assert.equal(healed.outcome, "committed");
});

Deno.test("GroupEngine ends if a commit in the log cannot be applied for a damaged row", async () => {
  const { log, engine, fatal, damage } = damagedStage();
  engine.propose(setting("a"));
  await turns();
  await log.end();
  damage("a");
  const first = follow(engine.propose(setting("b")));
  const checking = { checks: [{ key: key("a"), stamp: null }], mutations: [set("c")] };
  const second = follow(engine.propose(checking)); // Something is under way: no early answer.
  await turns();
  await log.end();
  assert.deepEqual([first.outcome, second.outcome], ["stopping", "stopping"]);
  assert.deepEqual(fatal.map(String), ["Error: damaged"]);
});

Deno.test("GroupEngine never reads at a time before a stamp it gave", async () => {
  const { log, clock, engine } = stage();
  clock.advance(60_000);
  engine.propose(setting("a"));
  await turns();
  await log.end();
  const stamp = engine.state.get(key("a"))?.stamp ?? new Uint8Array(10);
  clock.advance(-50_000);
  assert.ok(engine.nowMs >= stampMs(stamp));
});

Deno.test("GroupEngine stops after the commits under way", async () => {
  const { log, engine } = stage();
  const first = follow(engine.propose(setting("a")));
  await turns();
  const gathered = follow(engine.propose(setting("b")));
  let isStopped = false;
  const stopped = engine.stop().then(() => void (isStopped = true));
  const late = follow(engine.propose(setting("c")));
  await log.end();
  assert.equal(isStopped, false);
  await log.end();
  await stopped;
  assert.deepEqual(
    [first.outcome, gathered.outcome, late.outcome],
    ["committed", "committed", "stopping"],
  );
});

Deno.test("GroupEngine stops with a commit that no room was found for", async () => {
  const { log, state, engine } = stage();
  state.isFull = true;
  const held = follow(engine.propose(setting("a")));
  await turns();
  await log.end();
  await engine.stop();
  assert.equal(held.outcome, "stopping");
});
