/**
 * A request as its handler sees it.
 *
 * @module
 */

import type { Departure, HeaderFields, ServerRequest } from "../ports.ts";
import type { RequestHead } from "./http1_request_head.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Where the body of a request comes from: its connection. */
export interface BodySource {
  /** See {@linkcode ServerRequest.bytes}. */
  readBody(request: IncomingRequest, bytesMax: number): Promise<Bytes | null>;
}

/** One request. */
export class IncomingRequest implements ServerRequest {
  readonly #head: RequestHead;
  readonly #source: BodySource;
  readonly #authority: string;
  #url: string | null = null;
  #signal: ClientDeparture | null = null;
  #departed = false;

  /** `authority` is used where the client named no host. */
  constructor(head: RequestHead, source: BodySource, authority: string) {
    this.#head = head;
    this.#source = source;
    this.#authority = authority;
  }

  /** See {@linkcode ServerRequest.method}. */
  get method(): string {
    return this.#head.method;
  }

  /** See {@linkcode ServerRequest.url}. */
  get url(): string {
    return this.#url ??= `http://${this.#head.host ?? this.#authority}${this.#head.target}`;
  }

  /** See {@linkcode ServerRequest.headers}. */
  get headers(): HeaderFields {
    return this.#head;
  }

  /** See {@linkcode ServerRequest.signal}. */
  get signal(): Departure {
    return this.#signal ??= new ClientDeparture(this.#departed);
  }

  /** See {@linkcode ServerRequest.bytes}. */
  bytes(bytesMax: number): Promise<Bytes | null> {
    return this.#source.readBody(this, bytesMax);
  }

  /** Tells whoever listens that the client has gone. */
  depart(): void {
    if (this.#departed) return;
    this.#departed = true;
    this.#signal?.depart();
  }
}

/** Tells once that a client has gone; an `AbortSignal` with its event target costs far more. */
export class ClientDeparture implements Departure {
  #aborted: boolean;
  #listeners: (() => void)[] = [];

  constructor(aborted: boolean) {
    this.#aborted = aborted;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    if (!this.#aborted && !this.#listeners.includes(listener)) this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    const at = this.#listeners.indexOf(listener);
    if (at >= 0) this.#listeners.splice(at, 1);
  }

  depart(): void {
    this.#aborted = true;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) {
      // One listener's mistake must not keep the others, or other clients, from going on.
      try {
        listener();
      } catch { /* What it threw is the listener's to report. */ }
    }
  }
}
