/**
 * One client connection: reads requests, follows scripts, notices when the client leaves.
 *
 *     reading --request--> answering --complete--> reading
 *                              |
 *                              +--close, reset, client gone--> over
 *
 * The socket is read at all times, also while an answer waits or the client reads
 * slowly, so that its end is noticed at once at every stage.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Script, Step } from "./transport/framing.ts";
import { BODY_BYTES_MAX, type HttpRequest, RequestReader } from "./transport/http1.ts";
import type { Ending } from "./transport/pieces.ts";
import { Refusal } from "./refusal.ts";
import type { OpenLogEntry } from "./request_log.ts";
import type { Handling } from "./service.ts";
import type { Timetable } from "./transport/timetable.ts";

/** What a connection needs from its server. */
export interface ConnectionHost {
  /** Monotonic time in milliseconds. */
  nowMs(): number;
  /** Where waits stand. */
  readonly timetable: Timetable;
  /** Decides what happens for a request. */
  handle(request: HttpRequest): Handling;
  /** The script for bytes that are no request. */
  refuse(refusal: Refusal): Script;
  /** Called once for each handled request, when its answer is over. */
  settle(entry: OpenLogEntry): void;
}

const CONTINUE = new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n");
/** Bytes written in a row before other connections get a turn. */
const TURN_BYTES = 262_144;

/** Serves one socket until it is closed. */
export class Connection {
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #reader = new RequestReader();
  #script: Script | null = null;
  #entry: OpenLogEntry | null = null;
  #keepAlive = true;
  #waiting: Disposable | null = null;
  #dueMs = 0;
  #isOver = false;

  /** Takes over `socket`. */
  constructor(socket: Socket, host: ConnectionHost) {
    this.#socket = socket;
    this.#host = host;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Uint8Array<ArrayBuffer>) => this.#onBytes(bytes));
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => this.#onGone());
    socket.on("error", () => this.#onGone());
    socket.on("close", () => this.#onGone());
  }

  /** Drops the connection, whatever it is doing. */
  close(): void {
    this.#stop();
    this.#socket.destroy();
  }

  #onBytes(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#isOver) return;
    this.#reader.push(bytes);
    if (this.#script === null) this.#readRequest();
    else if (this.#reader.bufferedBytes > BODY_BYTES_MAX) this.close();
  }

  #readRequest(): void {
    let request: HttpRequest | null;
    try {
      request = this.#reader.next();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#keepAlive = false;
      this.#start(this.#host.refuse(error), null);
      return;
    }
    if (request === null) {
      if (this.#reader.takeExpectation()) this.#socket.write(CONTINUE);
      return;
    }
    const { plan, entry } = this.#host.handle(request);
    this.#keepAlive = request.keepAlive;
    if (request.oldHttp) this.#keepAlive = false;
    this.#start(plan.script, entry);
  }

  #start(script: Script, entry: OpenLogEntry | null): void {
    this.#script = script;
    this.#entry = entry;
    this.#dueMs = this.#host.nowMs();
    this.#advance();
  }

  /** Follows the script as far as it goes without waiting. */
  #advance(): void {
    let turnBytes = 0;
    while (this.#script !== null) {
      const next = this.#script.next();
      if (next.done === true) return this.#finish(next.value);
      const step = next.value;
      if (step.waitMs > 0) return this.#wait(step);
      if (!this.#write(step)) return; // Goes on when the client has read.
      turnBytes += step.bytes.length;
      if (turnBytes >= TURN_BYTES) return this.#pause();
    }
  }

  #wait(step: Step): void {
    // Due times add up from one another, so late timers do not slow the stream down.
    this.#dueMs += step.waitMs;
    this.#waiting = this.#host.timetable.at(this.#dueMs, () => {
      this.#waiting = null;
      if (this.#write(step)) this.#advance();
    });
  }

  #pause(): void {
    this.#waiting = this.#host.timetable.at(this.#host.nowMs() + 1, () => {
      this.#waiting = null;
      this.#advance();
    });
  }

  #write(step: Step): boolean {
    if (step.bytes.length === 0) return true;
    if (this.#entry !== null) {
      this.#entry.bytesSent += step.bytes.length;
      this.#entry.bodyBytesSent += step.bodyBytes;
    }
    return this.#socket.write(step.bytes);
  }

  #onDrain(): void {
    if (this.#script === null || this.#waiting !== null) return;
    this.#dueMs = this.#host.nowMs();
    this.#advance();
  }

  #finish(ending: Ending): void {
    this.#settle();
    if (ending === "reset") {
      this.#isOver = true;
      this.#socket.resetAndDestroy();
    } else if (ending === "close" || !this.#keepAlive) {
      this.#isOver = true;
      this.#socket.destroySoon();
    } else {
      this.#readRequest();
    }
  }

  #onGone(): void {
    if (this.#isOver) return;
    if (this.#entry !== null) this.#entry.clientGoneAtMs = this.#host.nowMs();
    this.close();
  }

  #stop(): void {
    this.#isOver = true;
    this.#waiting?.[Symbol.dispose]();
    this.#waiting = null;
    this.#settle();
  }

  #settle(): void {
    const entry = this.#entry;
    this.#script = null;
    this.#entry = null;
    if (entry !== null) this.#host.settle(entry);
  }
}
