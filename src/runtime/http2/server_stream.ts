/**
 * One stream: a request, and the reply to it as far as it is sent.
 *
 * @module
 */

import type { Departure, HeaderFields, ServerRequest } from "../../ports.ts";
import { ClientDeparture } from "../server_request.ts";
import { WINDOW_AT_FIRST } from "./frame.ts";
import type { ReplyBody } from "./reply_body.ts";
import type { RequestFields } from "./request_fields.ts";
import type { StreamBody } from "./stream_body.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const EMPTY: Bytes = new Uint8Array(0);

/** Where the body of a request comes from: its session. */
export interface StreamOwner {
  /** See {@linkcode ServerRequest.bytes}. */
  readBody(stream: ServerStream, bytesMax: number): Promise<Bytes | null>;
}

/** A request as its handler sees it, and what its session knows of it. */
export class ServerStream implements ServerRequest {
  /** Its number. */
  readonly id: number;
  /** The request's head. */
  readonly fields: RequestFields;
  /** The request's body; `null` where there is none. */
  readonly body: StreamBody | null;
  /** Bytes that the client may still send. */
  receiveWindow = WINDOW_AT_FIRST;
  /** Bytes that the client takes; below zero after it has made its windows smaller. */
  sendWindow: number;
  /** Bytes that its session's budget has set aside for its body. */
  reservedBytes = 0;
  /** Whether that budget was asked. */
  hasAskedForRoom = false;
  /** What of the reply has not been put into frames; `null` before it came, and where it is all. */
  reply: ReplyBody | null = null;
  /** Whether a reply came, or the handler failed. */
  isAnswered = false;
  /** Whether nothing goes either way any more. */
  isClosed = false;
  /** Whether it stands in the queue of those that can send. */
  isQueued = false;
  /** The next one in that queue. */
  nextQueued: ServerStream | null = null;
  /** The next one at the same place of the table. */
  nextInTable: ServerStream | null = null;
  /** When a sweep first saw it wait for its client, or -1; progress sets it back. */
  stalledSinceMs = -1;
  readonly #owner: StreamOwner;
  #url: string | null = null;
  #signal: ClientDeparture | null = null;
  #departed = false;

  /** `sendWindow` is what the client's settings say now. */
  constructor(
    id: number,
    fields: RequestFields,
    body: StreamBody | null,
    sendWindow: number,
    owner: StreamOwner,
  ) {
    this.id = id;
    this.fields = fields;
    this.body = body;
    this.sendWindow = sendWindow;
    this.#owner = owner;
  }

  /** See {@linkcode ServerRequest.method}. */
  get method(): string {
    return this.fields.method;
  }

  /** See {@linkcode ServerRequest.url}. */
  get url(): string {
    return this.#url ??= `http://${this.fields.host}${this.fields.path}`;
  }

  /** See {@linkcode ServerRequest.headers}. */
  get headers(): HeaderFields {
    return this.fields;
  }

  /** See {@linkcode ServerRequest.signal}. */
  get signal(): Departure {
    return this.#signal ??= new ClientDeparture(this.#departed);
  }

  /** See {@linkcode ServerRequest.bytes}. */
  bytes(bytesMax: number): Promise<Bytes | null> {
    if (this.body === null) return Promise.resolve(EMPTY);
    return this.#owner.readBody(this, bytesMax);
  }

  /** Tells whoever listens that the client has gone. */
  depart(): void {
    if (this.#departed) return;
    this.#departed = true;
    this.#signal?.depart();
  }
}
