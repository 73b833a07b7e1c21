/**
 * Writes the replies of one connection, one after the other.
 *
 *     idle --send--> writing --all taken--> idle                      (bytes, text)
 *       |
 *       +----send--> pulling --slices--> writing --all taken--> pulling  (stream)
 *                       |----null------> last chunk -----------> idle
 *                       +----rejects---> cut: no last chunk
 *
 * One write is out at a time, and a stream is asked for more only after its last
 * piece has been taken, so a slow reader pauses whoever feeds the stream. What
 * one pull gave leaves in one write, the first together with the head if it is
 * there at once.
 *
 * @module
 */

import type { Reply, StreamSource } from "../ports.ts";
import {
  BODILESS,
  CHUNK_FRAME_BYTES,
  CHUNKED,
  endChunk,
  headBoundBytes,
  type ReplyHeadEncoder,
  startChunk,
  UNTIL_CLOSE,
} from "./reply_head.ts";
import type { BufferPool } from "./slab.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Who is told how writing goes. */
export interface WriterOwner {
  /** The 100 has left; a reply can be sent now. */
  onContinueWritten(): void;
  /** The reply has left, all of it. */
  onWritten(): void;
  /** The stream broke; all it had given has left. */
  onCut(): void;
  /** The client does not take what is written. */
  onWriteFailed(): void;
}

/** What all connections share. */
export interface WriterTools {
  /** Writes heads. */
  readonly heads: ReplyHeadEncoder;
  /** Where buffers come from. */
  readonly buffers: BufferPool;
}

/** What the writer has to know of the request and its connection. */
export interface ReplyFraming {
  /** The request's method: HEAD gets no body. */
  readonly method: string;
  /** HTTP/1.0 does not know chunks. */
  readonly minorVersion: number;
  /** Whether the connection is to stay open. */
  readonly keep: boolean;
}

/** So much of a body is copied behind its head, to leave in one write. */
const JOINED_BYTES_MAX = 65_536;
/** Turns of the microtask queue that a first piece has to be there and join the head. */
const JOIN_TURNS = 12;

const CONTINUE = new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n");
const LAST_CHUNK = new TextEncoder().encode("0\r\n\r\n");
const encoder = new TextEncoder();

/** Writes replies to one socket. */
export class ReplyWriter {
  readonly #socket: Deno.TcpConn;
  readonly #owner: WriterOwner;
  readonly #tools: WriterTools;
  /** Where the bytes being written are; `null` while none are. */
  #view: Bytes | null = null;
  /** What they lie in, to be given back. */
  #buffer: Bytes | null = null;
  /** What follows without a copy. */
  #rest: Bytes | null = null;
  #source: StreamSource | null = null;
  #chunked = false;
  /** The bytes of a head that has not left, at the front of `#headBuffer`. */
  #headBytes = 0;
  #headBuffer: Bytes | null = null;
  #pulling = false;
  /** What was pulled while the head was being written, if `#arrived`. */
  #pulled: readonly Bytes[] | null = null;
  #arrived = false;
  #ending: "no" | "proper" | "cut" = "no";
  #active = false;
  #closed = false;
  #serial = 0;
  readonly #onWritten: (count: number) => void;
  readonly #onFailed: () => void;
  readonly #onPulled: (slices: readonly Bytes[] | null) => void;
  readonly #onPullFailed: () => void;

  /** Writes nothing yet. */
  constructor(socket: Deno.TcpConn, owner: WriterOwner, tools: WriterTools) {
    this.#socket = socket;
    this.#owner = owner;
    this.#tools = tools;
    // Made once: a write then costs one promise and no closure.
    this.#onWritten = (count) => this.#advance(count);
    this.#onFailed = () => {
      this.#release();
      if (!this.#closed) this.#owner.onWriteFailed();
    };
    this.#onPulled = (slices) => {
      if (slices === null) this.#ending = "proper";
      this.#takePulled(slices);
    };
    this.#onPullFailed = () => {
      this.#ending = "cut";
      this.#takePulled(null);
    };
  }

  /** Whether bytes wait for the client to take them. */
  get writing(): boolean {
    return this.#view !== null;
  }

  /** Grows with every write: the same number for long, while `writing`, is a client that stalls. */
  get serial(): number {
    return this.#serial;
  }

  /** Tells the client to send its body. */
  sendContinue(): void {
    if (this.#view === null && !this.#active) this.#write(CONTINUE, CONTINUE.length, null);
  }

  /**
   * Sends a reply; the owner is told when it has left. Not to be called while
   * {@linkcode writing}.
   *
   * @throws {TypeError} If its headers or status cannot be sent; nothing has been written then.
   */
  send(reply: Reply, framing: ReplyFraming): void {
    const { body, status } = reply;
    this.#ending = "no";
    const bodiless = status === 204 || status === 304;
    if (!isSource(body)) {
      if (bodiless) this.#sendHead(reply, framing, BODILESS);
      else if (typeof body === "string") this.#sendText(reply, framing, body);
      else this.#sendBytes(reply, framing, body ?? new Uint8Array(0));
      return;
    }
    if (bodiless || framing.method === "HEAD") {
      cancelSource(body);
      const length = framing.minorVersion === 0 ? UNTIL_CLOSE : CHUNKED;
      this.#sendHead(reply, framing, bodiless ? BODILESS : length);
      return;
    }
    this.#sendStream(reply, framing, body);
  }

  /** Forgets what is under way; nobody is told anything more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const source = this.#source;
    this.#source = null;
    this.#rest = null;
    this.#pulled = null;
    if (this.#headBuffer !== null) this.#tools.buffers.give(this.#headBuffer);
    this.#headBuffer = null;
    if (source !== null) cancelSource(source);
  }

  #sendHead(reply: Reply, framing: ReplyFraming, length: number): void {
    const buffer = this.#tools.buffers.take(headBoundBytes(reply));
    const count = this.#tools.heads.encode(buffer, reply, length, framing.keep);
    this.#write(buffer, count, buffer);
  }

  #sendBytes(reply: Reply, framing: ReplyFraming, body: Bytes): void {
    if (framing.method === "HEAD") return this.#sendHead(reply, framing, body.length);
    const joinedBytes = Math.min(body.length, JOINED_BYTES_MAX);
    const buffer = this.#tools.buffers.take(headBoundBytes(reply) + joinedBytes);
    const count = this.#tools.heads.encode(buffer, reply, body.length, framing.keep);
    buffer.set(joinedBytes === body.length ? body : body.subarray(0, joinedBytes), count);
    if (joinedBytes < body.length) this.#rest = body.subarray(joinedBytes);
    this.#write(buffer, count + joinedBytes, buffer);
  }

  /** The body is encoded behind the room for the head, then moved up to it. */
  #sendText(reply: Reply, framing: ReplyFraming, body: string): void {
    if (body.length * 3 > JOINED_BYTES_MAX) {
      return this.#sendBytes(reply, framing, encoder.encode(body));
    }
    const bound = headBoundBytes(reply);
    const buffer = this.#tools.buffers.take(bound + body.length * 3);
    const { written } = encoder.encodeInto(body, buffer.subarray(bound));
    let count = this.#tools.heads.encode(buffer, reply, written, framing.keep);
    if (framing.method !== "HEAD") {
      buffer.copyWithin(count, bound, bound + written);
      count += written;
    }
    this.#write(buffer, count, buffer);
  }

  #sendStream(reply: Reply, framing: ReplyFraming, source: StreamSource): void {
    this.#chunked = framing.minorVersion > 0;
    const length = this.#chunked ? CHUNKED : UNTIL_CLOSE;
    const buffer = this.#tools.buffers.take(headBoundBytes(reply));
    this.#headBytes = this.#tools.heads.encode(buffer, reply, length, framing.keep);
    this.#headBuffer = buffer;
    this.#source = source;
    this.#pull();
    this.#waitForFirst(JOIN_TURNS);
  }

  /** Sends the head by itself once it is clear that the first piece is not there. */
  #waitForFirst(turns: number): void {
    if (this.#headBuffer === null || !this.#pulling) return;
    if (turns > 0) return queueMicrotask(() => this.#waitForFirst(turns - 1));
    const buffer = this.#headBuffer;
    this.#headBuffer = null;
    this.#write(buffer, this.#headBytes, buffer);
  }

  #pull(): void {
    if (this.#source === null) return;
    this.#pulling = true;
    try {
      this.#source.pull().then(this.#onPulled, this.#onPullFailed);
    } catch {
      queueMicrotask(this.#onPullFailed);
    }
  }

  #takePulled(slices: readonly Bytes[] | null): void {
    this.#pulling = false;
    if (this.#source === null) return; // Cancelled meanwhile.
    if (this.#view === null) return this.#sendPulled(slices);
    this.#arrived = true; // The head is still being written.
    this.#pulled = slices;
  }

  /** Writes what a pull gave, behind the head if that has not left. */
  #sendPulled(slices: readonly Bytes[] | null): void {
    let sizeBytes = 0;
    if (slices !== null) { for (const slice of slices) sizeBytes += slice.length; }
    // An empty chunk would be the last one.
    if (this.#ending === "no" && sizeBytes === 0) return this.#pull();
    const headBytes = this.#headBuffer === null ? 0 : this.#headBytes;
    const last = this.#ending === "proper" && this.#chunked;
    if (this.#ending !== "no" && headBytes === 0 && !last) return this.#finish();

    const buffer = this.#tools.buffers.take(headBytes + sizeBytes + CHUNK_FRAME_BYTES);
    let at = 0;
    if (this.#headBuffer !== null) {
      buffer.set(this.#headBuffer.subarray(0, headBytes));
      this.#tools.buffers.give(this.#headBuffer);
      this.#headBuffer = null;
      at = headBytes;
    }
    if (slices !== null) at = this.#putSlices(buffer, at, slices, sizeBytes);
    else if (last) {
      buffer.set(LAST_CHUNK, at);
      at += LAST_CHUNK.length;
    }
    this.#write(buffer, at, buffer);
  }

  #putSlices(buffer: Bytes, start: number, slices: readonly Bytes[], sizeBytes: number): number {
    let at = this.#chunked ? startChunk(buffer, start, sizeBytes) : start;
    for (const slice of slices) {
      buffer.set(slice, at);
      at += slice.length;
    }
    return this.#chunked ? endChunk(buffer, at) : at;
  }

  #write(bytes: Bytes, count: number, pooled: Bytes | null): void {
    this.#active = bytes !== CONTINUE;
    this.#buffer = pooled;
    this.#view = count === bytes.length ? bytes : bytes.subarray(0, count);
    this.#serial++;
    this.#socket.write(this.#view).then(this.#onWritten, this.#onFailed);
  }

  #advance(count: number): void {
    const view = this.#view;
    if (view !== null && !this.#closed && count < view.length) {
      this.#view = view.subarray(count);
      this.#serial++;
      this.#socket.write(this.#view).then(this.#onWritten, this.#onFailed);
      return;
    }
    this.#release();
    if (!this.#closed) this.#next();
  }

  #release(): void {
    if (this.#buffer !== null) this.#tools.buffers.give(this.#buffer);
    this.#buffer = null;
    this.#view = null;
  }

  /** All that was to be written has been taken: what comes now? */
  #next(): void {
    if (!this.#active) return this.#owner.onContinueWritten();
    const rest = this.#rest;
    if (rest !== null) {
      this.#rest = null;
      return this.#write(rest, rest.length, null);
    }
    if (this.#source === null) return this.#finish();
    if (this.#arrived) {
      this.#arrived = false;
      const slices = this.#pulled;
      this.#pulled = null;
      return this.#sendPulled(slices);
    }
    if (this.#pulling) return; // That was the head alone.
    if (this.#ending !== "no") return this.#finish();
    this.#pull();
  }

  #finish(): void {
    this.#active = false;
    this.#source = null;
    if (this.#ending === "cut") this.#owner.onCut();
    else this.#owner.onWritten();
  }
}

/** Whether a body comes piece by piece. */
export function isSource(body: Reply["body"]): body is StreamSource {
  return body !== null && typeof body !== "string" && !(body instanceof Uint8Array);
}

/** Tells a stream that nobody reads on; its mistakes are its own. */
export function cancelSource(source: StreamSource): void {
  try {
    source.cancel();
  } catch { /* The connection is over either way. */ }
}
