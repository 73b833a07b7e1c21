/**
 * An index in real workers, with no more permissions than it needs.
 *
 * A worker has none at all unless the native library is used (its one file) or
 * the index is kept (its one directory). The native library is trusted code that
 * no permission holds back, which is why `--allow-ffi` has to be given for it.
 *
 * @module
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { VectorClient } from "./client.ts";
import type { Spawn } from "./link.ts";
import type { FromWorker } from "./messages.ts";
import type { VectorIndexOptions, WorkerVectorIndex } from "./types.ts";
import { libraryPath } from "./usearch.ts";

const WORKER_URL = new URL("./index_worker.ts", import.meta.url);

/**
 * Makes an index and starts its worker.
 *
 * What is not permitted is done without and reported: no native library, and
 * every search is a scan; no directory, and nothing is kept.
 */
export function createVectorIndex(options: VectorIndexOptions): WorkerVectorIndex {
  const native = options.native === "never" ? null : permittedLibrary(options);
  const directory = options.directory === null ? null : permittedDirectory(options);
  return new VectorClient({ ...options, directory }, {
    spawn: workerSpawn(native, directory),
    native,
  });
}

/** Starts real workers that may use one library and one directory, or none. */
export function workerSpawn(native: string | null, directory: string | null): Spawn {
  const permissions: Deno.PermissionOptionsObject = {
    ffi: native === null ? false : [native],
    read: directory === null ? false : [directory],
    write: directory === null ? false : [directory],
  };
  return (listener) => {
    const worker = new Worker(WORKER_URL, {
      type: "module",
      name: "weir-vectors",
      deno: { permissions },
    });
    worker.onmessage = (event: MessageEvent<FromWorker>) => listener.message(event.data);
    worker.onerror = (event) => {
      event.preventDefault(); // Otherwise it would end the gateway too.
      listener.died(event.message);
    };
    worker.onmessageerror = () => listener.died("Message could not be read");
    return {
      post: (message, transfer) => worker.postMessage(message, transfer),
      end: () => worker.terminate(),
    };
  };
}

/** What has to be permitted for workers, and for the native library in them. */
export function vectorFlags(): string[] {
  const library = libraryPath();
  const source = `--allow-read=${dirname(dirname(fileURLToPath(import.meta.url)))}`;
  return library === null ? [source] : [source, `--allow-ffi=${library}`];
}

function permittedLibrary(options: VectorIndexOptions): string | null {
  const path = libraryPath();
  const state = path === null ? null : Deno.permissions.querySync({ name: "ffi", path }).state;
  if (state === "granted") return path;
  const message = path === null
    ? "The package holds no library for this system"
    : `Loading it is not permitted: --allow-ffi=${path}`;
  options.onEvent({ type: "native_unavailable", message });
  return null;
}

function permittedDirectory(options: VectorIndexOptions): string | null {
  const path = options.directory ?? "";
  const isPermitted = (["read", "write"] as const).every((name) =>
    Deno.permissions.querySync({ name, path }).state === "granted"
  );
  if (isPermitted) return path;
  const message =
    `Using the directory is not permitted: --allow-read=${path} --allow-write=${path}`;
  options.onEvent({ type: "save_failed", message });
  return null;
}
