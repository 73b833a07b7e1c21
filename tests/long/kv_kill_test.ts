/**
 * A node is killed with SIGKILL again and again while clients write to it:
 * stock ones over HTTP, our own over the link. What it acknowledged is there
 * after every start, with the versionstamp that it gave; the rest is there whole
 * or not at all.
 *
 * Kills come after so many acknowledged commits, when a segment of the log is
 * made, when the log is cut, when a checkpoint writes, in the middle of a start,
 * after the replay, and in the middle of an orderly end. After many of them the
 * state files are set back to what a power cut may leave, so that the log has to
 * give the rest. `SEED=n` chooses the same kills again; what clients and disk do in
 * between is their own.
 */
import assert from "node:assert/strict";
import { openStore, type Store } from "../../kv_node/compat/mod.ts";
import { auditEpoch, isOver, retireEpoch } from "../support/kv_crash_audit.ts";
import { Ledger } from "../support/kv_crash_ledger.ts";
import { CrashState, firstSegment } from "../support/kv_crash_state.ts";
import { CrashWriter, type WriterWorld } from "../support/kv_crash_writers.ts";
import { KillableNode } from "../support/kv_killable_node.ts";
import { chosenSeed, Random } from "../support/random.ts";

const KILLS = Number(Deno.env.get("KILLS") ?? 200);
const WRITERS = 8;
/** Stock clients want a token, even where the node wants none. */
const ANY = "any";
const FLAGS = ["--segment-bytes", "65536"];
/** Epochs that are read after every start, the present one included. */
const RECENT = 3;
/** All that is kept is read after so many starts. */
const ALL_EVERY = 12;
const KEPT_EPOCHS = 15;
/** If what a kill waits for does not happen, it comes after so many commits. */
const PATIENCE_COMMITS = 4_000;
const POLL_MS = 5;

type Mode = "load" | "segment" | "cut" | "checkpoint" | "start" | "replayed" | "stopping";

const MODES: readonly Mode[] = [
  ...Array<Mode>(9).fill("load"),
  ...["segment", "segment", "cut", "cut", "checkpoint", "checkpoint"] as const,
  ...["start", "start", "replayed", "stopping"] as const,
];

/** What has happened so far. */
interface Tally {
  readonly kills: Map<Mode, number>;
  notReady: number;
  ready: number;
  cutAway: number;
  audits: number;
  replayed: number;
  olderStates: number;
  droppedStates: number;
}

Deno.test(`a node killed ${KILLS} times under load keeps every acknowledged commit whole`, async (t) => {
  const seed = chosenSeed();
  const tally: Tally = {
    kills: new Map(),
    notReady: 0,
    ready: 0,
    cutAway: 0,
    audits: 0,
    replayed: 0,
    olderStates: 0,
    droppedStates: 0,
  };
  const ledger = new Ledger();
  await t.step(`SEED=${seed}: ${KILLS} kills, an audit after every start`, async () => {
    await play(seed, ledger, tally);
  });
  const kills = [...tally.kills].map(([mode, count]) => `${mode} ${count}`).join(", ");
  await t.step(`they hit every moment: ${kills}; ${tally.cutAway} segments were cut`, () => {
    for (const mode of MODES) assert.ok((tally.kills.get(mode) ?? 0) >= KILLS / 70, mode);
    assert.ok(tally.cutAway >= KILLS / 20);
  });
  const { acknowledged, unknown } = ledger;
  await t.step(`${acknowledged} commits were acknowledged, ${unknown} unknown`, () => {
    assert.ok(acknowledged > 40 * KILLS);
    assert.ok(unknown > 0);
  });
  const { olderStates, droppedStates, replayed } = tally;
  await t.step(
    `${olderStates} starts with an older state, ${droppedStates} with what a checkpoint left, ${replayed} entries replayed`,
    () => {
      assert.ok(olderStates >= KILLS / 20);
      assert.ok(droppedStates >= KILLS / 20);
      assert.ok(replayed > 10 * KILLS);
    },
  );
  const { ready, notReady } = tally;
  await t.step(
    `not ready ${notReady} times before the end of a replay, then ready ${ready}`,
    () => {
      assert.ok(notReady >= ready / 2);
    },
  );
});

async function play(seed: number, ledger: Ledger, tally: Tally): Promise<void> {
  const random = new Random(seed);
  await using node = new KillableNode();
  await node.serve({ flags: FLAGS });
  const world: WriterWorld = { ledger, epoch: 1, isWriting: true };
  const stores = await Promise.all([
    ...Array.from({ length: WRITERS / 2 + 1 }, () => openStore(node.url, { token: ANY })),
    ...Array.from({ length: WRITERS / 2 + 1 }, () => openStore(node.weirUrl, { token: ANY })),
  ]);
  const auditors = [stores[0], stores.at(-1)].filter((store) => store !== undefined);
  const writing = stores.slice(1, -1).map((store, at) => {
    const isStock = at < WRITERS / 2;
    const writer = new CrashWriter(`${isStock ? "stock" : "weir"}${at}`, store, world, {
      random: new Random(seed + 1_000 * (at + 1)),
      isStock,
    });
    return writer.run();
  });
  // Whoever fails first ends everything.
  const failed = Promise.race(writing.map((one) => one.then(() => new Promise<never>(() => {}))));
  const state = new CrashState(node.folder);
  const moments = new Moments(random);
  const story = async (): Promise<void> => {
    while (ledger.kills < KILLS) {
      await killOnce(node, moments.next(), random, world, tally);
      setBack(state, random, tally);
      world.epoch++;
      await serveAgain(node, tally);
      const store = auditors[world.epoch % auditors.length];
      assert.ok(store !== undefined);
      await audit(store, world, tally);
    }
    world.isWriting = false;
    await Promise.all(writing);
    // Once more: what a client gave up on must not be under way any more.
    await kill(node, ledger, tally, "load");
    await serveAgain(node, tally);
    for (const epoch of ledger.epochs.keys()) {
      assert.ok(isOver(ledger, epoch));
      for (const store of auditors) await auditEpoch(store, ledger, epoch, false);
    }
  };
  try {
    await Promise.race([story(), failed]);
  } catch (error) {
    const lines = node.run.lines.map((line) => JSON.stringify(line)).join("\n");
    const cause = `run ${node.runs}, ${ledger.kills} kills\n${lines}\n${node.run.errorText}`;
    throw new Error(`SEED=${seed}: ${error instanceof Error ? error.message : error}\n${cause}`, {
      cause: error,
    });
  } finally {
    world.isWriting = false;
    for (const store of stores) store.close();
  }
  node.run.signal("SIGTERM");
  assert.deepEqual(await node.run.ended, { code: 0, signal: null });
}

/** Every moment as often as it is in the list, in an order of chance. */
class Moments {
  readonly #random: Random;
  #left: Mode[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  next(): Mode {
    if (this.#left.length === 0) this.#left = [...MODES];
    const [mode] = this.#left.splice(this.#random.below(this.#left.length), 1);
    assert.ok(mode !== undefined);
    return mode;
  }
}

/** Does to the state of a dead node what a power cut might have done. */
function setBack(state: CrashState, random: Random, tally: Tally): void {
  if (random.below(2) === 0 && state.putBack()) tally.olderStates++;
  else if (state.dropUnsynced()) tally.droppedStates++;
  if (random.below(2) === 0) state.keep();
}

/** Waits for the moment, and kills; where the moment is one of a start, starts before. */
async function killOnce(
  node: KillableNode,
  mode: Mode,
  random: Random,
  { ledger }: WriterWorld,
  tally: Tally,
): Promise<void> {
  // Few commits most of the time, now and then many.
  const commits = 1 + random.below(1 + random.below(600));
  switch (mode) {
    case "load":
      await ledger.awaitAcknowledged(commits);
      break;
    case "segment":
      await changeIn(
        node,
        "wal",
        commits,
        ledger,
        ({ paths: [path = ""] }) => /spare\.tmp$/.test(path),
      );
      break;
    case "cut":
      await changeIn(
        node,
        "wal",
        1,
        ledger,
        ({ kind, paths: [path = ""] }) => kind === "remove" && path.endsWith(".wal"),
      );
      break;
    case "checkpoint":
      await changeIn(node, "state", 1, ledger, ({ paths: [path = ""] }) => /1\.db$/.test(path));
      break;
    case "stopping":
      await ledger.awaitAcknowledged(commits);
      node.run.signal("SIGTERM");
      await node.run.event("kv.stopping");
      break;
    case "start":
    case "replayed":
      await ledger.awaitAcknowledged(commits);
      await kill(node, ledger, tally, "load");
      for (let more = random.below(4);; more--) {
        node.begin({ flags: FLAGS });
        await node.run.event(mode === "start" ? "kv.starting" : "kv.replayed");
        if (more === 0) break;
        await kill(node, ledger, tally, mode);
      }
  }
  await kill(node, ledger, tally, mode);
}

async function kill(
  node: KillableNode,
  ledger: Ledger,
  tally: Tally,
  mode: Mode,
): Promise<void> {
  ledger.kills++;
  node.run.signal("SIGKILL");
  const { code, signal } = await node.run.ended;
  // An orderly end may have been quicker.
  const isKilled = signal === "SIGKILL" || (mode === "stopping" && code === 0);
  assert.ok(isKilled, `the node ended by itself with ${code}: ${node.run.errorText}`);
  tally.kills.set(mode, (tally.kills.get(mode) ?? 0) + 1);
}

/** Settles with the first change of that kind, or after many commits. */
async function changeIn(
  node: KillableNode,
  folder: string,
  after: number,
  ledger: Ledger,
  isMeant: (event: Deno.FsEvent) => boolean,
): Promise<void> {
  await ledger.awaitAcknowledged(after);
  using watcher = Deno.watchFs(`${node.folder}/${folder}`);
  const seen = (async () => {
    for await (const event of watcher) if (isMeant(event)) return;
  })();
  await Promise.race([seen, ledger.awaitAcknowledged(PATIENCE_COMMITS)]);
}

/** Starts the node and asks all the time whether it is ready. */
async function serveAgain(node: KillableNode, tally: Tally): Promise<void> {
  const run = node.begin({ flags: FLAGS });
  await run.event("kv.starting");
  const serving = run.event("kv.serving");
  serving.catch(() => {});
  for (;;) {
    const { status, body } = await node.readiness();
    if (status === 200) break;
    if (status === 0 || body.includes('"failed"')) {
      // A connection to the run before was used again; or the node ends, and this says how.
      await Promise.race([serving, pause()]);
      continue;
    }
    assert.equal(status, 503, body);
    assert.match(body, /"status":"(starting|replaying)"/);
    tally.notReady++;
    await pause();
  }
  tally.ready++;
  await serving;
  assert.deepEqual((await node.readiness()).status, 200);
  tally.cutAway = firstSegment(node.folder) - 1;
  const { entries } = await run.event("kv.replayed");
  tally.replayed += Number(entries);
}

/** Between two questions: the node has better use for the processor. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

async function audit(store: Store, world: WriterWorld, tally: Tally): Promise<void> {
  const { ledger, epoch } = world;
  const isFull = ++tally.audits % ALL_EVERY === 0;
  for (const one of [...ledger.epochs.keys()]) {
    if (isFull || one > epoch - RECENT) await auditEpoch(store, ledger, one, one === epoch);
  }
  for (const one of [...ledger.epochs.keys()]) {
    if (one > epoch - KEPT_EPOCHS || !isOver(ledger, one)) continue;
    await auditEpoch(store, ledger, one, false);
    await retireEpoch(store, ledger, one);
  }
}
