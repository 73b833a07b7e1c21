/**
 * What waits for an answer from a node: one read or one commit.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import { MESSAGE } from "../link/messages.ts";
import type { Row } from "../types.ts";
import { decodeSnapshotReadOutput } from "../wire/read.ts";
import { decodeAtomicWriteOutput } from "../wire/write.ts";
import { StoreOperationError } from "./operation_error.ts";

/** A request with a promise behind it. */
export abstract class Operation {
  /** Type of its message. */
  abstract readonly type: number;
  /** Whether carrying it out twice is no different from once. */
  abstract readonly isRepeatable: boolean;
  /** Body of its message. */
  readonly body: Uint8Array;
  /** When it is given up, on the link's clock. */
  readonly deadlineMs: number;
  /** Rejects its promise. */
  readonly reject: (error: unknown) => void;
  /** The batch that its frame went into. */
  batch = 0;
  /** When it may be tried again, on the link's clock. */
  againMs = 0;
  /** How often it was turned away. */
  refusals = 0;
  /** Whether its promise has settled. */
  isOver = false;

  /** Begins to wait. */
  constructor(body: Uint8Array, deadlineMs: number, reject: (error: unknown) => void) {
    this.body = body;
    this.deadlineMs = deadlineMs;
    this.reject = reject;
  }

  /**
   * Takes the answer; `body` is a view that is not kept.
   *
   * @throws {KvError} If it is no answer to this: the server cannot be trusted.
   */
  answer(type: number, body: Uint8Array): void {
    if (type !== this.type + 1) {
      throw new KvError("bad_request", "Cannot read an answer: it is of another type");
    }
    this.resolveWith(body);
    this.isOver = true;
  }

  /** Gives up. */
  fail(error: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.reject(error);
  }

  /** Decodes the answer and settles the promise. */
  protected abstract resolveWith(body: Uint8Array): void;
}

/** Makes what a read resolves with of the rows of each range; the rows are views, not to be kept. */
export type RowsReader<Result> = (ranges: readonly (readonly Row[])[]) => Result;

/** A read. */
export class ReadOperation<Result> extends Operation {
  override readonly type = MESSAGE.read;
  override readonly isRepeatable = true;
  readonly #convert: RowsReader<Result>;
  readonly #resolve: (result: Result) => void;

  /** Begins to wait. */
  constructor(
    body: Uint8Array,
    deadlineMs: number,
    convert: RowsReader<Result>,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ) {
    super(body, deadlineMs, reject);
    this.#convert = convert;
    this.#resolve = resolve;
  }

  protected override resolveWith(body: Uint8Array): void {
    const { status, ranges } = decodeSnapshotReadOutput(body);
    if (status === "disabled") {
      const text = "Cannot read: the database is closed for reading";
      return this.fail(new StoreOperationError("refused", text));
    }
    try {
      this.#resolve(this.#convert(ranges));
    } catch (error) {
      // A value that cannot be read here is no reason to doubt the server.
      this.fail(error);
    }
  }
}

/** A commit: resolves with its versionstamp, or `null` if a check did not hold. */
export class WriteOperation extends Operation {
  override readonly type = MESSAGE.write;
  override readonly isRepeatable = false;
  readonly #resolve: (stamp: string | null) => void;

  /** Begins to wait. */
  constructor(
    body: Uint8Array,
    deadlineMs: number,
    resolve: (stamp: string | null) => void,
    reject: (error: unknown) => void,
  ) {
    super(body, deadlineMs, reject);
    this.#resolve = resolve;
  }

  protected override resolveWith(body: Uint8Array): void {
    const output = decodeAtomicWriteOutput(body);
    if (output.type === "committed") this.#resolve(output.stamp.toHex());
    else if (output.type === "conflict") this.#resolve(null);
    else if (output.type === "disabled") {
      this.fail(
        new StoreOperationError("refused", "Cannot commit: the database is closed for writing"),
      );
    } else throw new KvError("bad_request", "Cannot read an answer: it does not say what became");
  }
}
