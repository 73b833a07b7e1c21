/**
 * HTTP/2 by hand, frame by frame: for what no client would send.
 *
 * @module
 */
import { framesOf, joined, settings, widen } from "../../src/runtime/http2/http2_fixture.ts";
import { Flag, FRAME_HEAD_BYTES, FrameType } from "../../src/runtime/http2/frame.ts";
import { HpackDecoder } from "../../src/runtime/http2/hpack_decoder.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How HTTP/2 begins. */
export const PREFACE: Bytes = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

const WINDOW_BYTES = 2 ** 30;

/** What came back on one stream. */
export interface Http2Answer {
  /** Status; 0 as long as there is none. */
  status: number;
  /** Body so far. */
  text: string;
  /** Whether it has ended, by its last frame or a reset. */
  isOver: boolean;
  /** Why it was reset, or `null`. */
  resetCode: number | null;
}

/** One connection. */
export class RawHttp2 implements Disposable {
  /** Answers by stream. */
  readonly answers = new Map<number, Http2Answer>();
  /** Why the server goes away, or `null`. */
  goawayCode: number | null = null;
  /** Whether the connection is at its end. */
  isEnded = false;
  readonly #socket: Deno.TcpConn;
  readonly #buffer = new Uint8Array(65_536);
  readonly #decoder = new HpackDecoder();
  #held: Bytes = new Uint8Array(0);

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  /** Connects to `127.0.0.1:port`, says hello, and takes all that will come. */
  static async connect(port: number): Promise<RawHttp2> {
    const client = new RawHttp2(await Deno.connect({ hostname: "127.0.0.1", port }));
    await client.send(PREFACE, settings(), widen(0, WINDOW_BYTES));
    return client;
  }

  /** Streams that have ended. */
  get over(): number {
    let count = 0;
    for (const { isOver } of this.answers.values()) if (isOver) count++;
    return count;
  }

  /** Writes all; stops quietly where the server takes no more. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    const bytes = joined(...parts);
    try {
      for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
    } catch (error) {
      if (!isLoss(error)) throw error;
    }
  }

  /** Reads until it is as wanted, or until the connection has ended. */
  async until(isDone: () => boolean): Promise<void> {
    while (!this.isEnded && !isDone()) await this.#read();
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    try {
      this.#socket.close();
    } catch (error) {
      if (!isLoss(error)) throw error;
    }
  }

  async #read(): Promise<void> {
    let count: number | null = null;
    try {
      count = await this.#socket.read(this.#buffer);
    } catch (error) {
      if (!isLoss(error)) throw error;
    }
    if (count === null) {
      this.isEnded = true;
      return;
    }
    const bytes = joined(this.#held, this.#buffer.subarray(0, count));
    const end = wholeBytes(bytes);
    this.#held = bytes.slice(end);
    for (const { type, flags, id, payload } of framesOf(bytes.slice(0, end))) {
      if (type === FrameType.goaway) this.goawayCode = numberAt(payload, 4);
      else if (id > 0 && type !== FrameType.windowUpdate) this.#take(type, flags, id, payload);
    }
  }

  #take(type: number, flags: number, id: number, payload: Bytes): void {
    const answer = this.answers.get(id) ??
      { status: 0, text: "", isOver: false, resetCode: null };
    this.answers.set(id, answer);
    if (type === FrameType.headers) {
      this.#decoder.decode(payload, 0, payload.length, {
        take: ({ name, value }) => {
          if (name === ":status") answer.status = Number(value);
        },
      });
    }
    if (type === FrameType.data) answer.text += new TextDecoder().decode(payload);
    if (type === FrameType.rstStream) answer.resetCode = numberAt(payload, 0);
    const isLast = type !== FrameType.rstStream && (flags & Flag.endStream) !== 0;
    answer.isOver ||= isLast || type === FrameType.rstStream;
  }
}

/** How many of the bytes make whole frames. */
function wholeBytes(bytes: Bytes): number {
  let at = 0;
  while (at + FRAME_HEAD_BYTES <= bytes.length) {
    const next = at + FRAME_HEAD_BYTES + (numberAt(bytes, at) >>> 8);
    if (next > bytes.length) break;
    at = next;
  }
  return at;
}

function numberAt(bytes: Bytes, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
}

function isLoss(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.NotConnected;
}
