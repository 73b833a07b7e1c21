/**
 * Starts the worker of a local model.
 *
 * @module
 */
import type { FromModel, ModelWorker, ModelWorkerEvents } from "./model_messages.ts";

/**
 * Starts a worker that may read one directory and load native code, and nothing
 * else: no network, no environment, no writing, no programs.
 *
 * @throws {Deno.errors.NotCapable} If this process may not do as much.
 */
export function startModelWorker(directory: string, events: ModelWorkerEvents): ModelWorker {
  const worker = new Worker(new URL("./local_model_worker.ts", import.meta.url), {
    type: "module",
    name: "local-model",
    deno: {
      permissions: {
        read: [directory],
        // The library's place depends on the package cache; it is the process's flag that says.
        ffi: "inherit",
        net: false,
        env: false,
        run: false,
        sys: false,
        write: false,
        import: false,
      },
    },
  });
  worker.onmessage = (event: MessageEvent<FromModel>) => events.onMessage(event.data);
  worker.onerror = (event) => {
    event.preventDefault(); // It would end this process as well.
    events.onCrash(event.message);
  };
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
  };
}
