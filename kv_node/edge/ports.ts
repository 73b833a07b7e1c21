/**
 * What the listener for KV Connect needs of the rest of a node, and nothing more.
 *
 * @module
 */
import type { Reply, ServerRequest } from "../../src/ports.ts";
import type { KvError } from "../errors.ts";
import type { Command, Database, Limits, ReadRange } from "../types.ts";

/** The databases of a node. */
export interface Databases {
  /** The one of that name, or `null` if there is none. Called for every request: a look-up. */
  find(name: string): Database | null;
  /**
   * The one of that name, created if that is allowed.
   *
   * @throws {KvError} `not_found` if it is not, `starting` and the like while it cannot.
   */
  open(name: string): Promise<Database>;
}

/** Who may use which database. */
export interface AccessControl {
  /**
   * Judges an access token, in constant time.
   *
   * @param bearer What the client sent, or `null`.
   * @returns `"ok"`, or why not.
   */
  check(bearer: string | null, databaseName: string): "ok" | KvError;
  /** Rises when tokens that were given out for this database are to be worth nothing. */
  epochOf(databaseId: string): number;
}

/** Refuses what asks for more than a database's limits; every one throws a `KvError`. */
export interface LimitChecks {
  /** A read. */
  ranges(ranges: readonly ReadRange[], limits: Limits): void;
  /** A commit. */
  command(command: Command, limits: Limits): void;
  /** A watch, by its complete keys. */
  watch(keys: readonly Uint8Array[], limits: Limits): void;
}

/** Where a database can be reached, for its clients' data path. */
export interface Endpoint {
  /** Absolute, without a slash at its end. */
  readonly url: string;
  /** Whether it answers with what was committed last, or with what it has. */
  readonly consistency: "strong" | "eventual";
}

/**
 * Lists the endpoints of a database, at least one of them strong.
 *
 * @param userAgent What the client calls itself, or "": stock clients choose differently.
 * @param host Host and port that the client asked for, checked.
 */
export type Endpoints = (
  database: Database,
  userAgent: string,
  host: string,
) => readonly Endpoint[];

/** What kind of request was answered. */
export type RequestKind = "metadata" | "read" | "write" | "watch" | "route" | "other";

/** Told what happens; none of it may throw. */
export interface EdgeMetrics {
  /** A request was answered; of a watch, that it has begun. */
  answered(kind: RequestKind, status: number): void;
  /** Bytes of a body came in, or go out. */
  transferred(direction: "in" | "out", sizeBytes: number): void;
  /** A request was refused for a limit, such as `valueBytesMax`. */
  limitRefused(limit: string): void;
  /** So many watches are open now. */
  watches(open: number): void;
  /** Something was thrown that nobody should have thrown. */
  fault(error: unknown): void;
}

/** A request for a part of the node beside KV Connect; its token was checked. */
export interface EdgeCall {
  /** Whose database. */
  readonly database: Database;
  /** What follows the route in the path, without its slash. */
  readonly operation: string;
  /** The request; its body is not read yet. */
  readonly request: ServerRequest;
  /**
   * Reads the body within the listener's limits.
   *
   * @throws {KvError} `too_large`, `request_timeout`, or `bad_request` if the client broke off.
   */
  readonly readBody: () => Promise<Uint8Array<ArrayBuffer>>;
}

/** Answers `POST /NAME/ROUTE/OPERATION`. */
export interface EdgeRoute {
  /**
   * Answers.
   *
   * @throws {KvError} What the client is told.
   */
  handle(call: EdgeCall): Promise<Reply>;
}
