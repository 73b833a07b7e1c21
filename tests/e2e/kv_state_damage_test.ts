/**
 * A bit that turned in a value of a node's state: nobody is given the wrong value, and
 * what says that there is one names the file and never the key.
 */
import assert from "node:assert/strict";
import { openStore } from "../../kv_node/compat/mod.ts";
import { encodeKey } from "../../kv_node/keyspace/key_codec.ts";
import { encodeSnapshotRead } from "../../kv_node/wire/read.ts";
import { findBytes, flipBit, stateRows } from "../support/kv_directory.ts";
import { type KvNodeProcess, spawnKvNode } from "../support/kv_node_process.ts";
import { askOnce, exchangeMetadata } from "../support/kv_raw.ts";
import { runJson, runTool } from "../support/kv_tool.ts";
import { inFolder } from "../support/test_folder.ts";

Deno.env.set("DENO_KV_ACCESS_TOKEN", "any");

const ROWS = 40;
const DAMAGED = 17;

function valueOf(number: number): Uint8Array {
  return new TextEncoder().encode(`value number ${number}, easy to find`);
}

/** A node that was stopped, with one bit turned in one value. */
async function damagedNode(): Promise<KvNodeProcess> {
  const node = await spawnKvNode();
  const kv = await Deno.openKv(node.url);
  for (let number = 0; number < ROWS; number++) await kv.set(["secret", number], valueOf(number));
  kv.close();
  await node.stop();
  const state = `${node.folder}/state/1.db`;
  flipBit(state, findBytes(state, valueOf(DAMAGED)) + 9, 3);
  return node;
}

function reading(number: number): Uint8Array<ArrayBuffer> {
  const start = encodeKey(["secret", number]);
  const end = Uint8Array.of(...start, 0);
  return encodeSnapshotRead([{ start, end, limit: 1, reverse: false }]);
}

Deno.test("kv verify, backup and salvage find a bit that turned in a value of the state", async () => {
  await inFolder(async (folder) => {
    await using node = await damagedNode();
    const verified = await runJson("verify", "--data", node.folder);
    assert.equal(verified.code, 1);
    assert.deepEqual(verified.problems, [{
      file: "state/1.db",
      offset: null,
      reason: `row ${DAMAGED + 1} in the order of keys: it is not as it was written`,
    }]);

    const backup = await runTool("backup", `${folder}/file`, "--data", node.folder);
    assert.equal(backup.code, 1);
    assert.match(
      backup.err,
      /^Cannot read .*\/state\/1\.db: row 18 in the order of keys is not as/,
    );
    assert.deepEqual([...Deno.readDirSync(folder)], []);

    const into = `${folder}/into`;
    const saved = await runJson("salvage", "--data", node.folder, "--into", into);
    assert.equal(saved.code, 1);
    const [, data] = saved.groups;
    assert.deepEqual([data.rows, data.rowsLost], [ROWS - 1, 1]);
    assert.ok(saved.problems.some(({ reason }: { reason: string }) => /^row 18 in/.test(reason)));
    assert.deepEqual(stateRows(into, 1), stateRows(node.folder, 1).toSpliced(DAMAGED, 1));
    assert.equal((await runTool("verify", "--data", into)).code, 0);
    for (const { out, err } of [backup, await runTool("verify", "--data", node.folder)]) {
      assert.ok(!`${out}${err}`.includes("secret"));
    }
  });
});

Deno.test("a node refuses to read a damaged value, says so, serves the others, and takes a new one", async () => {
  await inFolder(async (folder) => {
    await using node = await damagedNode();
    await node.restart();
    const path = await exchangeMetadata(node.url);
    assert.equal((await askOnce(path, "snapshot_read", reading(DAMAGED + 1))).status, 200);
    for (let time = 0; time < 3; time++) {
      const refused = await askOnce(path, "snapshot_read", reading(DAMAGED));
      assert.equal(refused.status, 500);
      assert.match(
        refused.text,
        /^Cannot read: something that was asked for is damaged on the disk/,
      );
    }
    using store = await openStore(node.weirUrl("default"));
    await assert.rejects(store.get(["secret", DAMAGED]), /is damaged on the disk of this node/);
    assert.deepEqual((await store.get(["secret", 3])).value, valueOf(3));

    const told = node.lines.filter(({ event }) => event === "kv.problem");
    assert.equal(told.length, 1, JSON.stringify(told));
    assert.match(JSON.stringify(told), /Cannot read [^"]*\/state\/1\.db: a row is not as it was/);
    assert.ok(!JSON.stringify(told).includes("secret"));
    const status = await (await fetch(`${node.adminUrl}/status`)).json();
    assert.deepEqual([status.phase, status.damagedFiles], ["serving", ["state/1.db"]]);

    const backup = await runTool("backup", `${folder}/file`, "--admin", node.adminUrl);
    assert.equal(backup.code, 1);
    assert.match(backup.err, /^Cannot back up: state\/1\.db of the node cannot be read: damaged/);

    await store.set(["secret", DAMAGED], "new");
    assert.equal((await store.get(["secret", DAMAGED])).value, "new");
    assert.equal((await runTool("backup", `${folder}/file`, "--admin", node.adminUrl)).code, 0);
  });
});

Deno.test("a backup is what finds the damage in a node whose damaged row nobody read", async () => {
  await inFolder(async (folder) => {
    await using node = await damagedNode();
    await node.restart();
    const backup = await runTool("backup", `${folder}/file`, "--admin", node.adminUrl);
    assert.equal(backup.code, 1);
    assert.match(backup.err, /^Cannot back up: state\/1\.db of the node cannot be read: damaged/);
    const told = node.lines.filter(({ event }) => event === "kv.problem");
    assert.match(
      JSON.stringify(told),
      /state\/1\.db: row 18 in the order of keys is not as it was/,
    );
  });
});

Deno.test("kv salvage takes the rows of a state that does not know how far it is", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    const kv = await Deno.openKv(node.url);
    const { versionstamp } = await kv.set(["a"], 1);
    kv.close();
    await node.stop();
    const state = `${node.folder}/state/1.db`;
    const stamp = Uint8Array.fromHex(versionstamp);
    const cluster = new TextEncoder().encode(
      JSON.parse(Deno.readTextFileSync(`${node.folder}/identity.json`)).cluster,
    );
    // The stamp behind the cluster is that of `meta`.
    const content = Deno.readFileSync(state);
    const at = findBytes(state, cluster);
    const place = content.subarray(at, at + 80).toHex().indexOf(stamp.toHex()) / 2;
    assert.ok(Number.isInteger(place) && place > 0);
    flipBit(state, at + place + 9, 0);
    const verified = await runTool("verify", "--data", node.folder);
    assert.equal(verified.code, 1);
    assert.match(
      verified.err,
      /^state\/1\.db: Cannot open .*what it says of itself is not as it was/m,
    );
    const into = `${folder}/into`;
    const saved = await runTool("salvage", "--data", node.folder, "--into", into);
    assert.equal(saved.code, 1);
    assert.match(saved.err, /^group 1: how far the log was in the state is damaged/m);
    assert.deepEqual(stateRows(into, 1), stateRows(node.folder, 1));
    assert.equal((await runTool("verify", "--data", into)).code, 0);
  });
});
