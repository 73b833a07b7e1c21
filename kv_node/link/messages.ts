/**
 * Which messages travel on a link, and the bodies of those that KV Connect has
 * no form for. Numbers are never given twice; 20 to 29 are kept for queues.
 *
 * ```
 * client                              server
 * hello {protocol, database, token} → welcome {protocol, databaseId, …} or refused {code, message}
 * read   SnapshotRead               → read_result  SnapshotReadOutput   or error {code, message}
 * write  AtomicWrite                → write_result AtomicWriteOutput    or error
 * watch  Watch                      → watch_frame  WatchOutput, again and again, or error
 * watch_cancel                        (nothing)
 * ping                              → pong
 *                                     goodbye: nothing that is not answered by now was carried out
 * ```
 *
 * Requests are answered as they are done, in any order, by their ids. Bodies in
 * capitals are KV Connect's protobuf; the others are JSON, as they are rare.
 *
 * @module
 */
import { KV_STATUS, KvError, type KvErrorCode } from "../errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../types.ts";

/** The version of what is spoken here. */
export const LINK_PROTOCOL = 1;

/** Every type of message, by its number in a frame. */
export const MESSAGE = {
  hello: 1,
  welcome: 2,
  refused: 3,
  ping: 4,
  pong: 5,
  goodbye: 6,
  error: 7,
  read: 10,
  read_result: 11,
  write: 12,
  write_result: 13,
  watch: 14,
  watch_frame: 15,
  watch_cancel: 16,
} as const;

/** How a client introduces itself. */
export interface Hello {
  /** The version it speaks. */
  readonly protocol: number;
  /** Name of the database. */
  readonly database: string;
  /** The data path's token. */
  readonly token: string;
}

/** How a server greets whom it lets in. */
export interface Welcome {
  /** The version it speaks. */
  readonly protocol: number;
  /** UUID of the database. */
  readonly databaseId: string;
  /** How many reads and writes it takes at once; it reads no further while there are more. */
  readonly inFlightMax: number;
  /** What may be asked of the database at once. */
  readonly limits: Limits;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

const TEXT_CHARS_MAX = 1_024;

/** The body of a `hello`. */
export function encodeHello(hello: Hello): Uint8Array {
  return encoder.encode(JSON.stringify(hello));
}

/**
 * Reads the body of a `hello`.
 *
 * @throws {KvError} `bad_request` if it is none.
 */
export function decodeHello(body: Uint8Array): Hello {
  const { protocol, database, token } = fieldsOf(body);
  if (typeof protocol !== "number" || typeof database !== "string" || typeof token !== "string") {
    throw new KvError("bad_request", "Cannot read the greeting: a field is missing or no text");
  }
  return { protocol, database, token };
}

/** The body of a `welcome`. */
export function encodeWelcome(welcome: Welcome): Uint8Array {
  return encoder.encode(JSON.stringify(welcome));
}

/**
 * Reads the body of a `welcome`. A limit that is missing counts as Deno's own.
 *
 * @throws {KvError} `bad_request` if it is none.
 */
export function decodeWelcome(body: Uint8Array): Welcome {
  const { protocol, databaseId, inFlightMax, limits } = fieldsOf(body);
  if (typeof protocol !== "number" || typeof databaseId !== "string" || !isCount(inFlightMax)) {
    throw new KvError("bad_request", "Cannot read the welcome: a field is missing or no text");
  }
  return { protocol, databaseId, inFlightMax, limits: limitsOf(limits) };
}

/** The body of an `error` or a `refused`. */
export function encodeFailure(error: KvError): Uint8Array {
  return encoder.encode(JSON.stringify({ code: error.code, message: error.message }));
}

/** Reads the body of an `error` or a `refused`; what cannot be read is `internal`. */
export function decodeFailure(body: Uint8Array): KvError {
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = fieldsOf(body);
  } catch (cause) {
    return new KvError("internal", "Cannot read the answer: it is no failure", { cause });
  }
  const { code, message } = fields;
  const text = typeof message === "string" ? message.slice(0, TEXT_CHARS_MAX) : "";
  return new KvError(isCode(code) ? code : "internal", text === "" ? "Cannot say why" : text);
}

function fieldsOf(body: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(body));
  } catch (cause) {
    throw new KvError("bad_request", "Cannot read a message: its body is no JSON", { cause });
  }
  if (typeof value === "object" && value !== null) return { ...value };
  throw new KvError("bad_request", "Cannot read a message: its body is no object");
}

function limitsOf(given: unknown): Limits {
  const limits: Record<string, number> = { ...DEFAULT_LIMITS };
  if (typeof given === "object" && given !== null) {
    for (const [name, value] of Object.entries(given)) {
      if (name in limits && isCount(value)) limits[name] = value;
    }
  }
  return { ...DEFAULT_LIMITS, ...limits };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

function isCode(code: unknown): code is KvErrorCode {
  return typeof code === "string" && Object.hasOwn(KV_STATUS, code);
}
