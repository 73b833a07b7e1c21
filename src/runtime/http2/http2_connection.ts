/**
 * One client's HTTP/2 connection on its socket.
 *
 *     open --session over, all written--> closing --client closes, 2 s--> closed
 *      +--client closes, read or write fails, a write stalls----------------> closed
 *
 * One write is out at a time; what comes together meanwhile leaves in the next.
 * A write begins at the end of a turn: when no frame was added for some turns of
 * the microtask queue, so that the replies of requests that came in one packet
 * leave in one packet. Reading pauses while a client does not take what is
 * written for it.
 *
 * @module
 */

import type { ClosedListener, OpenConnection } from "../connection_context.ts";
import { OUTPUT_BYTES_MAX } from "./frame_output.ts";
import type { Http2Context } from "./http2_context.ts";
import { Http2Session, type SessionOwner } from "./session.ts";
import { Wait } from "./wait.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const LINGER_MS = 2_000;
const LINGER_BYTES_MAX = 16 * 1_048_576;
/** Many small requests fit. */
const INPUT_BYTES_MIN = 8_192;
/** For clients that send much at once; any frame fits. */
const INPUT_BYTES_MAX = 32_768;
/** So many small reads in a row make the large buffer a waste. */
const SMALL_READS = 64;
/** Above this nothing is read. */
const UNWRITTEN_BYTES_MAX = 4 * OUTPUT_BYTES_MAX;
/** Turns of the microtask queue without a new frame that end a turn of the event loop. */
const QUIET_TURNS = 12;

/** One client's connection. */
export class Http2Connection implements OpenConnection, SessionOwner {
  readonly #socket: Deno.TcpConn;
  readonly #onClosed: ClosedListener;
  readonly #writeMs: number;
  readonly #session: Http2Session;
  #phase: "open" | "closing" | "closed" = "open";
  #input: Bytes = new Uint8Array(INPUT_BYTES_MIN);
  /** Bytes of frames that are not whole, at the front of `#input`. */
  #heldBytes = 0;
  #smallReads = 0;
  #reading = false;
  /** What is being written; `null` while nothing is. */
  #writing: Bytes | null = null;
  #writtenBytes = 0;
  #serial = 0;
  readonly #wait = new Wait();
  #lingeredBytes = 0;
  #quietTurns = 0;
  #quietSize = 0;
  readonly #onCount: (count: number | null) => void;
  readonly #onFailed: () => void;
  readonly #onWritten: (count: number) => void;
  readonly #onTurn: () => void;

  /** Takes over a socket whose preface has been read; nothing happens before {@linkcode open}. */
  constructor(socket: Deno.TcpConn, context: Http2Context, onClosed: ClosedListener) {
    this.#socket = socket;
    this.#onClosed = onClosed;
    this.#writeMs = context.writeMs;
    this.#session = new Http2Session(context, this);
    // Made once: a read or write then costs one promise and no closure.
    this.#onCount = (count) => this.#takeRead(count);
    this.#onFailed = () => this.close();
    this.#onWritten = (count) => this.#advance(count);
    this.#onTurn = () => this.#waitForQuiet();
  }

  /** Begins, with what came behind the preface: no more than 8 KiB. */
  open(first: Bytes): void {
    this.#input.set(first);
    this.#takeInput(first.length);
    this.#read();
  }

  /** Lets requests under way finish, takes no more, then closes. */
  drain(): void {
    if (this.#phase !== "open") return;
    this.#session.drain();
    this.onOutput();
  }

  /** Closes at once: for requests under way this is a client that has gone. */
  close(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#socket.close();
    this.#onClosed(this);
    this.#session.abort();
    this.#writing = null;
  }

  /** Looks at the time limits; called again and again. */
  sweep(nowMs: number): void {
    if (this.#phase === "open") this.#session.sweep(nowMs);
    if (this.#phase === "closed") return;
    this.onOutput();
    const isClosing = this.#phase === "closing";
    const waitedMs = this.#wait.look(isClosing || this.#writing !== null, this.#serial, nowMs);
    if (waitedMs >= (isClosing ? LINGER_MS : this.#writeMs)) this.close();
  }

  /** See {@linkcode SessionOwner.onOutput}. */
  onOutput(): void {
    if (this.#phase !== "open" || this.#quietTurns > 0 || this.#writing !== null) return;
    if (this.#session.output.size === 0) return this.#closeIfOver();
    this.#quietTurns = QUIET_TURNS;
    this.#quietSize = this.#session.output.size;
    queueMicrotask(this.#onTurn);
  }

  #waitForQuiet(): void {
    const { output } = this.#session;
    if (output.size !== this.#quietSize && output.hasRoom) {
      this.#quietSize = output.size;
      this.#quietTurns = QUIET_TURNS;
    } else this.#quietTurns = output.hasRoom ? this.#quietTurns - 1 : 0;
    if (this.#quietTurns > 0) queueMicrotask(this.#onTurn);
    else this.#write();
  }

  #write(): void {
    if (this.#phase !== "open" || this.#writing !== null) return;
    const { output } = this.#session;
    if (output.size === 0) return this.#closeIfOver();
    this.#writing = output.takeAll();
    this.#writtenBytes = 0;
    this.#session.onWriting();
    this.#writeOn(this.#writing);
  }

  #writeOn(bytes: Bytes): void {
    this.#serial++;
    this.#socket.write(bytes).then(this.#onWritten, this.#onFailed);
  }

  #advance(count: number): void {
    const writing = this.#writing;
    if (writing === null) return;
    this.#writtenBytes += count;
    if (this.#writtenBytes < writing.length) {
      return this.#writeOn(writing.subarray(this.#writtenBytes));
    }
    this.#writing = null;
    this.#session.output.giveBack(writing);
    this.#session.onWritten();
    this.#write();
    this.#read();
  }

  /** Asks for bytes, unless a read is out already or the client takes none. */
  #read(): void {
    if (this.#reading || this.#phase === "closed") return;
    if (this.#session.output.size > UNWRITTEN_BYTES_MAX) return;
    this.#reading = true;
    const target = this.#heldBytes === 0 ? this.#input : this.#input.subarray(this.#heldBytes);
    this.#socket.read(target).then(this.#onCount, this.#onFailed);
  }

  #takeRead(count: number | null): void {
    this.#reading = false;
    if (this.#phase === "closed") return;
    if (count === null) return this.close();
    if (this.#phase === "closing") {
      this.#lingeredBytes += count;
      if (this.#lingeredBytes > LINGER_BYTES_MAX) return this.close();
    } else this.#takeInput(count);
    this.#read();
  }

  /** Passes on what has come, and keeps what is not whole. */
  #takeInput(count: number): void {
    const input = this.#input;
    const end = this.#heldBytes + count;
    const at = this.#session.take(input, 0, end);
    this.#heldBytes = end - at;
    this.#fitInput(end);
    if (this.#heldBytes > 0 && (at > 0 || input !== this.#input)) {
      this.#input.set(input.subarray(at, end));
    }
    this.onOutput();
  }

  /** Chooses the buffer for the next read; `end` is how much of the present one was used. */
  #fitInput(end: number): void {
    const { length } = this.#input;
    if (length < INPUT_BYTES_MAX) {
      if (end === length) this.#input = new Uint8Array(INPUT_BYTES_MAX);
      return;
    }
    this.#smallReads = end < INPUT_BYTES_MIN / 2 ? this.#smallReads + 1 : 0;
    if (this.#smallReads < SMALL_READS) return;
    this.#smallReads = 0;
    this.#input = new Uint8Array(INPUT_BYTES_MIN);
  }

  /** Closes so that the client still gets all that was written. */
  #closeIfOver(): void {
    if (this.#phase !== "open" || !this.#session.isOver) return;
    this.#phase = "closing";
    this.#serial++;
    this.#input = new Uint8Array(INPUT_BYTES_MIN);
    this.#heldBytes = 0;
    // If it fails, the read that is out says so too.
    this.#socket.closeWrite().catch(ignore);
    this.#read();
  }
}

function ignore(): void {}
