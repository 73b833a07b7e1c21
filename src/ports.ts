/**
 * The outside world as interfaces: time, chance and the network.
 *
 * Everything that decides takes these as arguments; `runtime/` implements them
 * with Deno, the simulation with virtual time and a seeded generator.
 *
 * @module
 */

/** Tells the time and wakes callers. */
export interface Clock {
  /** Milliseconds on a monotonic clock; the origin means nothing. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch: for log lines and `created` fields, never for durations. */
  wallMs(): number;
  /** Runs `run` once, `delayMs` from now, unless the returned handle is disposed first. */
  after(delayMs: number, run: () => void): Disposable;
}

/** Chance: a number in [0, 1). */
export type Random = () => number;

/** One HTTP request to a backend. */
export interface UpstreamRequest {
  /** Request method. */
  readonly method: "GET" | "POST";
  /** Absolute `http:` or `https:` URL. */
  readonly url: string;
  /** Header names in lower case; `host` and `content-length` are added by the transport. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** The whole body, or `null` for none. */
  readonly body: Uint8Array<ArrayBuffer> | null;
}

/** What came back, body still to be read. */
export interface UpstreamResponse {
  /** HTTP status. */
  readonly status: number;
  /** A header's value by lower-case name (repeated ones joined by ", "), or `null`. */
  header(name: string): string | null;
  /**
   * The next piece of the body; `null` once it has ended as its framing says
   * (content length reached, last chunk seen, or close where neither is given).
   * The bytes belong to the caller and are not touched again. Not to be called
   * again before the last call has settled; not reading pauses the sender.
   *
   * @throws {UpstreamError} If the connection was lost first.
   */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
}

/** A request on its way. */
export interface UpstreamCall {
  /**
   * Settles when the response headers have arrived.
   *
   * @throws {UpstreamError} If they never will.
   */
  readonly response: Promise<UpstreamResponse>;
  /**
   * Gives up, at any stage: closes the connection at once. Pending `response`
   * and `read()` reject with an `UpstreamError` of kind `cancelled`. Calling it
   * again, or after the end, does nothing.
   */
  cancel(): void;
}

/** Sends requests to backends. */
export interface Upstream {
  /** Starts a request; `connectMs` bounds name lookup, TCP and TLS together. */
  start(request: UpstreamRequest, options: { readonly connectMs: number }): UpstreamCall;
  /** Closes idle connections. Calls under way go on. */
  close(): void;
}

/** How a backend's connection failed. */
export type UpstreamFailure =
  | "refused"
  | "dns"
  | "tls"
  | "connect_timeout"
  | "reset"
  | "protocol"
  | "cancelled";

/** The network's part in a failed attempt. */
export class UpstreamError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "UpstreamError";
  /** How the connection failed. */
  readonly kind: UpstreamFailure;

  /** Says what failed; `message` never holds a header or a body. */
  constructor(kind: UpstreamFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Tells when a client has gone; an `AbortSignal` is one. */
export interface Departure {
  /** Whether the client is gone. */
  readonly aborted: boolean;
  /** Calls `listener` once, when the client goes. */
  addEventListener(
    type: "abort",
    listener: () => void,
    options?: { readonly once?: boolean },
  ): void;
  /** Takes the listener back. */
  removeEventListener(type: "abort", listener: () => void): void;
}

/** Header fields of a request, names in any case. */
export interface HeaderFields {
  /** A field's value (repeated ones joined by ", "), or `null`. */
  get(name: string): string | null;
  /** Whether the field is there. */
  has(name: string): boolean;
  /** Length of all names and values together, with 4 bytes a field for what is between. */
  readonly sizeBytes: number;
}

/** A client's request, whatever server it came by. */
export interface ServerRequest {
  /** Method, in upper case. */
  readonly method: string;
  /** Absolute URL. */
  readonly url: string;
  /** Header fields. */
  readonly headers: HeaderFields;
  /** Tells when the client has gone, at any time before the reply is complete. */
  readonly signal: Departure;
  /**
   * Reads the whole body.
   *
   * @returns `null` if it is longer than `bytesMax`; what is left is not read.
   * @throws {Error} If the client broke off.
   */
  bytes(bytesMax: number): Promise<Uint8Array<ArrayBuffer> | null>;
}

/** A body that comes piece by piece. */
export interface StreamSource {
  /**
   * The next bytes, at least one slice; `null` at the proper end. Called again
   * only after the last call has settled and its bytes were written.
   *
   * @throws {Error} If the stream has to be closed without its proper end.
   */
  pull(): Promise<readonly Uint8Array<ArrayBuffer>[] | null>;
  /** Nobody reads on. */
  cancel(): void;
}

/** The answer to a {@linkcode ServerRequest}. */
export interface Reply {
  /** HTTP status. */
  readonly status: number;
  /** Header fields, names in lower case; length and framing are the server's. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** The body. */
  readonly body: Uint8Array<ArrayBuffer> | string | StreamSource | null;
}

/** Turns texts into vectors whose cosine tells how near they are. */
export interface Embedder {
  /** Identity of embedder and model: vectors of two identities are never compared. */
  readonly id: string;
  /** Length of every vector. */
  readonly dims: number;
  /**
   * Embeds texts, off the event loop.
   *
   * @param deadlineMs When the vectors are of no use any more, on the clock.
   * @throws {EmbedError} If there are none, or not in time.
   */
  embed(texts: readonly string[], deadlineMs: number): Promise<readonly Float32Array[]>;
  /** Ends workers and calls under way. */
  close(): void;
}

/** Why there is no vector. */
export type EmbedFailure =
  | "late" // not by the deadline
  | "full" // too many texts are waiting
  | "open" // its breaker is open
  | "failed" // it answered with an error, or not at all
  | "dims" // a vector of another length than configured
  | "unusable" // not finite, or of no length
  | "closed";

/** A text that could not be embedded. */
export class EmbedError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "EmbedError";
  /** Why. */
  readonly kind: EmbedFailure;

  /** Says what failed; `message` never holds the text. */
  constructor(kind: EmbedFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** What is looked for: a vector, or a text that the index embeds itself. */
export type VectorQuery = { readonly text: string } | { readonly vector: Float32Array };

/** A neighbour. */
export interface VectorMatch {
  /** Key of the vector: an entry's id. */
  readonly id: number;
  /** Cosine, −1 to 1. */
  readonly similarity: number;
}

/** Counts of an index. */
export interface VectorStats {
  /** Live vectors. */
  readonly live: number;
  /** Removed vectors that still occupy a place. */
  readonly tombstones: number;
  /** Places in graph indexes. */
  readonly capacity: number;
  /** Scopes, and how many of them have a graph index. */
  readonly scopes: number;
  /** Scopes above the scan's limit. */
  readonly graphs: number;
  /** Rebuilds that were finished. */
  readonly rebuilds: number;
  /** Whether one is under way. */
  readonly rebuilding: boolean;
  /** How many changes the builder has still to replay. */
  readonly journal: number;
  /** How the last rebuild took, in seconds; `null` before the first. */
  readonly lastRebuildSeconds: number | null;
  /** Whether the native library is in use; `false` where every search is a scan. */
  readonly native: boolean;
  /** Memory of the vectors and indexes, in bytes. */
  readonly bytes: number;
}

/**
 * Vectors by scope, kept off the event loop. It may lag behind: whoever asks
 * decides by its own map which ids are alive.
 */
export interface VectorIndex {
  /**
   * The nearest vectors of a scope, nearest first, eight at most.
   *
   * @param deadlineMs When the result is of no use any more, on the clock.
   * @throws {EmbedError} If there is none, or not in time.
   */
  search(scope: string, query: VectorQuery, deadlineMs: number): Promise<readonly VectorMatch[]>;
  /** Adds a vector, some time soon; an unusable one is counted and left out. */
  add(scope: string, id: number, query: VectorQuery): void;
  /** Removes a vector, some time soon. */
  remove(scope: string, id: number): void;
  /**
   * The cosine of two texts, by the embedder of the index.
   *
   * @returns `null` if one of them has nothing to embed.
   * @throws {EmbedError} If there is none, or not in time.
   */
  compare(one: string, other: string, deadlineMs: number): Promise<number | null>;
  /** Counts, as last reported. */
  stats(): VectorStats;
  /** Ends its workers; what can be kept is saved first. */
  close(): Promise<void>;
}
