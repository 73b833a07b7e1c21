import assert from "node:assert/strict";
import { stateRows } from "../support/kv_directory.ts";
import { spawnKvNode } from "../support/kv_node_process.ts";
import { runTool, runToolAlone, spawnTool } from "../support/kv_tool.ts";
import { signalIfThere } from "../support/process_signal.ts";
import { inFolder } from "../support/test_folder.ts";

Deno.env.set("DENO_KV_ACCESS_TOKEN", "any");

const ROWS = 60_000;
const KILLS = 30;

async function fill(url: string): Promise<void> {
  const kv = await Deno.openKv(url);
  for (let from = 0; from < ROWS; from += 500) {
    const atomic = kv.atomic();
    for (let number = from; number < from + 500; number++) {
      atomic.set(["row", number], new Uint8Array(200).fill(number));
    }
    await atomic.commit();
  }
  kv.close();
}

/** Runs a command and kills it after a share of the time that it takes. */
async function killed(
  permissions: readonly string[],
  words: readonly string[],
  afterMs: number,
): Promise<boolean> {
  const tool = spawnTool(permissions, words);
  const timer = setTimeout(() => signalIfThere(tool, "SIGKILL"), afterMs);
  const { signal } = await tool.output();
  clearTimeout(timer);
  return signal === "SIGKILL";
}

async function timeOf(run: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await run();
  return performance.now() - startMs;
}

Deno.test("kv backup killed at any moment leaves the older file whole, or the new one", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    await fill(node.url);
    const file = `${folder}/one.bak`;
    const permissions = [
      "--allow-net=127.0.0.1",
      `--allow-read=${folder}`,
      `--allow-write=${folder}`,
    ];
    const words = ["backup", file, "--admin", node.adminUrl];
    const wholeMs = await timeOf(() => runToolAlone(permissions, words));
    let [kills, partials] = [0, 0];
    for (let count = 0; count < KILLS; count++) {
      if (await killed(permissions, words, wholeMs * (count + 1) / KILLS)) kills++;
      const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
      if (names.includes("one.bak.partial")) partials++;
      assert.ok(names.includes("one.bak"));
      assert.equal((await runTool("verify", "--file", file)).code, 0);
    }
    assert.ok(kills > KILLS / 3 && partials > 2, `${kills} kills, ${partials} on the way`);
    // Nobody is in the way of the next one.
    let last = await runToolAlone(permissions, words);
    while (/another backup is under way/.test(last.err)) {
      last = await runToolAlone(permissions, words);
    }
    assert.equal(last.code, 0, last.err);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["one.bak"]);
  });
});

Deno.test("kv backup of a node that is killed at any moment leaves the older file whole", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/one.bak`;
    await using node = await spawnKvNode();
    await fill(node.url);
    assert.equal((await runTool("backup", file, "--admin", node.adminUrl)).code, 0);
    const wholeMs = await timeOf(() => runTool("backup", file, "--admin", node.adminUrl));
    let broken = 0;
    for (let count = 0; count < 10; count++) {
      const running = runTool("backup", file, "--admin", node.adminUrl);
      await new Promise((next) => setTimeout(next, wholeMs * (count + 1) / 11));
      node.kill("SIGKILL");
      const { code, err } = await running;
      if (code !== 0) {
        broken++;
        assert.match(err, /^Cannot (back up: the node broke off|reach )/);
      }
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["one.bak"]);
      assert.equal((await runTool("verify", "--file", file)).code, 0);
      await node.restart();
    }
    assert.ok(broken > 2, `${broken} were broken off`);
  });
});

Deno.test("kv restore killed at any moment leaves a directory that is whole, or that no node starts in", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    await fill(node.url);
    const file = `${folder}/one.bak`;
    assert.equal((await runTool("backup", file, "--admin", node.adminUrl)).code, 0);
    await node.stop();
    const rows = stateRows(node.folder, 1);
    const permissions = (into: string) => [
      `--allow-read=${file},${into}`,
      `--allow-write=${into}`,
    ];
    const words = (into: string) => ["restore", file, "--data", into];
    const wholeMs = await timeOf(() =>
      runToolAlone(permissions(`${folder}/first`), words(`${folder}/first`))
    );
    assert.deepEqual(stateRows(`${folder}/first`, 1), rows);
    let [whole, none, half] = [0, 0, 0];
    for (let count = 0; count < KILLS; count++) {
      const into = `${folder}/data`;
      await killed(permissions(into), words(into), wholeMs * (count + 1) / KILLS);
      const names = namesIn(into);
      if (names.includes("identity.json")) {
        whole++;
        assert.equal((await runTool("verify", "--data", into)).code, 0);
      } else {
        if (names.length > 1) {
          half++;
          await refusesToStart(into);
        } else none++;
        assert.equal((await runTool(...words(into))).code, 0);
      }
      assert.deepEqual(stateRows(into, 1), rows);
      await Deno.remove(into, { recursive: true });
    }
    assert.ok(none > 0 && half > 2, `${whole} whole, ${none} not begun, ${half} half`);
  });
});

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function refusesToStart(folder: string): Promise<void> {
  const { code, err } = await runToolAlone(
    ["--allow-net=127.0.0.1", `--allow-read=${folder},kv_node`, `--allow-write=${folder}`],
    [
      ...["--data", folder, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
      ...["--link", "127.0.0.1:0"],
    ],
  );
  assert.equal(code, 1);
  assert.match(err, /not empty and has no identity\.json/);
}
