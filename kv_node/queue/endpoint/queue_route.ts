/**
 * The queue over HTTP: `POST /NAME/queue/OPERATION`, JSON in and out.
 *
 * Values are base64 with the number of their encoding, so that any language can
 * take part. What fails is a {@linkcode KvError}; whoever mounts this turns it into
 * a status and a plain text, as for everything else of a database.
 *
 * @module
 */
import type { Departure, Reply } from "../../../src/ports.ts";
import { KvError } from "../../errors.ts";
import type { Database, KvValue } from "../../types.ts";
import type { DeadLetter } from "../dead_letters.ts";
import type { MessageQueue } from "../message_queue.ts";
import type { Delivery } from "../queue_core.ts";
import type { QueueOptions } from "../queue_options.ts";
import type { Queues } from "../queues.ts";
import { readEnqueue } from "./commit_body.ts";
import { Fields, textOf } from "./fields.ts";
import { readReceive, readSettle } from "./settle_body.ts";

/** One request to a queue, its token checked and its body read. */
export interface QueueCall {
  /** The database. */
  readonly database: Database;
  /** Its queue. */
  readonly queue: MessageQueue;
  /** The body. */
  readonly body: Uint8Array;
  /** Bounds. */
  readonly options: QueueOptions;
  /** Tells when the client has gone. */
  readonly signal: Departure;
}

/** An operation of a queue. */
export interface QueueOperation {
  /** The method. */
  readonly method: "POST";
  /** What follows `/NAME/queue/` in the path. */
  readonly suffix: string;
  /**
   * Answers.
   *
   * @throws {KvError} What the client is told.
   */
  readonly handle: (call: QueueCall) => Promise<Reply> | Reply;
}

/** Every operation. */
export const QUEUE_OPERATIONS: readonly QueueOperation[] = [
  { method: "POST", suffix: "enqueue", handle: enqueue },
  { method: "POST", suffix: "receive", handle: receive },
  { method: "POST", suffix: "settle", handle: settle },
  { method: "POST", suffix: "stats", handle: stats },
  { method: "POST", suffix: "dead/list", handle: listDead },
  { method: "POST", suffix: "dead/get", handle: getDead },
  { method: "POST", suffix: "dead/requeue", handle: requeueDead },
  { method: "POST", suffix: "dead/delete", handle: deleteDead },
];

/** What a route is made of. */
export interface QueueRouteParts {
  /** The queues. */
  readonly queues: Queues;
  /** Bounds of each. */
  readonly options: QueueOptions;
}

/** A request whose token was checked. */
export interface QueueRequest {
  /** Whose database. */
  readonly database: Database;
  /** What follows `/NAME/queue/` in the path. */
  readonly operation: string;
  /** The request; its body is not read yet. */
  readonly request: { readonly signal: Departure };
  /**
   * Reads the body within limits of size and time.
   *
   * @throws {KvError} If it is too long or does not come in time.
   */
  readonly readBody: () => Promise<Uint8Array>;
}

/** Answers `POST /NAME/queue/OPERATION`; fits where a listener mounts a route. */
export class QueueRoute {
  readonly #parts: QueueRouteParts;
  readonly #operations = new Map(QUEUE_OPERATIONS.map((each) => [each.suffix, each]));

  /** Puts it together. */
  constructor(parts: QueueRouteParts) {
    this.#parts = parts;
  }

  /**
   * Answers.
   *
   * @throws {KvError} What the client is told.
   */
  async handle(call: QueueRequest): Promise<Reply> {
    const operation = this.#operations.get(call.operation);
    if (operation === undefined) {
      const known = [...this.#operations.keys()].join(", ");
      throw new KvError(
        "not_found",
        `Cannot find that operation of a queue: there are ${known}`,
      );
    }
    const { queues, options } = this.#parts;
    const body = await call.readBody();
    const { database, request: { signal } } = call;
    return await operation.handle({ database, queue: queues.of(database), body, options, signal });
  }
}

async function enqueue({ database, queue, body }: QueueCall): Promise<Reply> {
  const { messages, command } = readEnqueue(body, database);
  const result = await queue.enqueue(messages, command);
  return result.type === "conflict"
    ? json({ ok: false, failedChecks: result.failedChecks })
    : json({ ok: true, versionstamp: result.stamp.toHex(), ids: result.ids });
}

async function receive({ queue, body, options, signal }: QueueCall): Promise<Reply> {
  const deliveries = await queue.receive(readReceive(body, options), signal);
  return json({ messages: deliveries.map(messageJson) });
}

async function settle({ queue, body, options }: QueueCall): Promise<Reply> {
  return json({ results: await queue.settle(readSettle(body, options)) });
}

function stats({ database, queue, body }: QueueCall): Reply {
  checkReadable(database);
  Fields.ofBody(body, []);
  return json(queue.stats());
}

function listDead({ database, queue, body, options }: QueueCall): Reply {
  checkReadable(database);
  const fields = Fields.ofBody(body, ["limit", "cursor", "reverse", "values"]);
  const withValue = fields.flag("values");
  const { letters, cursor } = queue.dead.list({
    limit: fields.integerOr("limit", 1, options.batchMax, options.batchMax),
    bytesMax: withValue ? options.answerBytesMax : Infinity,
    cursor: fields.has("cursor") ? fields.text("cursor") : null,
    reverse: fields.flag("reverse"),
  });
  return json({ letters: letters.map((letter) => letterJson(letter, withValue)), cursor });
}

function getDead({ database, queue, body }: QueueCall): Reply {
  checkReadable(database);
  const letter = queue.dead.get(Fields.ofBody(body, ["id"]).text("id"));
  if (letter === null) {
    throw new KvError("not_found", "Cannot find that dead letter: it is not there any more");
  }
  return json({ letter: letterJson(letter, true) });
}

async function requeueDead({ queue, body, options }: QueueCall): Promise<Reply> {
  const fields = Fields.ofBody(body, ["ids", "delayMs"]);
  const delayMs = fields.integerOr("delayMs", 0, Number.MAX_SAFE_INTEGER, 0);
  return json({ results: await queue.requeue(idsOf(fields, options), delayMs) });
}

async function deleteDead({ queue, body, options }: QueueCall): Promise<Reply> {
  const ids = idsOf(Fields.ofBody(body, ["ids"]), options);
  return json({ results: await Promise.all(ids.map((id) => queue.dead.remove(id))) });
}

function idsOf(fields: Fields, options: QueueOptions): string[] {
  return fields.list("ids", options.batchMax, textOf);
}

function messageJson({ receipt, id, message, leaseMs }: Delivery): unknown {
  return {
    receipt,
    id,
    value: valueJson(message.payload),
    attempt: message.attempts + 1,
    attemptsMax: message.backoffMs.length + 1,
    enqueuedAt: message.enqueuedMs,
    lastError: message.lastError,
    leaseMs,
  };
}

function letterJson(letter: DeadLetter, withValue: boolean): unknown {
  return {
    id: letter.id,
    messageId: letter.messageId,
    deadAt: letter.deadMs,
    enqueuedAt: letter.enqueuedMs,
    attempts: letter.attempts,
    lastError: letter.lastError,
    undeliveredKeys: letter.undeliveredKeys.map((key) => key.toBase64()),
    sizeBytes: letter.payload.data.length,
    ...(withValue ? { value: valueJson(letter.payload) } : {}),
  };
}

function valueJson({ data, encoding }: KvValue): unknown {
  return { data: data.toBase64(), encoding };
}

function checkReadable(database: Database): void {
  if (!database.readDisabled) return;
  throw new KvError("unsupported", "Cannot read the queue: the database is closed for reading");
}

const HEADERS: Reply["headers"] = [
  ["content-type", "application/json"],
  ["cache-control", "no-store"],
];

function json(value: unknown): Reply {
  return { status: 200, headers: HEADERS, body: JSON.stringify(value) };
}
