/**
 * The body of an enqueue: messages, and what is committed together with them.
 *
 * @module
 */
import { KvError } from "../../errors.ts";
import { withPrefix } from "../../keyspace/spaces.ts";
import type { Check, Command, Database, Encoding, KvValue, Mutation } from "../../types.ts";
import { STAMP_BYTES } from "../../types.ts";
import type { NewMessage } from "../queue_command.ts";
import { DEFAULT_BACKOFF_MS } from "../queue_options.ts";
import { bytesOf, Fields } from "./fields.ts";

const ENCODINGS: readonly number[] = [1, 2, 3];
const MUTATION_FIELDS = ["type", "key", "value", "expiresAt", "min", "max", "clamp"];
const STAMP = /^[0-9a-f]{20}$/;
/** What fits in the four bytes that a wait is kept in; the limits allow less. */
const WAIT_MS_MAX = 2 ** 32 - 1;

/** What is to be enqueued. */
export interface EnqueueBody {
  /** At least one. */
  readonly messages: readonly NewMessage[];
  /** Checks and mutations beside them, with complete keys. */
  readonly command: Command;
}

/**
 * Reads the body of an enqueue. How much may be asked for at once is judged elsewhere,
 * but for the numbers of things, which bound the work here.
 *
 * @throws {KvError} `bad_request` or `limit_exceeded`.
 */
export function readEnqueue(body: Uint8Array, database: Database): EnqueueBody {
  const fields = Fields.ofBody(body, ["messages", "checks", "mutations"]);
  const { limits } = database;
  const space = database.prefixOf("data");
  const messages = fields.list("messages", limits.mutationsMax, readMessage);
  if (messages.length === 0) throw fields.wrong("messages", "a list with at least one message");
  return {
    messages,
    command: {
      checks: fields.list("checks", limits.checksMax, (value, path) => {
        return readCheck(value, path, space);
      }),
      mutations: fields.list("mutations", limits.mutationsMax, (value, path) => {
        return readMutation(Fields.of(value, path, MUTATION_FIELDS), space);
      }),
    },
  };
}

function readMessage(value: unknown, path: string): NewMessage {
  const fields = Fields.of(value, path, ["value", "delayMs", "backoffMs", "undeliveredKeys"]);
  return {
    payload: readValue(fields),
    delayMs: fields.integerOr("delayMs", 0, Number.MAX_SAFE_INTEGER, 0),
    backoffMs: fields.has("backoffMs")
      ? fields.list("backoffMs", WAIT_MS_MAX, readWait)
      : DEFAULT_BACKOFF_MS,
    undeliveredKeys: fields.list("undeliveredKeys", WAIT_MS_MAX, bytesOf),
  };
}

function readWait(value: unknown, path: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= WAIT_MS_MAX) {
    return value;
  }
  throw new KvError("bad_request", `Cannot read body: ${path} has to be whole milliseconds from 0`);
}

function readCheck(value: unknown, path: string, space: Uint8Array): Check {
  const fields = Fields.of(value, path, ["key", "versionstamp"]);
  const key = withPrefix(space, fields.bytes("key"));
  if (!fields.has("versionstamp")) return { key, stamp: null };
  const text = fields.text("versionstamp");
  if (!STAMP.test(text)) {
    throw fields.wrong("versionstamp", `${2 * STAMP_BYTES} hexadecimal digits, or null`);
  }
  return { key, stamp: Uint8Array.fromHex(text) };
}

function readMutation(fields: Fields, space: Uint8Array): Mutation {
  const key = withPrefix(space, fields.bytes("key"));
  const type = fields.text("type");
  switch (type) {
    case "set":
    case "set_suffixed": {
      const expiresMs = fields.has("expiresAt")
        ? fields.integer("expiresAt", 0, Number.MAX_SAFE_INTEGER)
        : null;
      return { type, key, value: readValue(fields), expiresMs };
    }
    case "delete":
      return { type, key };
    case "sum": {
      const min = fields.bytesOrNull("min");
      const max = fields.bytesOrNull("max");
      const bounds = { min, max, clamp: fields.flag("clamp") };
      return { type, key, value: readValue(fields), bounds };
    }
    case "min":
    case "max":
      return { type, key, value: readValue(fields) };
    default:
      throw fields.wrong("type", "set, set_suffixed, delete, sum, min or max");
  }
}

function readValue(parent: Fields): KvValue {
  const fields = parent.object("value", ["data", "encoding"]);
  const encoding = fields.integer("encoding", 1, 3);
  if (!isEncoding(encoding)) throw fields.wrong("encoding", "1, 2 or 3");
  return { data: fields.bytes("data"), encoding };
}

function isEncoding(value: number): value is Encoding {
  return ENCODINGS.includes(value);
}
