/**
 * Gateways that share their caches through a file: two connections, two processes,
 * a process that is killed while it writes, and a restart.
 */
import assert from "node:assert/strict";
import { openStore, type Store } from "deno-kv-compat";
import { systemClock } from "../../src/runtime/clock.ts";
import { decodeEntryHead } from "../../src/sharing/records/entry_record.ts";
import { LAYOUT } from "../../src/sharing/records/layout.ts";
import { TextLineStream } from "../support/lines.ts";
import { assertWhole, Gateway, makeEntry, makeVector } from "../support/shared_gateways.ts";
import type { SharingLine } from "../support/sharing_main.ts";
import { signalIfThere } from "../support/process_signal.ts";

const EVEN = { type: "tag", tag: "tag:even" } as const;
const KILLS = 6;

Deno.test("sharing: two connections to one file see each other's entries and invalidations", async () => {
  await withFile(async (url) => {
    using first = await openStore(url);
    using second = await openStore(url);
    await using one = gatewayOn(first, 1);
    await using other = gatewayOn(second, 2);
    await until(
      "both listen",
      () => [one, other].every(({ gateway }) => gateway.shared.stats().watching),
    );
    for (let id = 1; id <= 100; id++) {
      one.gateway.store(id, { textLength: id % 20 === 0 ? 300_000 : 50 });
    }
    await until("the other has them", () => other.gateway.pulled.size === 100);
    assert.deepEqual(other.gateway.pulled.get(41), makeVector(41));
    for (let id = 1; id <= 100; id++) {
      assertWhole(await other.gateway.read(id) ?? makeEntry(0));
      assertWhole(await other.gateway.serve(id) ?? makeEntry(0));
    }

    await one.gateway.invalidate(EVEN);
    // At the next request, whether or not the watch has told.
    assert.equal(await other.gateway.read(20), null);
    await until("the other was told", () => other.gateway.hasHeard(EVEN));
    for (let id = 1; id <= 100; id++) {
      assert.equal((await other.gateway.serve(id)) !== null, id % 2 === 1, `${id}`);
    }
  });
});

Deno.test("sharing: two processes on one file see each other's entries and invalidations", async () => {
  await withFile(async (url) => {
    using store = await openStore(url);
    await using mine = gatewayOn(store, 1);
    const { gateway } = mine;
    await using process = spawn(url, 1_000);
    await process.line((line) => line.type === "written" && line.upTo >= 1_020);
    await until("its entries come here", () => gateway.pulled.has(1_010));

    gateway.store(1, { tags: ["tag:mine"] });
    await process.line((line) => line.type === "pulled" && line.id === 1);
    await gateway.invalidate(EVEN);
    await process.line((line) => line.type === "heard" && line.tag === EVEN.tag);
    assert.equal(await gateway.read(1_010), null);
    assert.notEqual(await gateway.read(1_011), null);
  });
});

Deno.test("sharing: a process killed at any moment of writing leaves whole entries only", async () => {
  await withFile(async (url) => {
    let acknowledged = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const firstId = 1_000 * (kill + 1);
      const upTo = await writeAndKill(url, firstId, 5 + 7 * kill);
      acknowledged += upTo - firstId + 1;
      using store = await openStore(url);
      await using reading = gatewayOn(store, 1);
      const ids = new Set<number>();
      const { unusable, complete } = await reading.gateway.shared.load((entry, vector) => {
        assertWhole(entry);
        assert.deepEqual(vector, makeVector(entry.id));
        ids.add(entry.id);
      });
      assert.deepEqual({ unusable, complete }, { unusable: 0, complete: true });
      for (let id = firstId; id <= upTo; id++) assert.ok(ids.has(id), `${id} was acknowledged`);
      await assertAllLeadsSomewhere(store);
    }
    assert.ok(acknowledged > 50, `only ${acknowledged} entries were written at all`);
  });
});

Deno.test("sharing: a restart finds what was stored, and none that was invalidated meanwhile", async () => {
  await withFile(async (url) => {
    {
      using store = await openStore(url);
      await using before = gatewayOn(store, 1);
      for (let id = 1; id <= 1_000; id++) before.gateway.store(id);
      await before.gateway.shared.saveState("learnt", "x".repeat(200_000));
    }
    {
      using store = await openStore(url);
      await using meanwhile = gatewayOn(store, 2);
      await meanwhile.gateway.invalidate(EVEN);
    }
    using store = await openStore(url);
    await using after = gatewayOn(store, 3);
    const { gateway } = after;
    const loaded = await gateway.shared.load((entry, vector) => {
      assertWhole(entry);
      assert.deepEqual(vector, makeVector(entry.id));
      assert.ok(gateway.local.put(entry, Date.now()).stored);
    });
    assert.deepEqual(loaded, {
      entries: 500,
      vectors: 500,
      outdated: 500,
      unusable: 0,
      complete: true,
    });
    assert.equal(gateway.local.stats().entries, 500);
    assert.equal(await gateway.shared.loadState("learnt"), "x".repeat(200_000));
    assert.equal(await gateway.serve(2), null);
    assert.notEqual(await gateway.serve(3), null);
  });
});

/** Lets a process write until it has said so a few times, kills it, and says how far it was. */
async function writeAndKill(url: string, firstId: number, lines: number): Promise<number> {
  await using process = spawn(url, firstId);
  let seen = 0;
  let upTo = firstId - 1;
  await process.line((line) => {
    if (line.type !== "written") return false;
    upTo = line.upTo;
    return ++seen >= lines;
  });
  process.kill();
  return upTo;
}

/** What leads to an entry leads to one that is there: heads are written with it, never after. */
async function assertAllLeadsSomewhere(store: Store): Promise<void> {
  const kinds = [LAYOUT.canonical("").slice(0, -1), LAYOUT.id(0).slice(0, -1)];
  for (const prefix of kinds) {
    for await (const { key, value } of store.list({ prefix }, { batchSize: 500 })) {
      const head = decodeEntryHead((await store.get(LAYOUT.head(String(value)))).value);
      assert.ok(head !== null, `${key} leads to nothing`);
    }
  }
}

interface Running extends AsyncDisposable {
  readonly gateway: Gateway;
}

function gatewayOn(store: Store, seed: number): Running {
  const gateway = new Gateway(store, systemClock, seed).start();
  return { gateway, [Symbol.asyncDispose]: () => gateway.shared.close() };
}

interface Process extends AsyncDisposable {
  /** Waits for a line; fails if the process ends first. */
  line(isIt: (line: SharingLine) => boolean): Promise<void>;
  /** Kills it, without any notice. */
  kill(): void;
}

function spawn(url: string, firstId: number): Process {
  const main = import.meta.resolve("../support/sharing_main.ts");
  const config = new URL("../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "--no-prompt",
      "-RW",
      `--config=${config}`,
      main,
      url,
      `${firstId}`,
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  const kill = (): void => signalIfThere(child, "SIGKILL");
  return {
    kill,
    async line(isIt) {
      for (;;) {
        const { value, done } = await lines.read();
        if (done) throw new Error("Cannot read a line: the process has ended");
        if (isIt(JSON.parse(value))) return;
      }
    },
    async [Symbol.asyncDispose]() {
      kill();
      await lines.cancel();
      await child.status;
    },
  };
}

/** Waits; the bound is there to end a test that hangs. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (let looks = 0; !holds(); looks++) {
    assert.ok(looks < 3_000, `it never came that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function withFile(run: (url: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(`file:${folder}/cache.kv`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
