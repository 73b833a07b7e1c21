/**
 * What the worker of the states is asked, and what it answers.
 *
 * @module
 */
import { DiskError, type DiskFailure } from "../ports.ts";
import { SnapshotError, type SnapshotHeader } from "./snapshot_format.ts";
import type { SnapshotChunk } from "./snapshot_encoder.ts";
import type { CheckpointProgress } from "./checkpointer.ts";
import { StateError, type StateFailure } from "./state_error.ts";
import type { InstalledState, InstallOptions, InstallProgress } from "./state_installer.ts";
import type { StateReport } from "./state_report.ts";

/** Every task: what is asked, and what is answered. */
export interface Tasks {
  /** Copies pages into the main file. */
  checkpoint: { readonly ask: { readonly path: string }; readonly answer: CheckpointProgress };
  /** Reads a state from end to end. */
  verify: { readonly ask: { readonly path: string }; readonly answer: StateReport };
  /** Begins a snapshot; the ask's id names it from then on. */
  snapshot: { readonly ask: { readonly path: string }; readonly answer: SnapshotHeader };
  /** Its next chunk; `null` at the end. */
  chunk: { readonly ask: { readonly session: number }; readonly answer: SnapshotChunk | null };
  /** Begins to install a snapshot; the ask's id names it from then on. */
  install: {
    readonly ask: { readonly path: string; readonly options: InstallOptions };
    readonly answer: null;
  };
  /** Takes bytes of it. */
  push: {
    readonly ask: { readonly session: number; readonly bytes: Uint8Array };
    readonly answer: InstallProgress;
  };
  /** Puts it in place of the old state. */
  finish: { readonly ask: { readonly session: number }; readonly answer: InstalledState };
  /** Ends a snapshot or an installation before its end, or after it. */
  release: { readonly ask: { readonly session: number }; readonly answer: null };
}

/** Name of a task. */
export type TaskName = keyof Tasks;

/** A task for the worker. */
export type ToWorker = {
  readonly [Name in TaskName]: {
    readonly id: number;
    readonly type: Name;
    readonly ask: Tasks[Name]["ask"];
  };
}[TaskName];

/** An error on its way between threads, which keep neither class nor fields of one. */
export interface SentError {
  /** Its class. */
  readonly name: string;
  /** Its message. */
  readonly message: string;
  /** Its kind, if it has one. */
  readonly kind: string | null;
  /** Chunk and byte, of a snapshot's error. */
  readonly place: readonly [chunk: number, offset: number] | null;
}

/** What the worker says. */
export type FromWorker =
  | { readonly id: number; readonly type: "done"; readonly answer: unknown }
  | { readonly id: number; readonly type: "failed"; readonly error: SentError };

/** Makes an error ready to be sent. */
export function sentError(error: unknown): SentError {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const kind = error instanceof DiskError || error instanceof StateError ? error.kind : null;
  const place = error instanceof SnapshotError ? [error.chunk, error.offset] as const : null;
  return { name, message, kind, place };
}

/** Makes it an error of its class again. */
export function receivedError({ name, message, kind, place }: SentError): Error {
  if (name === "DiskError") return new DiskError(kind as DiskFailure, message);
  if (name === "StateError") return new StateError(kind as StateFailure, message);
  if (place !== null) return new SnapshotError(place[0], place[1], message);
  return new Error(message);
}
