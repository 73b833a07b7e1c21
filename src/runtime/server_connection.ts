/**
 * One client's connection: reads requests, has them handled, writes replies.
 *
 *     idle --first byte--> head --empty line--> busy --reply has left--> idle
 *      |                    |                    |                        (or closing)
 *      |                    +----refused---------+--> closing --client closes, 2 s--> closed
 *      +--client closes, idle too long, write fails ----------------------> closed
 *
 * While a request is handled a read is out all the time. The client's close or
 * reset therefore shows at once, at every stage, and is passed on: the request's
 * `signal` fires, its stream is cancelled, its reply is dropped. A client that
 * closes only its sending side (a half-close) counts as gone: HTTP clients do
 * not, and it cannot be told apart from a full close. Reading pauses only when
 * a client has sent ahead more than `headBytesMax` without anybody taking it.
 *
 * **Closing.** A socket that is closed with bytes unread resets the connection,
 * and the reset may overtake the reply. So the sending side is closed first and
 * what still comes is thrown away, for a while (RFC 9112, section 9.6).
 *
 * Invariant: one request at a time; the next head is not looked at before the
 * last reply has left. Nothing that happens here throws into another connection.
 *
 * @module
 */

import type { Reply } from "../ports.ts";
import type { ClosedListener, ConnectionContext, OpenConnection } from "./connection_context.ts";
import type { RequestHead } from "./http1_request_head.ts";
import { InputBuffer } from "./input_buffer.ts";
import { cancelSource, isSource, ReplyWriter, type WriterOwner } from "./reply_writer.ts";
import { RequestBody } from "./request_body.ts";
import { RequestRefusal } from "./request_refusal.ts";
import { type BodySource, IncomingRequest } from "./server_request.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const LINGER_MS = 2_000;
const LINGER_BYTES_MAX = 16 * 1_048_576;

const FAILURE: Reply = { status: 500, headers: [], body: null };

const IDLE = 0;
const HEAD = 1;
const BUSY = 2;
const CLOSING = 3;
const CLOSED = 4;

/** One client's connection. */
export class ServerConnection implements OpenConnection, WriterOwner, BodySource {
  readonly #socket: Deno.TcpConn;
  readonly #context: ConnectionContext;
  readonly #onClosed: ClosedListener;
  readonly #writer: ReplyWriter;
  #phase = IDLE;
  readonly #input: InputBuffer;
  #reading = false;
  /** Whether the read that is out goes into the body's room, not into the buffer. */
  #direct = false;
  #request: IncomingRequest | null = null;
  #head: RequestHead | null = null;
  #body: RequestBody | null = null;
  #keep = false;
  /** A reply that came while a 100 was being written. */
  #held: Reply | null = null;
  #lingeredBytes = 0;
  /** When a sweep first saw the present wait, or -1. */
  #waitingSinceMs = -1;
  #seenSerial = -1;
  readonly #onCount: (count: number | null) => void;
  readonly #onReadFailed: () => void;
  readonly #onReply: (reply: Reply) => void;
  readonly #onHandleFailed: () => void;

  /** Takes over an accepted socket; nothing happens before {@linkcode open}. */
  constructor(socket: Deno.TcpConn, context: ConnectionContext, onClosed: ClosedListener) {
    this.#onClosed = onClosed;
    this.#socket = socket;
    this.#context = context;
    this.#input = new InputBuffer(context.headBytesMax);
    this.#writer = new ReplyWriter(socket, this, context);
    // Made once: a request then costs few closures.
    this.#onCount = (count) => this.#takeRead(count);
    this.#onReadFailed = () => {
      this.#reading = false;
      this.close();
    };
    this.#onReply = (reply) => this.#answer(reply);
    this.#onHandleFailed = () => this.#answer(FAILURE);
  }

  /** Begins; `first` is what was read before, no more than 8 KiB. */
  open(first: Bytes | null = null): void {
    if (first !== null) {
      this.#input.space()?.set(first);
      this.#input.filled(first.length);
      this.#takeHead();
    }
    this.#read();
  }

  /** See {@linkcode OpenConnection.drain}; the reply to a request under way says so. */
  drain(): void {
    if (this.#phase === IDLE) this.close();
  }

  /** Closes at once: for the request under way this is a client that has gone. */
  close(): void {
    if (this.#phase === CLOSED) return;
    this.#phase = CLOSED;
    this.#socket.close();
    this.#onClosed(this);
    const request = this.#request;
    this.#dropRequest("the client has gone");
    this.#writer.close();
    if (this.#held !== null) dropReply(this.#held);
    this.#held = null;
    request?.depart();
  }

  /** Looks at the time limits; called again and again. */
  sweep(nowMs: number): void {
    const limitMs = this.#limitMs();
    if (limitMs === null) {
      this.#waitingSinceMs = -1;
      return;
    }
    if (this.#writer.writing && this.#writer.serial !== this.#seenSerial) {
      this.#seenSerial = this.#writer.serial;
      this.#waitingSinceMs = -1;
    }
    if (this.#waitingSinceMs < 0) this.#waitingSinceMs = nowMs;
    else if (nowMs - this.#waitingSinceMs >= limitMs) this.#giveUp();
  }

  /** See {@linkcode BodySource.readBody}. */
  readBody(request: IncomingRequest, bytesMax: number): Promise<Bytes | null> {
    const body = this.#body;
    if (request !== this.#request || body === null) {
      return Promise.reject(new Error("Cannot read body: the request is over"));
    }
    const none = this.#input.empty;
    const content = body.ask(bytesMax, this.#input);
    this.#feed(body);
    if (body.wanted) {
      if (none && this.#head?.expectsContinue === true) this.#writer.sendContinue();
      this.#read();
    }
    return content;
  }

  /** See {@linkcode WriterOwner.onContinueWritten}. */
  onContinueWritten(): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#send(held);
  }

  /** See {@linkcode WriterOwner.onWritten}. */
  onWritten(): void {
    this.#dropRequest("the reply has been sent");
    if (!this.#keep || this.#context.stopping) return this.#linger();
    this.#head = null;
    this.#enter(IDLE);
    if (!this.#input.empty) this.#takeHead();
    this.#read();
  }

  /** See {@linkcode WriterOwner.onCut}. */
  onCut(): void {
    this.#dropRequest("the reply has been sent");
    this.#linger();
  }

  /** See {@linkcode WriterOwner.onWriteFailed}. */
  onWriteFailed(): void {
    this.close();
  }

  #enter(phase: number): void {
    this.#phase = phase;
    this.#waitingSinceMs = -1;
  }

  /** Which limit holds now; `null` for none, as while a handler thinks. */
  #limitMs(): number | null {
    switch (this.#phase) {
      case IDLE:
        return this.#context.idleMs;
      case HEAD:
        return this.#context.headMs;
      case CLOSING:
        return LINGER_MS;
      default:
        return this.#writer.writing ? this.#context.writeMs : null;
    }
  }

  #giveUp(): void {
    if (this.#phase !== HEAD) return this.close();
    this.#refuse(new RequestRefusal(408, `its head took longer than ${this.#context.headMs} ms`));
  }

  /** Asks for bytes, unless a read is out already or there is no room for them. */
  #read(): void {
    if (this.#reading || this.#phase === CLOSED) return;
    const own = this.#input.empty ? this.#body?.space() ?? null : null;
    this.#direct = own !== null;
    const target = own ?? this.#input.space();
    if (target === null) return;
    this.#reading = true;
    this.#socket.read(target).then(this.#onCount, this.#onReadFailed);
  }

  #takeRead(count: number | null): void {
    this.#reading = false;
    if (this.#phase === CLOSED) return;
    if (count === null) return this.close();
    if (this.#phase === CLOSING) {
      this.#lingeredBytes += count;
      if (this.#lingeredBytes > LINGER_BYTES_MAX) return this.close();
    } else if (this.#direct) {
      this.#body?.filled(count);
    } else {
      this.#input.filled(count);
      if (this.#phase !== BUSY) this.#takeHead();
      else if (this.#body?.wanted === true) this.#feed(this.#body);
    }
    this.#read();
  }

  /** Gives the body what has come of it. */
  #feed(body: RequestBody): void {
    try {
      body.take(this.#input);
    } catch (cause) {
      this.#refuse(cause);
    }
  }

  /** Looks for a request in what has come, and has it handled. */
  #takeHead(): void {
    try {
      const head = this.#input.takeHead();
      if (this.#phase === IDLE && !this.#input.empty) this.#enter(HEAD);
      if (head !== null) this.#begin(head);
    } catch (cause) {
      this.#refuse(cause);
    }
  }

  #begin(head: RequestHead): void {
    const context = this.#context;
    const request = new IncomingRequest(head, this, context.authority);
    this.#head = head;
    this.#request = request;
    this.#body = new RequestBody(head.lengthBytes, head.chunked, context.slab);
    this.#enter(BUSY);
    let reply: Promise<Reply>;
    try {
      reply = context.handle(request);
    } catch {
      return this.#onHandleFailed();
    }
    reply.then(this.#onReply, this.#onHandleFailed);
  }

  #answer(reply: Reply): void {
    const body = this.#body;
    const head = this.#head;
    if (this.#request === null || body === null || head === null) return dropReply(reply);
    body.abandon("the reply came first");
    // What has come of an unread body is skipped; what has not would hold up the next request.
    if (!body.complete) this.#skip(body);
    // Without chunks a stream ends with its connection.
    const untilClose = head.minorVersion === 0 && isSource(reply.body);
    this.#keep = head.keepAlive && body.complete && !untilClose && reply !== FAILURE &&
      !this.#context.stopping;
    this.#sendSoon(reply);
  }

  #skip(body: RequestBody): void {
    try {
      body.take(this.#input);
    } catch (cause) {
      // Broken chunks that nobody wanted: the connection is closed after the reply.
      if (!(cause instanceof RequestRefusal)) throw cause;
    }
  }

  /** Answers what could not be read, and closes. */
  #refuse(cause: unknown): void {
    if (!(cause instanceof RequestRefusal)) throw cause;
    const request = this.#request;
    this.#dropRequest("it is malformed");
    this.#input.clear();
    this.#keep = false;
    this.#enter(BUSY);
    this.#sendSoon(this.#refusal(cause));
    request?.depart();
  }

  #refusal(cause: RequestRefusal): Reply {
    try {
      return this.#context.refuse(cause.status, cause.message);
    } catch {
      return { status: cause.status, headers: [], body: null };
    }
  }

  #sendSoon(reply: Reply): void {
    if (this.#writer.writing) this.#held = reply;
    else this.#send(reply);
  }

  #send(reply: Reply): void {
    const method = this.#head?.method ?? "GET";
    const minorVersion = this.#head?.minorVersion ?? 1;
    try {
      this.#writer.send(reply, { method, minorVersion, keep: this.#keep });
    } catch {
      // A reply that HTTP cannot express: the client learns that there was one, no more.
      dropReply(reply);
      this.#keep = false;
      this.#writer.send(FAILURE, { method, minorVersion, keep: false });
    }
  }

  #dropRequest(why: string): void {
    this.#body?.abandon(why);
    this.#body = null;
    this.#request = null;
  }

  /** Closes so that the client still gets all that was written. */
  #linger(): void {
    if (this.#phase === CLOSED) return;
    this.#enter(CLOSING);
    this.#input.clear();
    // If it fails, the read that is out says so too.
    this.#socket.closeWrite().catch(ignore);
    this.#read();
  }
}

/** Lets go of a reply that nobody will get. */
function dropReply(reply: Reply): void {
  if (isSource(reply.body)) cancelSource(reply.body);
}

function ignore(): void {}
