/**
 * The worker of a node's states: it copies pages, reads snapshots and installs
 * them, so that none of it holds up the event loop.
 *
 * It opens a state for one checkpoint and closes it again: between tasks it
 * holds nothing but snapshots under way. SQLite is one library in the process,
 * so two threads with a connection each are to it what any two connections are.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { encodeSnapshot, type SnapshotChunk } from "./snapshot_encoder.ts";
import type { SnapshotHeader } from "./snapshot_format.ts";
import type { CheckpointProgress } from "./checkpointer.ts";
import { STATE_FILES } from "./sqlite_state.ts";
import { StateError, stateFailure } from "./state_error.ts";
import { type InstalledState, StateInstaller } from "./state_installer.ts";
import { readMeta } from "./state_file.ts";
import { problemsOf, type StateReport } from "./state_report.ts";
import { rowsOf } from "./state_table.ts";
import { type FromWorker, sentError, type ToWorker } from "./worker_messages.ts";

/** A snapshot that is being read. */
interface Reading {
  readonly connection: DatabaseSync;
  readonly chunks: Iterator<SnapshotChunk, void>;
}

/** The part of a worker's global scope that is used. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;
const readings = new Map<number, Reading>();
const installers = new Map<number, StateInstaller>();

scope.onmessage = (event) => {
  const message = event.data;
  try {
    const answer = perform(message);
    const chunk = message.type === "chunk" ? answer as SnapshotChunk | null : null;
    say({ id: message.id, type: "done", answer }, chunk === null ? [] : [chunk.bytes.buffer]);
  } catch (error) {
    const failure = stateFailure(error, `Cannot ${message.type} state`);
    say({ id: message.id, type: "failed", error: sentError(failure) }, []);
  }
};

function say(message: FromWorker, transfer: Transferable[]): void {
  scope.postMessage(message, transfer);
}

function perform(message: ToWorker): unknown {
  switch (message.type) {
    case "checkpoint":
      return checkpoint(message.ask.path);
    case "verify":
      return verify(message.ask.path);
    case "snapshot":
      return beginSnapshot(message.id, message.ask.path);
    case "chunk":
      return nextChunk(message.ask.session);
    case "install": {
      const { path, options } = message.ask;
      installers.set(message.id, new StateInstaller(STATE_FILES, path, options));
      return null;
    }
    case "push":
      return installerOf(message.ask.session).push(message.ask.bytes);
    case "finish":
      return finish(message.ask.session);
    case "release":
      return release(message.ask.session);
  }
}

function checkpoint(path: string): CheckpointProgress {
  using connection = connect(path);
  return connection.prepare("PRAGMA wal_checkpoint(PASSIVE)")
    .get() as unknown as CheckpointProgress;
}

function verify(path: string): StateReport {
  using connection = connect(path);
  return problemsOf(connection, path);
}

/** Begins to read at the moment of the call. */
function beginSnapshot(session: number, path: string): SnapshotHeader {
  const connection = connect(path);
  try {
    connection.exec("BEGIN");
    const meta = readMeta(connection, path);
    if (meta === null) throw new StateError("foreign", `Cannot read ${path}: it is empty`);
    const { cluster, group, applied, rows } = meta;
    const header = { cluster, group, applied, rows };
    readings.set(session, { connection, chunks: encodeSnapshot(header, rowsOf(connection, path)) });
    return header;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function nextChunk(session: number): SnapshotChunk | null {
  const reading = readings.get(session);
  if (reading === undefined) throw new StateError("closed", "Cannot read snapshot: it has ended");
  const next = reading.chunks.next();
  if (next.done !== true) return next.value;
  release(session);
  return null;
}

function finish(session: number): InstalledState {
  const installed = installerOf(session).finish();
  installers.delete(session);
  return installed;
}

function release(session: number): null {
  const reading = readings.get(session);
  readings.delete(session);
  reading?.chunks.return?.();
  reading?.connection.close();
  const installer = installers.get(session);
  installers.delete(session);
  installer?.abandon();
  return null;
}

function installerOf(session: number): StateInstaller {
  const installer = installers.get(session);
  if (installer === undefined) {
    throw new StateError("closed", "Cannot install snapshot: it has ended");
  }
  return installer;
}

/** Opens a state that is there. */
function connect(path: string): DatabaseSync {
  if (!STATE_FILES.has(path)) {
    throw new StateError("missing", `Cannot open ${path}: it is not there`);
  }
  const connection = new DatabaseSync(path);
  connection.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -1024");
  return connection;
}
