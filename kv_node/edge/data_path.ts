/**
 * The data path: reads, commits and watches of one database.
 *
 * A stock client takes every 4xx for the last word and tries every 5xx again
 * without end. So a request that can never work is a 4xx with a text, and what
 * may pass is a 503.
 *
 * Source: denoland/denokv, proto/kv-connect.md and proto/schema/datapath.proto.
 *
 * @module
 */
import type { Clock, Reply, ServerRequest } from "../../src/ports.ts";
import { KvError } from "../errors.ts";
import type { Database } from "../types.ts";
import { decodeSnapshotRead, encodeReadDisabled, encodeSnapshotReadOutput } from "../wire/read.ts";
import { decodeWatch } from "../wire/watch.ts";
import { decodeAtomicWrite, encodeAtomicWriteOutput } from "../wire/write.ts";
import type { BodyReader } from "./body.ts";
import { bearerOf, DATA_SCOPE } from "./metadata.ts";
import type { AccessControl, Databases, EdgeMetrics, LimitChecks } from "./ports.ts";
import { PROTOBUF_TYPE, protobufReply, streamReply } from "./reply.ts";
import type { TokenSigner } from "./token.ts";
import type { Watches } from "./watch.ts";

/** What the data path needs. */
export interface DataPathParts {
  /** The databases. */
  readonly databases: Databases;
  /** Checks data tokens. */
  readonly tokens: TokenSigner;
  /** Knows the epochs. */
  readonly accessTokens: AccessControl;
  /** Limits of reads, commits and watches. */
  readonly checks: LimitChecks;
  /** The present. */
  readonly clock: Clock;
  /** Told what happens. */
  readonly metrics: EdgeMetrics;
  /** Reads bodies. */
  readonly bodies: BodyReader;
  /** Where watches are kept. */
  readonly watches: Watches;
}

const STRONG = { isStrong: true } as const;

/** An operation of the data path. */
export type DataOperation = "read" | "write" | "watch";

/** The operation behind the last part of a path, or `null`. */
export function dataOperationOf(segment: string): DataOperation | null {
  switch (segment) {
    case "snapshot_read":
      return "read";
    case "atomic_write":
      return "write";
    case "watch":
      return "watch";
    default:
      return null;
  }
}

/**
 * Checks a data token and finds the database that it opens.
 *
 * @throws {KvError} `unauthorized`, or `not_found` if there is no such database.
 */
export function admit(parts: DataPathParts, name: string, request: ServerRequest): Database {
  const token = bearerOf(request.headers);
  if (token === null) {
    throw unauthorized('it has no data token; send "authorization: Bearer TOKEN", the token of');
  }
  const claims = parts.tokens.verify(token, parts.clock.wallMs());
  if (claims === "invalid") throw unauthorized("its data token was not signed here; get one by");
  if (claims === "expired") throw unauthorized("its data token has expired; get another by");
  const database = parts.databases.find(name);
  if (database === null) {
    throw new KvError("not_found", "Cannot find the database: it is not here any more");
  }
  if (claims.databaseId !== database.id || claims.scope !== DATA_SCOPE) {
    throw unauthorized("its data token is for something else; get one by");
  }
  if (claims.epoch !== parts.accessTokens.epochOf(database.id)) {
    throw unauthorized("its data token was revoked; get another by");
  }
  return database;
}

/**
 * Answers an operation.
 *
 * @throws {KvError} What the client is to be told.
 */
export async function answerOperation(
  parts: DataPathParts,
  name: string,
  operation: DataOperation,
  request: ServerRequest,
): Promise<Reply> {
  const { headers } = request;
  checkType(headers.get("content-type"));
  const version = headers.get("x-denokv-version");
  if (version !== "3" && version !== "2") throw wrongVersion(version);
  const database = admit(parts, name, request);
  if (headers.get("x-denokv-database-id") !== database.id) throw wrongDatabase();
  if (operation === "watch" && version === "2") {
    throw new KvError("bad_request", "Cannot watch: KV Connect has watches from version 3 on");
  }
  const body = await parts.bodies.read(request);
  parts.metrics.transferred("in", body.length);
  switch (operation) {
    case "read":
      return read(parts, database, body);
    case "write":
      return await write(parts, database, body);
    case "watch":
      return watch(parts, database, body, request);
  }
}

function read(parts: DataPathParts, database: Database, body: Uint8Array): Reply {
  if (database.readDisabled) return protobuf(parts, encodeReadDisabled());
  const ranges = decodeSnapshotRead(body, database.prefixOf("data"));
  parts.checks.ranges(ranges, database.limits);
  return protobuf(parts, encodeSnapshotReadOutput(database.read(ranges), STRONG));
}

async function write(
  parts: DataPathParts,
  database: Database,
  body: Uint8Array,
): Promise<Reply> {
  if (database.writeDisabled) {
    return protobuf(parts, encodeAtomicWriteOutput({ type: "disabled" }));
  }
  const { command, enqueues } = decodeAtomicWrite(body, database.prefixOf("data"));
  if (enqueues.length > 0) throw noQueues();
  parts.checks.command(command, database.limits);
  const outcome = await database.write(command);
  if (outcome.type === "invalid") throw new KvError("invalid_mutation", outcome.message);
  return protobuf(parts, encodeAtomicWriteOutput(outcome));
}

function watch(
  parts: DataPathParts,
  database: Database,
  body: Uint8Array,
  request: ServerRequest,
): Reply {
  const { checks, clock, metrics } = parts;
  const keys = decodeWatch(body, database.prefixOf("data"));
  checks.watch(keys, database.limits);
  return streamReply(parts.watches.start({
    database,
    keys,
    clock,
    signal: request.signal,
    sent: (sizeBytes) => metrics.transferred("out", sizeBytes),
    fault: (error) => metrics.fault(error),
  }));
}

function protobuf(parts: DataPathParts, body: Uint8Array<ArrayBuffer>): Reply {
  parts.metrics.transferred("out", body.length);
  return protobufReply(body);
}

function noQueues(): KvError {
  return new KvError(
    "unsupported",
    "Cannot enqueue: KV Connect has no form to take a message out of a queue again, so none is " +
      "taken in; use this node's own queue endpoint, POST /NAME/queue",
  );
}

function unauthorized(why: string): KvError {
  return new KvError("unauthorized", `Cannot let request in: ${why} the metadata exchange`);
}

function wrongDatabase(): KvError {
  return new KvError(
    "wrong_database",
    "Cannot answer for that database: x-denokv-database-id is missing or names another one than " +
      "the path; do the metadata exchange again",
  );
}

function wrongVersion(version: string | null): KvError {
  return new KvError(
    "bad_request",
    version === null
      ? 'Cannot tell the version: send "x-denokv-version: 3" (or 2), as agreed in the metadata ' +
        "exchange"
      : "Cannot speak that version of KV Connect: x-denokv-version has to be 2 or 3",
  );
}

/** A body without a type is taken for the right one: `@deno/kv` before 0.14 sends none. */
function checkType(type: string | null): void {
  if (type === PROTOBUF_TYPE || type === null) return;
  if (/^application\/x-protobuf\s*(;|$)/i.test(type)) return;
  throw new KvError(
    "unsupported_media_type",
    `Cannot read body: send Protobuf with the header "content-type: ${PROTOBUF_TYPE}"`,
  );
}
