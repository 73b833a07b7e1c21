/**
 * A gateway's shared cache in a process of its own.
 *
 *     deno run … sharing_main.ts URL FIRST_ID
 *
 * Stores entries without end from an id on, every fifth one in parts, and says on
 * standard output, a line of JSON each: what is in the store for certain, what it
 * was told to invalidate, what other gateways have stored.
 *
 * @module
 */
import { openStore } from "deno-kv-compat";
import { systemClock } from "../../src/runtime/clock.ts";
import { Gateway } from "./shared_gateways.ts";

/** What it says. */
export type SharingLine =
  | { readonly type: "written"; readonly upTo: number }
  | { readonly type: "heard"; readonly tag: string | null }
  | { readonly type: "pulled"; readonly id: number };

const PAUSE_MS = 2;
/** How far it may be ahead of the store, so that nothing is dropped. */
const AHEAD_MAX = 200;

if (import.meta.main) {
  const [url = "", first = ""] = Deno.args;
  await run(url, Number(first));
}

async function run(url: string, firstId: number): Promise<void> {
  const gateway = new Gateway(await openStore(url), systemClock, firstId).start();
  let id = firstId;
  let written = 0;
  let heard = 0;
  const pulled = new Set<number>();
  for (;;) {
    if (id - firstId - written < AHEAD_MAX) {
      gateway.store(id, { textLength: id % 5 === 0 ? 150_000 : 60 });
      id++;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const { writes } = gateway.shared.stats();
    if (writes.written > written) {
      written = writes.written;
      // The queue keeps its order: these are the first ones.
      say({ type: "written", upTo: firstId + written - 1 });
    }
    for (; heard < gateway.heard.length; heard++) {
      const selector = gateway.heard[heard]?.[1];
      say({ type: "heard", tag: selector?.type === "tag" ? selector.tag : null });
    }
    for (const other of gateway.pulled.keys()) {
      if (pulled.has(other)) continue;
      pulled.add(other);
      say({ type: "pulled", id: other });
    }
  }
}

function say(line: SharingLine): void {
  // Whole at once: the reader may kill this process after any line.
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
}
