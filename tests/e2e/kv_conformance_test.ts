/**
 * One suite over all stores: memory, file, the stock client and our own on a node that
 * runs as a process of its own.
 */
import { CONFORMANCE, type ConformanceCase } from "../../kv_node/compat/conformance.ts";
import { MORE_CASES } from "../../kv_node/compat/conformance_more.ts";
import { openStore } from "../../kv_node/compat/mod.ts";
import { spawnKvNode } from "../support/kv_node_process.ts";

const CASES: readonly ConformanceCase[] = [...CONFORMANCE, ...MORE_CASES];
const TOKEN = "token-of-the-suite";

Deno.test("a store in memory does what every store has to do", async (t) => {
  await runAll(t, () => "memory:");
});

Deno.test("a store in a file does what every store has to do", async (t) => {
  const folder = await Deno.makeTempDir();
  try {
    await runAll(t, (place) => `file:${folder}/store${place}.kv`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a node does what every store has to do", async (t) => {
  await using node = await spawnKvNode({ token: TOKEN });
  await t.step("to the stock client", async (t) => {
    await runAll(t, (place) => node.httpUrl(`stock${place}`));
  });
  await t.step("to its own client", async (t) => {
    await runAll(t, (place) => node.weirUrl(`own${place}`));
  });
});

/** Runs every case on the store at an address of its own. */
async function runAll(t: Deno.TestContext, urlOf: (place: number) => string): Promise<void> {
  for (const [place, { name, run }] of CASES.entries()) {
    await t.step(name, async () => {
      using store = await openStore(urlOf(place), { token: TOKEN });
      await run(store);
    });
  }
}
