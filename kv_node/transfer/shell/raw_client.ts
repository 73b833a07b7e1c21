/**
 * A client of KV Connect that hands rows through as they are stored: bytes,
 * encoding and expiry, with nothing decoded.
 *
 * Everything it sends may be sent again, so what may pass (503, a connection that
 * broke) is tried some times more.
 *
 * @module
 */
import { KvError } from "../../errors.ts";
import { type Mutation, type Row, SPACE_BYTES } from "../../types.ts";
import { decodeSnapshotReadOutput, encodeSnapshotRead } from "../../wire/read.ts";
import { decodeAtomicWriteOutput, encodeAtomicWrite } from "../../wire/write.ts";
import { decodePage } from "../row_page.ts";
import { keyBehind, ROWS_ROUTE } from "../rows_route.ts";

/** How a server refused, or could not be reached. */
export class RawClientError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "RawClientError";
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;

  /** Says what failed; for a refusal in the server's own words. */
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** What the metadata exchange told. */
interface Metadata {
  readonly version: number;
  readonly databaseId: string;
  readonly token: string;
  readonly endpoint: string;
  readonly isWeir: boolean;
  readonly expiresMs: number;
}

/** Rows that were read together: all as of one moment, in key order. */
export interface RowBatch {
  /** Rows; keys as a client wrote them. */
  readonly rows: readonly Row[];
  /** Whether `expiresMs` is known; a server that is not one of ours does not tell it. */
  readonly hasExpiry: boolean;
}

const TRIES = 6;
const PAUSE_MS = 200;
const ANSWER_MS = 30_000;
/** Metadata are asked for again so long before they end, in milliseconds. */
const MARGIN_MS = 5_000;
const BATCH_ROWS = 1_000;
/** Batch of a server that may have long values and does not cut its answer short. */
const STOCK_BATCH_ROWS = 100;
/** Behind every key that a client can write. */
const LAST = new Uint8Array(SPACE_BYTES).fill(0xff);

/** Reads and writes one database. */
export class RawClient {
  readonly #url: string;
  readonly #accessToken: string | null;
  #metadata: Metadata | null = null;
  #hasAnswered = false;

  /** A database by its address; nothing is sent yet. */
  constructor(url: string, accessToken: string | null) {
    this.#url = url;
    this.#accessToken = accessToken;
  }

  /**
   * Reads all rows, batch by batch.
   *
   * @throws {RawClientError} If the server refuses or cannot be reached.
   */
  async *rows(): AsyncGenerator<RowBatch, void, undefined> {
    let start: Uint8Array = new Uint8Array(0);
    for (;;) {
      const batch = await this.#readFrom(start);
      const last = batch.rows.at(-1);
      if (last === undefined) return;
      yield batch;
      start = keyBehind(last.key);
    }
  }

  /**
   * Commits changes, all or none.
   *
   * @throws {RawClientError} If the server refuses or cannot be reached.
   */
  async write(mutations: readonly Mutation[]): Promise<void> {
    const body = encodeAtomicWrite({ command: { checks: [], mutations }, enqueues: [] });
    const answer = await this.#call(({ endpoint }) => `${endpoint}/atomic_write`, body);
    const { type } = readAnswer(() => decodeAtomicWriteOutput(answer));
    if (type === "committed") return;
    const why = type === "disabled" ? "it is closed for writing" : `the answer was ${type}`;
    throw new RawClientError(200, `Cannot write to the database: ${why}`);
  }

  async #readFrom(start: Uint8Array): Promise<RowBatch> {
    const { isWeir } = await this.#tried(() => this.#known());
    const limit = isWeir ? BATCH_ROWS : STOCK_BATCH_ROWS;
    const body = encodeSnapshotRead([{ start, end: LAST, limit, reverse: false }]);
    if (isWeir) {
      const page = await this.#call(({ endpoint }) => rowsUrl(endpoint), body);
      return { rows: readAnswer(() => decodePage(page)), hasExpiry: true };
    }
    const answer = await this.#call(({ endpoint }) => `${endpoint}/snapshot_read`, body);
    const output = readAnswer(() => decodeSnapshotReadOutput(answer));
    if (output.status === "disabled") {
      throw new RawClientError(200, "Cannot read the database: it is closed for reading");
    }
    return { rows: output.ranges[0] ?? [], hasExpiry: false };
  }

  async #call(
    urlOf: (metadata: Metadata) => string,
    body: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array> {
    return await this.#tried(async () => {
      const metadata = await this.#known();
      const { token, databaseId, version } = metadata;
      const response = await send(urlOf(metadata), token, body, {
        "content-type": "application/x-protobuf",
        "x-denokv-database-id": databaseId,
        "x-denokv-version": String(version),
      });
      return await response.bytes();
    });
  }

  async #known(): Promise<Metadata> {
    const known = this.#metadata;
    if (known !== null && known.expiresMs - MARGIN_MS > Date.now()) return known;
    const body = new TextEncoder().encode(
      JSON.stringify({ supportedVersions: [2, 3], weir: true }),
    );
    const response = await send(this.#url, this.#accessToken ?? "", body, {
      "content-type": "application/json",
    });
    this.#metadata = metadataOf(await response.text(), this.#url);
    this.#hasAnswered = true;
    return this.#metadata;
  }

  /** Tries again what may pass: a full queue, a node that starts, a connection that broke. */
  async #tried<Answer>(attempt: () => Promise<Answer>): Promise<Answer> {
    for (let count = 1;; count++) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof RawClientError) || count === TRIES) throw error;
        // Nothing listening, at the first contact, is a mistake and not a moment.
        const mayPass = error.status === 0 ? this.#hasAnswered : error.status >= 500;
        if (!mayPass) throw error;
        this.#metadata = null; // Its endpoint may be another one by now.
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** (count - 1)));
    }
  }
}

function rowsUrl(endpoint: string): string {
  return endpoint.replace(/\/[^/]*$/, `/${ROWS_ROUTE}/read`);
}

async function send(
  url: string,
  token: string,
  body: Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { ...headers, authorization: `Bearer ${token}` },
      body,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const why = cause instanceof DOMException && cause.name === "TimeoutError"
      ? "it does not answer"
      : "nothing answers there";
    const { origin } = new URL(url);
    throw new RawClientError(0, `Cannot reach ${origin}: ${why}`, { cause });
  }
  if (response.ok) return response;
  const text = (await response.text().catch(() => "")).trim();
  throw new RawClientError(response.status, text || `Cannot go on: status ${response.status}`);
}

function metadataOf(text: string, url: string): Metadata {
  const { origin } = new URL(url);
  const unfit = new RawClientError(
    200,
    `Cannot use ${origin}: what answers there does not speak KV Connect`,
  );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw unfit;
  }
  if (typeof value !== "object" || value === null) throw unfit;
  const { version, databaseId, token, endpoints, expiresAt, weir } = value as Record<
    string,
    unknown
  >;
  if (typeof version !== "number" || typeof databaseId !== "string") throw unfit;
  if (typeof token !== "string" || !Array.isArray(endpoints)) throw unfit;
  const strong = endpoints.find((one) => one?.consistency === "strong");
  if (typeof strong?.url !== "string") throw unfit;
  return {
    version,
    databaseId,
    token,
    endpoint: new URL(strong.url, url).href.replace(/\/$/, ""),
    isWeir: typeof weir === "object" && weir !== null,
    expiresMs: typeof expiresAt === "string" ? Date.parse(expiresAt) : 0,
  };
}

function readAnswer<Answer>(read: () => Answer): Answer {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof KvError)) throw cause;
    throw new RawClientError(200, cause.message, { cause });
  }
}
