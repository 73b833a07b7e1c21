/**
 * Puts the replies of one connection into frames, as far as its client's windows
 * and the room for output allow.
 *
 *     send --head, all of the body--> sent
 *       |
 *       +--head--> queued --frame by frame, in turn with others--> sent
 *                    ^        |
 *                    |        +--no window--> waits for WINDOW_UPDATE
 *                    +--slices-- pulling <--all that was there has been written
 *
 * A stream is asked for more only after its last piece has been written, so a
 * slow reader pauses whoever feeds it.
 *
 * @module
 */

import type { Reply } from "../../ports.ts";
import { cancelSource, isSource } from "../reply_writer.ts";
import type { Allowance } from "./allowance.ts";
import {
  Flag,
  FRAME_BYTES_MAX,
  FRAME_HEAD_BYTES,
  FrameType,
  putFrameHead,
  WINDOW_AT_FIRST,
  WINDOW_MAX,
} from "./frame.ts";
import type { FrameOutput } from "./frame_output.ts";
import { ReplyBody } from "./reply_body.ts";
import { NO_LENGTH, putStatus, type ReplyFieldsEncoder } from "./reply_fields.ts";
import type { ServerStream } from "./server_stream.ts";
import { StreamQueue } from "./stream_table.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Who is told how sending goes. */
export interface SenderOwner {
  /** The reply has been put into frames, all of it. */
  onSent(stream: ServerStream): void;
  /** The source of the reply broke. */
  onCut(stream: ServerStream): void;
  /** Frames were added outside of any call of the owner. */
  onOutput(): void;
}

/** Frames that a client may send for each that it gets: one window for it, one for all. */
const FRAMES_EARNED = 2;
/** A change of the table's size to nothing. */
const TABLE_SIZE_ZERO = 0x20;

const EMPTY: Bytes = new Uint8Array(0);
const encoder = new TextEncoder();

/** Sends replies. */
export class ReplySender {
  readonly #output: FrameOutput;
  readonly #heads: ReplyFieldsEncoder;
  readonly #allowance: Allowance;
  readonly #owner: SenderOwner;
  readonly #queue = new StreamQueue();
  /** What the client takes on the whole connection. */
  #window = WINDOW_AT_FIRST;
  /** Whether the next header block has to give up the table. */
  #owesTableSize = false;
  /** Streams whose last piece waits to be written. */
  #toPull: ServerStream[] = [];
  /** Streams whose last piece is being written. */
  #inWrite: ServerStream[] = [];

  /** Sends nothing yet. */
  constructor(
    output: FrameOutput,
    heads: ReplyFieldsEncoder,
    allowance: Allowance,
    owner: SenderOwner,
  ) {
    this.#output = output;
    this.#heads = heads;
    this.#allowance = allowance;
    this.#owner = owner;
  }

  /** The client remembers fewer fields than every peer may use: to be acknowledged. */
  giveUpTable(): void {
    this.#owesTableSize = true;
  }

  /** Tells the client to send its body. */
  sendContinue(stream: ServerStream): void {
    const block = new Uint8Array(8);
    const end = putStatus(block, this.#putTableSize(block, 0), 100);
    this.#output.putFrame(FrameType.headers, Flag.endHeaders, stream.id, block.subarray(0, end));
  }

  /**
   * Sends a reply, or begins to.
   *
   * @throws {TypeError} If its headers or status cannot be sent; nothing was put into frames then.
   */
  send(stream: ServerStream, reply: Reply): void {
    const { body, status } = reply;
    const hasNone = status === 204 || status === 304;
    const isHead = stream.method === "HEAD";
    if (isSource(body)) {
      this.#putHead(stream, reply, NO_LENGTH, hasNone || isHead);
      if (hasNone || isHead) {
        cancelSource(body);
        return this.#owner.onSent(stream);
      }
      stream.reply = new ReplyBody(body, []);
      return this.#pull(stream);
    }
    const bytes = typeof body === "string" ? encoder.encode(body) : body ?? EMPTY;
    const isEmpty = hasNone || isHead || bytes.length === 0;
    this.#putHead(stream, reply, hasNone ? NO_LENGTH : bytes.length, isEmpty);
    if (isEmpty) return this.#owner.onSent(stream);
    stream.reply = new ReplyBody(null, [bytes]);
    if (this.#queue.empty && this.#output.hasRoom && this.#window > 0) this.#putSome(stream);
    else this.#queue.push(stream);
    this.pump();
  }

  /** Puts into frames what fits. */
  pump(): void {
    while (this.#window > 0 && this.#output.hasRoom) {
      const stream = this.#queue.shift();
      if (stream === null) return;
      this.#putSome(stream);
    }
  }

  /**
   * The client takes so much more of a stream.
   *
   * @returns Whether its window can be as wide as that.
   */
  widen(stream: ServerStream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > WINDOW_MAX) return false;
    if (stream.sendWindow > 0 && stream.reply !== null && stream.reply.leftBytes > 0) {
      this.#queue.push(stream);
    }
    return true;
  }

  /** The same for the whole connection. */
  widenAll(increment: number): boolean {
    this.#window += increment;
    return this.#window <= WINDOW_MAX;
  }

  /** What is there is about to be written. */
  onWriting(): void {
    const written = this.#inWrite;
    this.#inWrite = this.#toPull;
    this.#toPull = written;
  }

  /** What was there has been written. */
  onWritten(): void {
    for (const stream of this.#inWrite) {
      if (!stream.isClosed) this.#pull(stream);
    }
    this.#inWrite.length = 0;
    this.pump();
  }

  #putHead(stream: ServerStream, reply: Reply, lengthBytes: number, isLast: boolean): void {
    const output = this.#output;
    const bound = this.#heads.boundBytes(reply) + 1;
    const flags = isLast ? Flag.endStream : Flag.none;
    if (bound > FRAME_BYTES_MAX) {
      const block = new Uint8Array(bound);
      const end = this.#encodeHead(block, 0, reply, lengthBytes);
      output.putLongBlock(stream.id, flags, block.subarray(0, end), Flag.endHeaders);
      return;
    }
    const at = output.reserve(FRAME_HEAD_BYTES + bound);
    const { bytes } = output;
    const blockAt = at + FRAME_HEAD_BYTES;
    const end = this.#encodeHead(bytes, blockAt, reply, lengthBytes);
    putFrameHead(bytes, at, end - blockAt, FrameType.headers, flags | Flag.endHeaders, stream.id);
    output.commit(end);
  }

  #encodeHead(bytes: Bytes, at: number, reply: Reply, lengthBytes: number): number {
    const owes = this.#owesTableSize;
    const start = this.#putTableSize(bytes, at);
    // What fails here is not sent.
    this.#owesTableSize = owes;
    const end = this.#heads.encode(bytes, start, reply, lengthBytes);
    this.#owesTableSize = false;
    return end;
  }

  #putTableSize(bytes: Bytes, at: number): number {
    if (!this.#owesTableSize) return at;
    this.#owesTableSize = false;
    bytes[at] = TABLE_SIZE_ZERO;
    return at + 1;
  }

  /** One frame of a stream, if its window allows any. */
  #putSome(stream: ServerStream): void {
    const { reply } = stream;
    if (reply === null || stream.isClosed) return;
    const allowedBytes = Math.min(FRAME_BYTES_MAX, stream.sendWindow, this.#window);
    const count = Math.min(reply.leftBytes, allowedBytes);
    if (count <= 0) return;
    const isLast = count === reply.leftBytes && reply.source === null;
    const output = this.#output;
    const at = output.reserve(FRAME_HEAD_BYTES + count);
    const flags = isLast ? Flag.endStream : Flag.none;
    const dataAt = putFrameHead(output.bytes, at, count, FrameType.data, flags, stream.id);
    reply.moveTo(output.bytes, dataAt, count);
    output.commit(dataAt + count);
    stream.sendWindow -= count;
    this.#window -= count;
    stream.stalledSinceMs = -1;
    this.#allowance.earn(FRAMES_EARNED);
    if (isLast) this.#finish(stream);
    else if (reply.leftBytes > 0) this.#queue.push(stream);
    else this.#toPull.push(stream);
  }

  #finish(stream: ServerStream): void {
    stream.reply = null;
    this.#owner.onSent(stream);
  }

  #pull(stream: ServerStream): void {
    const source = stream.reply?.source ?? null;
    if (source === null) return;
    const onFailed = (): void => {
      if (!stream.isClosed) this.#cut(stream);
    };
    try {
      source.pull().then((slices) => {
        if (!stream.isClosed) this.#takePulled(stream, slices);
      }, onFailed);
    } catch {
      queueMicrotask(onFailed);
    }
  }

  #takePulled(stream: ServerStream, slices: readonly Bytes[] | null): void {
    const { reply } = stream;
    if (reply === null) return;
    if (slices === null) {
      this.#output.putFrame(FrameType.data, Flag.endStream, stream.id, EMPTY);
      this.#finish(stream);
    } else {
      reply.refill(slices);
      if (reply.leftBytes === 0) return this.#pull(stream);
      this.#queue.push(stream);
      this.pump();
    }
    this.#owner.onOutput();
  }

  #cut(stream: ServerStream): void {
    stream.reply = null;
    this.#owner.onCut(stream);
    this.#owner.onOutput();
  }
}
