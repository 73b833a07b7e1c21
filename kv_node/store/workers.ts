/**
 * The state worker in a real worker, with no more permissions than it needs:
 * it reads and writes one folder.
 *
 * @module
 */
import type { Clock } from "../../src/ports.ts";
import { type SpawnWorker, StateWorker } from "./worker_client.ts";
import type { FromWorker } from "./worker_messages.ts";

const WORKER_URL = new URL("./state_worker.ts", import.meta.url);

/** How long a worker may have nothing to do, in milliseconds. */
const IDLE_MS = 60_000;

/**
 * Makes the worker of the states in a folder; it is started when there is something to do.
 *
 * @param folder Where all its states are.
 */
export function createStateWorker(
  folder: string,
  options: { readonly clock: Clock; readonly idleMs?: number },
): StateWorker {
  const { clock, idleMs = IDLE_MS } = options;
  return new StateWorker(spawnIn(folder), { clock, idleMs });
}

/** Starts real workers that may use one folder. */
export function spawnIn(folder: string): SpawnWorker {
  return (listener) => {
    const worker = new Worker(WORKER_URL, {
      type: "module",
      name: "weir-kv-states",
      deno: { permissions: { read: [folder], write: [folder] } },
    });
    worker.onmessage = (event: MessageEvent<FromWorker>) => listener.message(event.data);
    worker.onerror = (event) => {
      event.preventDefault(); // Otherwise it would end the node too.
      listener.died(event.message);
    };
    worker.onmessageerror = () => listener.died("a message could not be read");
    return {
      post: (message) => worker.postMessage(message),
      end: () => worker.terminate(),
    };
  };
}
