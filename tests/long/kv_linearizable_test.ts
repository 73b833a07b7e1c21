/**
 * What clients of a node see is what one store that does one thing at a time could
 * have told them: histories of stock clients (`Deno.openKv`, `@deno/kv`) and of our own, on
 * a node that is killed under way, are searched for an order.
 *
 * Registers and counters are judged key by key; transfers between accounts and
 * pairs of which only one may be taken as a whole database; appends to lists by
 * the circles in what they read.
 */
import assert from "node:assert/strict";
import { openStore } from "../../kv_node/compat/mod.ts";
import { COUNTER, DATABASE, REGISTER } from "../support/consistency_models.ts";
import {
  balanceIn,
  type HistoryClient,
  type HistoryStore,
  HistoryWriter,
  TOTAL_BALANCE,
} from "../support/kv_histories.ts";
import { openNpmKv } from "../support/kv_clients.ts";
import { Histories } from "../support/kv_history_record.ts";
import { KillableNode } from "../support/kv_killable_node.ts";
import {
  explain,
  linearize,
  linearizeByKey,
  type Model,
  type Operation,
} from "../support/linearizability.ts";
import { listAnomalies } from "../support/list_cycles.ts";
import { chosenSeed, Random } from "../support/random.ts";

const ROUNDS = 36;
/** Of each writer in a round. */
const OPERATIONS = 30;
/** Writers on one connection: what they ask goes into one batch of the node, or waits for it. */
const WRITERS = ["a", "b"];
const CLIENTS = ["deno", "deno", "deno", "npm", "weir", "weir", "weir"] as const;
/** About how many answers they get in a round: reads, and commits after reads. */
const ANSWERS = 2 * CLIENTS.length * WRITERS.length * OPERATIONS;
/** How often `@deno/kv` asks again while the node replays. */
const RETRIES = 10;
const FLAGS = ["--segment-bytes", "65536"];

Deno.test(`histories of ${ROUNDS} rounds with ${CLIENTS.length} clients and a kill in most are strictly serializable`, async (t) => {
  const seed = chosenSeed();
  const random = new Random(seed);
  await using node = new KillableNode({ flags: FLAGS });
  await node.serve();
  using clients = await clientsOf(node, seed);
  let mutants = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const histories = new Histories();
    const kills = random.below(6) === 0 ? 0 : 1 + random.below(3);
    const isInOrder = await t.step(`SEED=${seed}, round ${round}: ${kills} kills`, async () => {
      await play(node, clients.list, { histories, round, kills, random });
      judge(histories);
      mutants += judgeMutants(histories);
    });
    // Clients may be at work still.
    if (!isInOrder) return;
  }
  await t.step(`of the same histories with one stale read ${mutants} were refused`, () => {
    assert.ok(mutants >= ROUNDS);
  });
});

async function clientsOf(
  node: KillableNode,
  seed: number,
): Promise<Disposable & { readonly list: readonly HistoryClient[] }> {
  using opened = new DisposableStack();
  const list: HistoryClient[] = [];
  for (const [at, kind] of CLIENTS.entries()) {
    let store: HistoryStore;
    if (kind === "npm") store = opened.use(await openNpmKv(node.url, "any", RETRIES)).kv;
    else {
      const url = kind === "deno" ? node.url : node.weirUrl;
      store = opened.use(await openStore(url, { token: "any" }));
    }
    for (const writer of WRITERS) {
      const random = new Random(seed + 7 * (list.length + 1));
      list.push({ name: `${kind}${at}${writer}`, store, kind, random });
    }
  }
  const closing = opened.move();
  return { list, [Symbol.dispose]: () => closing.dispose() };
}

async function play(
  node: KillableNode,
  clients: readonly HistoryClient[],
  { histories, round, kills, random }: {
    readonly histories: Histories;
    readonly round: number;
    readonly kills: number;
    readonly random: Random;
  },
): Promise<void> {
  const writers = clients.map((client) => new HistoryWriter(client, histories, round));
  const [first] = writers;
  assert.ok(first !== undefined);
  await first.open();
  let isOver = false;
  const writing = Promise.all(writers.map((writer) => writer.run(OPERATIONS)))
    .finally(() => isOver = true);
  // It is waited for below, unless the node does not come back.
  writing.catch(() => {});
  // A kill comes after so many answers, wherever the clients are, or with the next read of
  // what was not answered yet; the last one sometimes when all have finished.
  for (let kill = 0; kill < kills; kill++) {
    const after = histories.answers + 1 + random.below(ANSWERS / kills);
    while (histories.answers < after && !isOver) await new Promise(setImmediate);
    if (random.below(4) > 0) await Promise.race([histories.earlyRead(), writing]);
    histories.serving = restart(node, histories);
    await histories.serving;
  }
  await writing;
  for (const writer of [writers[0], writers.at(-1)]) await writer?.readAll();
}

async function restart(node: KillableNode, histories: Histories): Promise<void> {
  histories.deathsBegun++;
  await node.run.kill();
  histories.deathsOver++;
  await node.serve();
}

function judge({ plain, swapped, counters, database, lists }: Histories): void {
  for (const [name, history] of [["plain", plain], ["swapped", swapped]] as const) {
    const found = linearizeByKey(REGISTER, history, ({ key }) => key);
    if (found !== null) assert.fail(`${name} ${found.key}: ${explain(found.verdict)}`);
  }
  const counted = linearize(COUNTER, counters);
  assert.equal(counted.type, "linearizable", `counter: ${explain(counted)}`);
  for (const { action: { reads } } of database) {
    assert.equal(balanceIn(reads) ?? TOTAL_BALANCE, TOTAL_BALANCE);
  }
  const transacted = linearize(DATABASE, database);
  assert.equal(transacted.type, "linearizable", `database: ${explain(transacted)}`);
  assert.deepEqual(listAnomalies(lists), []);
}

/** Puts an old value in the place of one that was read, at the end: no order can have that. */
function judgeMutants({ swapped, database, lists }: Histories): number {
  let refused = 0;
  const { type } = linearize(
    REGISTER,
    staleRead(swapped.filter(({ action }) => action.key === "s0")),
  );
  if (type === "violation") refused++;
  const last = database.at(-1);
  const [key] = Object.keys(last?.action.reads ?? {});
  if (last !== undefined && key !== undefined) {
    const reads = { ...last.action.reads, [key]: "1000" };
    const changed = [...database.slice(0, -1), { ...last, action: { reads, writes: {} } }];
    assert.equal(verdictOf(DATABASE, changed), "violation");
    refused++;
  }
  const read = lists.findLast(({ reads, outcome }) =>
    outcome === "done" && Object.values(reads).some((list) => list.length > 1)
  );
  if (read !== undefined) {
    const shortened = Object.fromEntries(
      Object.entries(read.reads).map(([name, list]) => [name, list.slice(0, list.length >> 1)]),
    );
    const changed = lists.map((one) => one === read ? { ...one, reads: shortened } : one);
    assert.notDeepEqual(listAnomalies(changed), []);
    refused++;
  }
  return refused;
}

function verdictOf<State, Action>(
  model: Model<State, Action>,
  history: readonly Operation<Action>[],
): string {
  return linearize(model, history).type;
}

/** The last read of a register gives what the first one gave. */
function staleRead<Action extends { readonly type: string }>(
  history: readonly Operation<Action>[],
): readonly Operation<Action>[] {
  const reads = history.filter(({ action }) => action.type === "read");
  const [first, last] = [reads[0], reads.at(-1)];
  if (first === undefined || last === undefined) return history;
  return history.map((one) => one === last ? { ...last, action: first.action } : one);
}
