import assert from "node:assert/strict";
import { findBytes, flipBit, segmentWith, stateRows } from "../support/kv_directory.ts";
import { type KvNodeProcess, spawnKvNode } from "../support/kv_node_process.ts";
import { runJson, runTool } from "../support/kv_tool.ts";
import { inFolder } from "../support/test_folder.ts";

Deno.env.set("DENO_KV_ACCESS_TOKEN", "any");

const ROWS = 60;

function valueOf(number: number): Uint8Array {
  return new TextEncoder().encode(`value number ${number}, easy to find`);
}

/** Writes rows one by one into two databases and kills the node. */
async function killedNode(): Promise<KvNodeProcess> {
  const node = await spawnKvNode();
  const kv = await Deno.openKv(node.url);
  for (let number = 0; number < ROWS; number++) await kv.set(["row", number], valueOf(number));
  kv.close();
  const other = await Deno.openKv(node.httpUrl("other"));
  await other.set(["here"], "other");
  other.close();
  node.kill("SIGKILL");
  await node.ended;
  return node;
}

async function copyOf(folder: string, to: string): Promise<string> {
  const { success } = await new Deno.Command("cp", { args: ["-r", folder, to] }).output();
  assert.ok(success);
  return to;
}

/** Every file with its content, to see that nothing was touched. */
function contentOf(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) { for (const entry of contentOf(path)) found.set(...entry); }
    else found.set(path, Deno.readFileSync(path).toBase64());
  }
  return found;
}

/** Starts a node on a directory and reads what is there. */
async function servedRows(folder: string, database: string): Promise<Map<unknown, unknown>> {
  await using node = await spawnKvNode({ folder });
  const kv = await Deno.openKv(node.httpUrl(database));
  const rows = new Map<unknown, unknown>();
  for await (const { key, value } of kv.list({ prefix: [] })) rows.set(key.at(-1), value);
  const { versionstamp } = await kv.set(["new"], 1);
  assert.match(versionstamp, /^[0-9a-f]{20}$/);
  kv.close();
  return rows;
}

function damageEntry(folder: string, number: number): void {
  const segment = segmentWith(folder, valueOf(number));
  flipBit(segment, findBytes(segment, valueOf(number)));
}

function loseState(folder: string, group: number): void {
  for (const suffix of ["", "-wal", "-shm"]) {
    Deno.removeSync(`${folder}/state/${group}.db${suffix}`);
  }
}

Deno.test("kv salvage takes everything if the state has what is damaged in the log", async () => {
  await inFolder(async (folder) => {
    await using node = await killedNode();
    const damaged = await copyOf(node.folder, `${folder}/damaged`);
    damageEntry(damaged, 20);
    const before = contentOf(damaged);
    const into = `${folder}/into`;
    const saved = await runJson("salvage", "--data", damaged, "--into", into);
    assert.equal(saved.code, 0, JSON.stringify(saved));
    assert.equal(saved.problems.length, 1);
    assert.match(saved.problems[0].file, /^wal\/\d{16}\.wal$/);
    const [, data] = saved.groups;
    assert.equal(data.rows, ROWS + 1);
    assert.deepEqual(data.missing, []);
    assert.equal(data.leftOut, 0);
    assert.deepEqual(contentOf(damaged), before);
    assert.deepEqual(stateRows(into, 1).length, ROWS + 1);
    assert.equal((await runTool("verify", "--data", into)).code, 0);
    assert.equal((await servedRows(into, "other")).get("here"), "other");
  });
});

Deno.test("kv salvage stops at a missing entry, says which, and what it left out", async () => {
  await inFolder(async (folder) => {
    await using node = await killedNode();
    const damaged = await copyOf(node.folder, `${folder}/damaged`);
    loseState(damaged, 1);
    damageEntry(damaged, 20);
    const into = `${folder}/into`;
    const saved = await runJson("salvage", "--data", damaged, "--into", into);
    assert.equal(saved.code, 1);
    assert.equal(saved.complete, false);
    const [meta, data] = saved.groups;
    assert.equal(meta.hasState, true);
    assert.equal(data.hasState, false);
    assert.deepEqual(data.missing, [{ fromIndex: 21, toIndex: 21 }]);
    assert.equal(data.applied, 20);
    assert.equal(data.leftOut, ROWS + 1 - 21);

    const told = await runTool("salvage", "--data", damaged, "--into", `${folder}/again`);
    assert.equal(told.code, 1);
    assert.match(told.err, /^group 1: the state is lost; the log alone was read$/m);
    assert.match(told.err, /^group 1: entries 21 to 21 are missing$/m);
    assert.match(told.err, /^group 1: 40 entries behind entry 20 can be read and were left out/m);

    const rows = await servedRows(into, "default");
    assert.deepEqual([...rows.keys()], Array.from({ length: 20 }, (_, number) => number));
    assert.deepEqual(rows.get(19), valueOf(19));
  });
});

Deno.test("kv salvage says what is lost at the end of a log, and of a damaged state", async () => {
  await inFolder(async (folder) => {
    await using node = await killedNode();
    // The last entry but one, with everything behind it: nothing follows in group 1.
    const damaged = await copyOf(node.folder, `${folder}/cut`);
    loseState(damaged, 1);
    const segment = segmentWith(damaged, valueOf(ROWS - 1));
    const at = findBytes(segment, valueOf(ROWS - 1));
    Deno.truncateSync(segment, at + 4);
    const cut = await runJson("salvage", "--data", damaged, "--into", `${folder}/cut-saved`);
    assert.equal(cut.code, 1);
    assert.equal(cut.groups[1].applied, ROWS - 1);

    await using again = await spawnKvNode({ folder: node.folder });
    await again.stop(); // Now all is in the main file of the state.
    const pages = await copyOf(node.folder, `${folder}/pages`);
    const state = `${pages}/state/1.db`;
    const place = findBytes(state, valueOf(30));
    const page = place - place % 4_096;
    for (let byte = 0; byte < 8; byte++) flipBit(state, page + byte, 7 - byte % 8);
    const saved = await runJson("salvage", "--data", pages, "--into", `${folder}/pages-saved`);
    assert.equal(saved.code, 1);
    assert.ok(saved.problems.some(({ file }: { file: string }) => file === "state/1.db"));
    const [, data] = saved.groups;
    assert.equal(data.rows + data.rowsLost, ROWS + 1);
    assert.ok(data.rowsLost > 0);
    assert.equal((await runTool("verify", "--data", `${folder}/pages-saved`)).code, 0);
  });
});

Deno.test("kv salvage gives databases names if their registration is lost, and never their rows to a new one", async () => {
  await inFolder(async (folder) => {
    await using node = await killedNode();
    const damaged = await copyOf(node.folder, `${folder}/damaged`);
    loseState(damaged, 0);
    // The log of group 0 as well: only its last file is left of what matters here.
    const registered = segmentWith(damaged, new TextEncoder().encode('"name":"other"'));
    flipBit(registered, findBytes(registered, new TextEncoder().encode('"name":"other"')));
    const into = `${folder}/into`;
    const saved = await runJson("salvage", "--data", damaged, "--into", into);
    assert.equal(saved.code, 1);
    assert.deepEqual(saved.renamed, ["salvaged-2"]);
    assert.equal((await servedRows(into, "default")).size, ROWS);
    assert.equal((await servedRows(into, "salvaged-2")).get("here"), "other");
    assert.equal((await servedRows(into, "other")).size, 0);
  });
});

Deno.test("kv salvage refuses a running node, and a directory that is in use", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    const running = await runTool("salvage", "--data", node.folder, "--into", `${folder}/into`);
    assert.equal(running.code, 1);
    assert.match(running.err, /a node has it open; stop that first$/);
    await node.stop();
    Deno.writeTextFileSync(`${folder}/mine.txt`, "mine");
    const used = await runTool("salvage", "--data", node.folder, "--into", folder);
    assert.equal(used.code, 1);
    assert.match(used.err, /^Cannot write into .*: it is not empty$/);
    assert.equal((await runTool("salvage", "--data", node.folder)).code, 2);
  });
});
