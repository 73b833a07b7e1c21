/**
 * The states' end of their worker.
 *
 * One worker serves all states of a node. It is started by the first task and
 * ended when it has had nothing to do for a while: an idle node pays for none.
 * If it dies, what it was asked fails, and the next task starts another.
 *
 * @module
 */
import type { Clock } from "../../src/ports.ts";
import { StateError } from "./state_error.ts";
import type { SnapshotChunk } from "./snapshot_encoder.ts";
import type { SnapshotHeader } from "./snapshot_format.ts";
import type { Checkpointer, CheckpointProgress } from "./checkpointer.ts";
import type { InstalledState, InstallOptions, InstallProgress } from "./state_installer.ts";
import type { StateReport } from "./state_report.ts";
import {
  type FromWorker,
  receivedError,
  type TaskName,
  type Tasks,
  type ToWorker,
} from "./worker_messages.ts";

/** A worker as the client needs it. */
export interface WorkerPort {
  /** Sends a message. */
  post(message: ToWorker): void;
  /** Ends it; nothing is heard of it afterwards. */
  end(): void;
}

/** What a worker is heard by. */
export interface WorkerListener {
  /** A message came. */
  readonly message: (message: FromWorker) => void;
  /** It broke down. */
  readonly died: (message: string) => void;
}

/** Starts a worker. */
export type SpawnWorker = (listener: WorkerListener) => WorkerPort;

/** How a worker is kept. */
export interface StateWorkerOptions {
  /** Timers. */
  readonly clock: Clock;
  /** How long it may have nothing to do before it is ended, in milliseconds. */
  readonly idleMs: number;
}

/** A task under way. */
interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A worker, with what it owes. */
interface Link {
  readonly port: WorkerPort;
  readonly pending: Map<number, Pending>;
  /** Snapshots and installations that are open. */
  readonly sessions: Set<number>;
}

/** The worker of a node's states. */
export class StateWorker implements Checkpointer {
  readonly #spawn: SpawnWorker;
  readonly #options: StateWorkerOptions;
  #link: Link | null = null;
  #idle: Disposable | null = null;
  #lastId = 0;
  #isClosed = false;

  /** Starts no worker yet. */
  constructor(spawn: SpawnWorker, options: StateWorkerOptions) {
    this.#spawn = spawn;
    this.#options = options;
  }

  /** Whether there is one now. */
  get isRunning(): boolean {
    return this.#link !== null;
  }

  /** Copies what it can of the state at `path` into its main file. */
  async checkpoint(path: string): Promise<CheckpointProgress> {
    return await this.#call(this.#linked(), "checkpoint", { path });
  }

  /**
   * Reads a state from end to end: every page, every row, every index.
   *
   * @throws {StateError} If it is no state at all.
   */
  async verify(path: string): Promise<StateReport> {
    return await this.#call(this.#linked(), "verify", { path });
  }

  /**
   * Begins a snapshot of the state at `path` as it is when the worker comes to it.
   * Commits go on; what they write cannot leave the write-ahead file until the
   * snapshot has been read or closed.
   */
  async snapshot(path: string): Promise<StateSnapshot> {
    const link = this.#linked();
    const session = this.#lastId + 1;
    link.sessions.add(session);
    try {
      const header = await this.#call(link, "snapshot", { path });
      return new StateSnapshot(header, {
        next: () => this.#callOpen(link, "chunk", { session }),
        release: () => this.#release(link, session),
      });
    } catch (error) {
      this.#forget(link, session);
      throw error;
    }
  }

  /**
   * Installs a snapshot in place of the state at `path`, which nobody may have open.
   *
   * It is durable when this settles. If it fails, or the process ends, before that,
   * the old state is there unchanged.
   *
   * @param chunks Bytes of a snapshot, in pieces of any length.
   * @throws {SnapshotError} If they are not as they were written, or not complete.
   * @throws {StateError} `foreign` if they are of another group or cluster, `busy` if
   * the old state is open.
   * @throws {DiskError} If there is no room.
   */
  async install(
    path: string,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: InstallOptions & { readonly onProgress?: (progress: InstallProgress) => void },
  ): Promise<InstalledState> {
    const { cluster, group, fromAnyCluster, onProgress } = options;
    const link = this.#linked();
    const session = this.#lastId + 1;
    link.sessions.add(session);
    try {
      await this.#call(link, "install", { path, options: { cluster, group, fromAnyCluster } });
      for await (const bytes of chunks) {
        const progress = await this.#callOpen(link, "push", { session, bytes });
        onProgress?.(progress);
      }
      return await this.#callOpen(link, "finish", { session });
    } finally {
      await this.#release(link, session);
    }
  }

  /** Ends the worker; what is under way fails. */
  close(): void {
    this.#isClosed = true;
    this.#drop("it was ended");
  }

  #linked(): Link {
    if (this.#isClosed) throw new StateError("closed", "Cannot use the state worker: it was ended");
    if (this.#link !== null) return this.#link;
    const port = this.#spawn({
      message: (message) => this.#heard(link, message),
      died: (why) => this.#died(link, why),
    });
    const link: Link = { port, pending: new Map(), sessions: new Set() };
    this.#link = link;
    return link;
  }

  /** Asks something of a worker that may have died since. */
  #callOpen<Name extends TaskName>(
    link: Link,
    type: Name,
    ask: Tasks[Name]["ask"],
  ): Promise<Tasks[Name]["answer"]> {
    if (link === this.#link) return this.#call(link, type, ask);
    return Promise.reject(new StateError("worker", "Cannot go on: the state worker has ended"));
  }

  #call<Name extends TaskName>(
    link: Link,
    type: Name,
    ask: Tasks[Name]["ask"],
  ): Promise<Tasks[Name]["answer"]> {
    const id = ++this.#lastId;
    this.#idle?.[Symbol.dispose]();
    this.#idle = null;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    link.pending.set(id, { resolve, reject });
    link.port.post({ id, type, ask } as ToWorker);
    return promise as Promise<Tasks[Name]["answer"]>;
  }

  #heard(link: Link, message: FromWorker): void {
    const pending = link.pending.get(message.id);
    link.pending.delete(message.id);
    if (message.type === "done") pending?.resolve(message.answer);
    else pending?.reject(receivedError(message.error));
    this.#watchIdle(link);
  }

  /** Ends a worker's session, if the worker is still there. */
  async #release(link: Link, session: number): Promise<void> {
    if (link === this.#link && link.sessions.has(session)) {
      // A worker that dies over it has released it.
      await this.#call(link, "release", { session }).catch(() => null);
    }
    this.#forget(link, session);
  }

  #forget(link: Link, session: number): void {
    link.sessions.delete(session);
    this.#watchIdle(link);
  }

  #watchIdle(link: Link): void {
    const isBusy = link.pending.size > 0 || link.sessions.size > 0;
    if (isBusy || link !== this.#link || this.#idle !== null) return;
    this.#idle = this.#options.clock.after(this.#options.idleMs, () => this.#drop("it was idle"));
  }

  #died(link: Link, why: string): void {
    if (link === this.#link) this.#drop(why);
  }

  #drop(why: string): void {
    this.#idle?.[Symbol.dispose]();
    this.#idle = null;
    const link = this.#link;
    this.#link = null;
    if (link === null) return;
    link.port.end();
    const error = new StateError("worker", `Cannot go on: the state worker has ended: ${why}`);
    for (const { reject } of link.pending.values()) reject(error);
    link.pending.clear();
  }
}

/** How a snapshot gets its chunks. */
interface SnapshotSource {
  next(): Promise<SnapshotChunk | null>;
  release(): Promise<void>;
}

/** A state as of one moment, as chunks; read it once, to the end, or close it. */
export class StateSnapshot implements AsyncIterable<SnapshotChunk>, AsyncDisposable {
  /** What it is of. */
  readonly header: SnapshotHeader;
  readonly #source: SnapshotSource;

  /** Use {@linkcode StateWorker.snapshot}. */
  constructor(header: SnapshotHeader, source: SnapshotSource) {
    this.header = header;
    this.#source = source;
  }

  /** Its chunks in order; each says how many of the rows have passed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<SnapshotChunk, void, undefined> {
    try {
      for (;;) {
        const chunk = await this.#source.next();
        if (chunk === null) return;
        yield chunk;
      }
    } finally {
      await this.#source.release();
    }
  }

  /** Gives up what has not been read. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#source.release();
  }
}
