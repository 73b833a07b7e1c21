/**
 * The worker that holds an index, or builds one.
 *
 * @module
 */
import { lexicalVector } from "../embed/lexical.ts";
import { openDirectory } from "./directory.ts";
import { VectorHost } from "./host.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { loadGraphs } from "./usearch.ts";

/** The part of a worker's global scope that is used here; the types are those of a page. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;

const host = new VectorHost({
  post: (message, transfer = []) => scope.postMessage(message, transfer),
  later: (run) => void setTimeout(run, 0),
  nowMs: () => performance.now(),
  embed: lexicalVector,
  graphs: loadGraphs,
  disk: (directory) => openDirectory(directory, () => scope.postMessage({ type: "alive" }, [])),
});

// Errors are not caught on purpose: they end the worker, and the client starts another.
scope.onmessage = (event) => host.handle(event.data);
