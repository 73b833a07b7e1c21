/**
 * One client's session, on the server's side.
 *
 * ```
 * new ── hello ──→ greeting ── admitted ──→ open ── drain ──→ draining ──→ over
 *  └── anything else ──→ over ←── not admitted ──┘
 * ```
 *
 * Reads are answered at once, writes when they are done, in any order. What is
 * held for a client is bounded: while too many of its writes are under way, or too
 * many answers wait for it to read them, `isFull` says that nothing more is to be
 * taken from it, which its own TCP window then tells it. A watch that changes
 * faster than it is read gets only its newest values.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import type { Command, Database, Limits, Outcome, ReadRange } from "../types.ts";
import { decodeSnapshotRead, encodeReadDisabled, encodeSnapshotReadOutput } from "../wire/read.ts";
import { decodeWatch } from "../wire/watch.ts";
import { type AtomicWrite, decodeAtomicWrite, encodeAtomicWriteOutput } from "../wire/write.ts";
import {
  decodeHello,
  encodeFailure,
  encodeWelcome,
  type Hello,
  LINK_PROTOCOL,
  MESSAGE,
} from "./messages.ts";
import { SessionWatch } from "./session_watch.ts";

/** A client that was let in. */
export interface LinkAdmission {
  /** Its database. */
  readonly database: Database;
  /**
   * Whether its token still counts. Asked for every request, so a look-up at most.
   *
   * @throws {KvError} `unauthorized` if not.
   */
  confirm(): void;
}

/** Refuses what asks for more than a database's limits; every one throws a `KvError`. */
export interface LinkLimitChecks {
  /** A read. */
  ranges(ranges: readonly ReadRange[], limits: Limits): void;
  /** A commit. */
  command(command: Command, limits: Limits): void;
  /** A watch, by its complete keys. */
  watch(keys: readonly Uint8Array[], limits: Limits): void;
}

/** What clients ask for. */
export type LinkRequestKind = "read" | "write" | "watch" | "other";

/** What sessions need of the node, and their bounds. */
export interface SessionOptions {
  /**
   * Judges a client's token.
   *
   * @throws {KvError} Why it is not let in; it may also reject with one.
   */
  readonly admit: (hello: Hello) => LinkAdmission | Promise<LinkAdmission>;
  /** The database's limits. */
  readonly limitChecks: LinkLimitChecks;
  /** Makes one command of a commit that also puts messages into the queue; absent: refused. */
  readonly enqueue?: (write: AtomicWrite, database: Database) => Command;
  /** Reads and writes of one client that may be under way. */
  readonly inFlightMax: number;
  /** Watches of one client. */
  readonly watchesMax: number;
  /** Answers that may wait for one client to read them before no more is taken from it, in bytes. */
  readonly backlogBytesMax: number;
  /** Is told of every answer, with the status that it would have over HTTP; of a watch, its begin. */
  readonly answered?: (kind: LinkRequestKind, status: number) => void;
  /** Is told of what nobody should have thrown. */
  readonly fault: (error: unknown) => void;
}

/** Where a session's messages go. */
export interface SessionOutput {
  /** Bytes that were sent and have not left yet. */
  readonly waitingBytes: number;
  /** Sends a message; its body is copied. */
  send(type: number, requestId: number, body: Uint8Array): void;
  /** Says that `isFull` or `collect` should be looked at, soon. */
  wake(): void;
  /** Ends the connection as soon as all has left. */
  end(): void;
}

/** Longest message of somebody who has not been let in, in bytes. */
const STRANGER_BYTES_MAX = 4_096;
/** What protobuf adds to each of a commit's parts at most, in bytes. */
const PART_BYTES = 64;
/** Status of what went well. */
const OK = 200;
const NO_BYTES = new Uint8Array(0);

type Phase = "new" | "greeting" | "open" | "draining" | "over";

/** The server's side of one client's connection. */
export class LinkSession {
  readonly #options: SessionOptions;
  readonly #output: SessionOutput;
  readonly #watches = new Map<number, SessionWatch>();
  readonly #changed = new Set<SessionWatch>();
  #phase: Phase = "new";
  #admission: LinkAdmission | null = null;
  #inFlight = 0;

  /** Waits for a greeting. */
  constructor(options: SessionOptions, output: SessionOutput) {
    this.#options = options;
    this.#output = output;
  }

  /** Whether the client has been let in. */
  get isGreeted(): boolean {
    return this.#admission !== null;
  }

  /** Writes under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Watches it has. */
  get watches(): number {
    return this.#watches.size;
  }

  /** Whether nothing more is to be taken from the client for now. */
  get isFull(): boolean {
    return this.#phase === "greeting" || this.#inFlight >= this.#options.inFlightMax ||
      this.#output.waitingBytes >= this.#options.backlogBytesMax;
  }

  /** Longest message that makes sense from this client now, in bytes. */
  get frameBytesMax(): number {
    const limits = this.#admission?.database.limits;
    if (limits === undefined) return STRANGER_BYTES_MAX;
    const parts = limits.checksMax * (limits.keyBytesMax + PART_BYTES) +
      (limits.mutationsMax + limits.rangesMax) * PART_BYTES +
      2 * (limits.rangesMax + limits.watchedKeysMax) * (limits.readKeyBytesMax + PART_BYTES);
    // Twice the commit: what is a little too large is to be told so, not cut off.
    return STRANGER_BYTES_MAX + parts + 2 * (limits.commitBytesMax + limits.commitKeyBytesMax);
  }

  /**
   * Takes a message. Its body is a view: what outlives this call is copied.
   *
   * @throws {KvError} If the client breaks the protocol: the connection is at its end.
   */
  receive(type: number, requestId: number, body: Uint8Array): void {
    if (this.#phase === "open") {
      switch (type) {
        case MESSAGE.write:
          return this.#write(requestId, body);
        case MESSAGE.read:
          return this.#read(requestId, body);
        case MESSAGE.watch:
          return this.#watch(requestId, body);
        case MESSAGE.watch_cancel:
          return this.#dropWatch(requestId);
        case MESSAGE.ping:
          return this.#output.send(MESSAGE.pong, requestId, NO_BYTES);
        case MESSAGE.hello:
          throw new KvError("bad_request", "Cannot take a second greeting");
        default:
          return this.#fail(
            "other",
            requestId,
            new KvError("unsupported", `Cannot take a message of type ${type}: it is not known`),
          );
      }
    }
    // What comes after the end was sent before the client knew of it.
    if (this.#phase !== "new") return;
    if (type !== MESSAGE.hello) {
      throw new KvError("bad_request", "Cannot take a message: the first one has to be a greeting");
    }
    this.#phase = "greeting";
    this.#greet(decodeHello(body)).catch(this.#options.fault);
  }

  /** Sends what has changed for watches, as far as the client keeps up with reading. */
  collect(): void {
    for (const watch of this.#changed) {
      if (this.#output.waitingBytes >= this.#options.backlogBytesMax) return;
      this.#changed.delete(watch);
      try {
        this.#confirmed();
        const frame = watch.frame();
        if (frame !== null) this.#output.send(MESSAGE.watch_frame, watch.requestId, frame);
      } catch (error) {
        this.#dropWatch(watch.requestId);
        this.#fail("watch", watch.requestId, error);
      }
    }
  }

  /** Takes nothing more, answers what is under way, then says goodbye and ends. */
  drain(): void {
    if (this.#phase === "draining" || this.#phase === "over") return;
    this.#phase = "draining";
    this.#dropWatches();
    this.#leaveIfDone();
  }

  /** The connection is gone: forgets the client. */
  end(): void {
    this.#phase = "over";
    this.#dropWatches();
  }

  async #greet(hello: Hello): Promise<void> {
    try {
      if (hello.protocol !== LINK_PROTOCOL) {
        throw new KvError(
          "unsupported",
          `Cannot speak version ${hello.protocol} of the link: this node speaks ${LINK_PROTOCOL}`,
        );
      }
      const admission = await this.#options.admit(hello);
      if (this.#phase !== "greeting") return;
      this.#admission = admission;
      this.#phase = "open";
      const { id: databaseId, limits } = admission.database;
      const { inFlightMax } = this.#options;
      const welcome = { protocol: LINK_PROTOCOL, databaseId, inFlightMax, limits };
      this.#output.send(MESSAGE.welcome, 0, encodeWelcome(welcome));
    } catch (error) {
      if (this.#phase === "greeting") this.#phase = "over";
      this.#output.send(MESSAGE.refused, 0, encodeFailure(this.#told(error)));
      this.#output.end();
    } finally {
      this.#output.wake();
    }
  }

  #read(requestId: number, body: Uint8Array): void {
    try {
      const database = this.#confirmed();
      const ranges = decodeSnapshotRead(body, database.prefixOf("data"));
      this.#options.limitChecks.ranges(ranges, database.limits);
      const answer = database.readDisabled
        ? encodeReadDisabled()
        : encodeSnapshotReadOutput(database.read(ranges), { isStrong: true });
      this.#output.send(MESSAGE.read_result, requestId, answer);
      this.#options.answered?.("read", OK);
    } catch (error) {
      this.#fail("read", requestId, error);
    }
  }

  #write(requestId: number, body: Uint8Array): void {
    try {
      const database = this.#confirmed();
      // The values in it are views, and outlive the buffer that was received into.
      const command = this.#commandOf(
        decodeAtomicWrite(body.slice(), database.prefixOf("data")),
        database,
      );
      this.#options.limitChecks.command(command, database.limits);
      if (database.writeDisabled) {
        const answer = encodeAtomicWriteOutput({ type: "disabled" });
        this.#options.answered?.("write", OK);
        return this.#output.send(MESSAGE.write_result, requestId, answer);
      }
      const done = database.write(command);
      this.#inFlight++;
      done.then(
        (outcome) => this.#written(requestId, outcome),
        (error: unknown) => this.#written(requestId, null, error),
      );
    } catch (error) {
      this.#fail("write", requestId, error);
    }
  }

  #commandOf(write: AtomicWrite, database: Database): Command {
    if (write.enqueues.length === 0) return write.command;
    const { enqueue } = this.#options;
    if (enqueue !== undefined) return enqueue(write, database);
    throw new KvError("unsupported", "Cannot enqueue: this link takes no messages for queues");
  }

  #written(requestId: number, outcome: Outcome | null, error?: unknown): void {
    const wasFull = this.#inFlight-- >= this.#options.inFlightMax;
    if (outcome === null) this.#fail("write", requestId, error);
    else if (outcome.type === "invalid") {
      this.#fail("write", requestId, new KvError("invalid_mutation", outcome.message));
    } else {
      this.#output.send(MESSAGE.write_result, requestId, encodeAtomicWriteOutput(outcome));
      this.#options.answered?.("write", OK);
    }
    if (this.#phase === "draining") this.#leaveIfDone();
    else if (wasFull) this.#output.wake();
  }

  #watch(requestId: number, body: Uint8Array): void {
    try {
      const database = this.#confirmed();
      const keys = decodeWatch(body, database.prefixOf("data"));
      this.#options.limitChecks.watch(keys, database.limits);
      if (this.#watches.has(requestId)) {
        throw new KvError("bad_request", "Cannot watch: the request id is that of another watch");
      }
      const { watchesMax } = this.#options;
      if (this.#watches.size >= watchesMax) {
        throw new KvError("overloaded", `Cannot watch: ${watchesMax} watches are open already`);
      }
      const watch: SessionWatch = new SessionWatch(requestId, keys, database, () => {
        this.#changed.add(watch);
        this.#output.wake();
      });
      this.#watches.set(requestId, watch);
      this.#changed.add(watch);
      this.#output.wake();
      this.#options.answered?.("watch", OK);
    } catch (error) {
      this.#fail("watch", requestId, error);
    }
  }

  #dropWatch(requestId: number): void {
    const watch = this.#watches.get(requestId);
    if (watch === undefined) return;
    watch.end();
    this.#watches.delete(requestId);
    this.#changed.delete(watch);
  }

  #dropWatches(): void {
    for (const requestId of [...this.#watches.keys()]) this.#dropWatch(requestId);
  }

  #leaveIfDone(): void {
    if (this.#inFlight > 0) return;
    this.#phase = "over";
    this.#output.send(MESSAGE.goodbye, 0, NO_BYTES);
    this.#output.end();
  }

  #confirmed(): Database {
    const admission = this.#admission;
    if (admission === null) throw new KvError("internal", "Cannot answer: nobody was let in");
    admission.confirm();
    return admission.database;
  }

  #fail(kind: LinkRequestKind, requestId: number, error: unknown): void {
    const told = this.#told(error);
    this.#output.send(MESSAGE.error, requestId, encodeFailure(told));
    this.#options.answered?.(kind, told.status);
  }

  /** What a client is told of an error: what was not meant for it stays here. */
  #told(error: unknown): KvError {
    if (error instanceof KvError) return error;
    this.#options.fault(error);
    return new KvError("internal", "Cannot answer: an internal error; see the log of the node");
  }
}
