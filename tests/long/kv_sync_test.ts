/**
 * A node whose disk fails: writes and syncs of its files are made to fail by
 * `strace`, which injects errors into system calls. After a failed sync nobody
 * knows what is on the disk, so the process has to end; what it acknowledged
 * before is there at the next start, even if the power had failed: what no sync has
 * covered is taken back from the log and the state before that.
 */
import assert from "node:assert/strict";
import { openStore, type Store, StoreOperationError } from "../../kv_node/compat/mod.ts";
import { CrashState } from "../support/kv_crash_state.ts";
import { WriteTrace } from "../support/kv_crash_trace.ts";
import { KillableNode } from "../support/kv_killable_node.ts";
import { whyNoTracing } from "../support/tracing.ts";

const ANY = "any";
const FLAGS = ["--segment-bytes", "65536"];
const WRITERS = 8;
const WRITES = 4_000;
/** By then a fault that is to end the node must have struck. */
const WRITES_MAX = 60_000;

/** Where a fault strikes, and how. */
interface Fault {
  readonly name: string;
  /** What `strace -e inject=` takes. */
  readonly inject: string;
  /** The file that it is for, below the data directory; all without it. */
  readonly file?: string;
  /** Whether the node has to end; otherwise it goes on. */
  readonly isFatal: boolean;
}

const LOG = "wal/0000000000000001.wal";

const FAULTS: readonly Fault[] = [
  // Each thread counts its own calls.
  ...[1, 2, 5, 9].map((count) => ({
    name: `the log's sync fails with EIO from each thread's call ${count} on`,
    inject: `fdatasync:error=EIO:when=${count}+`,
    file: LOG,
    isFatal: true,
  })),
  {
    name: "the log's sync fails with EIO once",
    inject: "fdatasync:error=EIO:when=3",
    file: LOG,
    isFatal: true,
  },
  {
    name: "the log's sync fails with ENOSPC",
    inject: "fdatasync:error=ENOSPC:when=3+",
    file: LOG,
    isFatal: true,
  },
  {
    name: "the log's write fails with EIO",
    inject: "write:error=EIO:when=5+",
    file: LOG,
    isFatal: true,
  },
  {
    name: "the log's write finds no room now and then",
    inject: "write:error=ENOSPC:when=5+20",
    file: LOG,
    isFatal: false,
  },
  {
    name: "every sync of every file fails with EIO after some",
    inject: "fdatasync,fsync:error=EIO:when=12+",
    isFatal: true,
  },
  {
    name: "the checkpoint's sync of the state's write-ahead file fails with EIO",
    inject: "fdatasync,fsync:error=EIO",
    file: "state/1.db-wal",
    isFatal: true,
  },
  {
    name: "the checkpoint's sync of the state fails with EIO",
    inject: "fdatasync,fsync:error=EIO",
    file: "state/1.db",
    isFatal: true,
  },
];

const reason = whyNoTracing();

for (const fault of FAULTS) {
  const end = fault.isFatal ? "the node ends" : "writes are refused and come back";
  Deno.test({
    name: `${fault.name}: ${end}, and nothing acknowledged is lost${
      reason === null ? "" : `: ${reason}`
    }`,
    ignore: reason !== null,
    async fn() {
      await using node = new KillableNode({ flags: FLAGS });
      // The files have to be there before they can be watched.
      await node.serve();
      await node.run.kill();
      await play(node, fault);
    },
  });
}

interface Written {
  readonly acknowledged: Map<string, string>;
  readonly unknown: Set<string>;
  readonly refused: Set<string>;
}

async function play(node: KillableNode, { inject, file, isFatal }: Fault): Promise<void> {
  const path = `${node.folder}/${file}`;
  const state = new CrashState(node.folder);
  const lost = file === LOG && isFatal ? new WriteTrace(path, `${node.folder}/trace`) : null;
  if (lost !== null) assert.ok(state.dropUnsynced());
  const filter = file === undefined ? [] : ["-P", path];
  // With -D the node itself is the child, and gets the signals.
  const output = lost?.flags ?? ["-o", "/dev/null", ...filter];
  const wrapper = ["strace", "-D", "-f", "-qqq", ...output];
  const run = node.begin({ wrapper: [...wrapper, "-e", `inject=${inject}`] });
  const written: Written = { acknowledged: new Map(), unknown: new Set(), refused: new Set() };
  const isUp = await Promise.race([run.ended, run.event("kv.serving").catch(() => null)]);
  if (isUp !== null && "event" in isUp) {
    using weir = await openStore(node.weirUrl, { token: ANY });
    let isOver = false;
    void run.ended.then(() => {
      isOver = true;
      weir.close();
    });
    const each = (isFatal ? WRITES_MAX : WRITES) / WRITERS;
    await Promise.all(
      Array.from(
        { length: WRITERS },
        (_, at) => write(weir, written, { name: `w${at}`, each, isOver: () => isOver }),
      ),
    );
    assert.ok(isOver || !isFatal, `it goes on after ${written.acknowledged.size} commits`);
  }
  if (isFatal) {
    const { code, signal } = await run.ended;
    assert.deepEqual({ code, signal }, { code: 1, signal: null }, run.errorText);
    const failed = run.lines.find(({ event }) => event === "kv.failed");
    // Before it serves, one sentence on the error output says it.
    assert.match(JSON.stringify(failed?.error ?? run.errorText), /Cannot (sync|write|checkpoint)/);
  } else {
    assert.ok(written.refused.size > 0, "nothing was refused");
    assert.ok(written.acknowledged.size >= WRITES / 2, "it did not go on");
    await run.kill();
  }
  if (lost !== null) {
    lost.undo();
    // A node that ended in its start has written no more than it found.
    assert.ok(state.dropUnsynced() || written.acknowledged.size === 0);
  }
  await node.serve();
  await check(node, written);
}

async function write(
  store: Store,
  { acknowledged, unknown, refused }: Written,
  { name, each, isOver }: {
    readonly name: string;
    readonly each: number;
    readonly isOver: () => boolean;
  },
): Promise<void> {
  for (let count = 0; count < each && !isOver(); count++) {
    const key = `${name}-${count}`;
    try {
      const { versionstamp } = await store.set(["k", key], "v".repeat(200));
      acknowledged.set(key, versionstamp);
    } catch (error) {
      if (!(error instanceof StoreOperationError)) throw error;
      const isUnknown = error.kind === "outcome_unknown" || error.kind === "closed";
      (isUnknown ? unknown : refused).add(key);
    }
  }
}

async function check(node: KillableNode, written: Written): Promise<void> {
  using stock = await openStore(node.url, { token: ANY });
  const found = new Map<string, string>();
  for await (const { key, versionstamp } of stock.list({ prefix: ["k"] }, { batchSize: 500 })) {
    found.set(String(key[1]), versionstamp);
  }
  for (const [key, stamp] of written.acknowledged) {
    assert.equal(found.get(key), stamp, `${key} was acknowledged`);
  }
  for (const key of found.keys()) {
    assert.ok(written.acknowledged.has(key) || written.unknown.has(key), `${key} was refused`);
  }
  await stock.set(["k", "after"], "the node serves again");
}
