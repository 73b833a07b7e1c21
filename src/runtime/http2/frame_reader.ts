/**
 * Cuts what a client sends into frames, and checks what can be checked without
 * knowing any stream: lengths, padding, stream numbers that must or must not be
 * zero, and that a header block comes in one go.
 *
 *     first --SETTINGS--> frames <--END_HEADERS-- block
 *                          |                      ^  |
 *                          +--HEADERS unfinished--+  +--CONTINUATION
 *
 * Source: RFC 9113, sections 4, 5.5 and 6.
 *
 * @module
 */

import { ConnectionFault, ErrorCode, protocolFault } from "./error_code.ts";
import { Flag, FRAME_BYTES_MAX, FRAME_HEAD_BYTES, FrameType, readUint31 } from "./frame.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Takes frames in their order. Bytes are the reader's, and of use during the call only. */
export interface FrameSink {
  /** `countedBytes` is what the frame takes of the windows: its data and padding. */
  onData(streamId: number, data: Bytes, countedBytes: number, isLast: boolean): void;
  /** A whole header block, from `start` to `end`. */
  onHeaders(streamId: number, block: Bytes, start: number, end: number, isLast: boolean): void;
  /** The client gives a stream up. */
  onReset(streamId: number): void;
  /** Settings, six bytes each. */
  onSettings(payload: Bytes): void;
  /** To be answered with the same eight bytes. */
  onPing(payload: Bytes): void;
  /** The answer to a ping of this server. */
  onPingAnswer(): void;
  /** `streamId` is 0 for the connection's window. */
  onWindowUpdate(streamId: number, increment: number): void;
  /** A frame that changes nothing came: an answer, a priority, an unknown one. */
  onIdleFrame(): void;
}

/** More pieces of one header block than any client cuts it into. */
const CONTINUATIONS_MAX = 32;
const EMPTY: Bytes = new Uint8Array(0);

/** Reads the frames of one connection. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #blockBytesMax: number;
  #isFirst = true;
  /** The stream whose header block is not complete, or 0. */
  #blockStream = 0;
  #block: Bytes = EMPTY;
  #blockBytes = 0;
  #blockIsLast = false;
  #continuations = 0;
  /** Type of the frame that is not complete, or -1. */
  #partType = -1;
  #serial = 0;

  /** `blockBytesMax` is the longest header block. */
  constructor(sink: FrameSink, blockBytesMax: number) {
    this.#sink = sink;
    this.#blockBytesMax = blockBytesMax;
  }

  /** Whether the client has to go on at once: with its settings, or a request's head. */
  get isInsideHead(): boolean {
    return this.#isFirst || this.#blockStream !== 0 ||
      (this.#partType >= 0 && this.#partType !== FrameType.data);
  }

  /** Grows with everything that became complete: a frame, or a header block as a whole. */
  get serial(): number {
    return this.#serial;
  }

  /**
   * Passes on the whole frames from `start` to `end`.
   *
   * @returns Where the first frame begins that is not whole.
   * @throws {ConnectionFault} If a frame breaks a rule; what came before it was passed on.
   */
  take(bytes: Bytes, start: number, end: number): number {
    let at = start;
    this.#partType = -1;
    while (end - at >= FRAME_HEAD_BYTES) {
      const sizeBytes = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) |
        (bytes[at + 2] ?? 0);
      const type = bytes[at + 3] ?? 0;
      if (sizeBytes > FRAME_BYTES_MAX) throw wrongSize("a frame is longer than allowed");
      this.#checkOrder(type, bytes[at + 4] ?? 0);
      const next = at + FRAME_HEAD_BYTES + sizeBytes;
      if (next > end) {
        this.#partType = type;
        return at;
      }
      this.#dispatch(bytes, at, next);
      if (this.#blockStream === 0) this.#serial++;
      at = next;
    }
    // What is shorter than a head could be anything.
    if (at < end) this.#partType = FrameType.headers;
    return at;
  }

  #checkOrder(type: number, flags: number): void {
    if (this.#isFirst && (type !== FrameType.settings || (flags & Flag.ack) !== 0)) {
      throw protocolFault("its first frame is not SETTINGS");
    }
    if (this.#blockStream !== 0 && type !== FrameType.continuation) {
      throw protocolFault("a header block is interrupted");
    }
  }

  #dispatch(bytes: Bytes, headAt: number, end: number): void {
    const type = bytes[headAt + 3] ?? 0;
    const flags = bytes[headAt + 4] ?? 0;
    const streamId = readUint31(bytes, headAt + 5);
    const start = headAt + FRAME_HEAD_BYTES;
    switch (type) {
      case FrameType.data:
        return this.#takeData(bytes, start, end, flags, streamId);
      case FrameType.headers:
        return this.#takeHeaders(bytes, start, end, flags, streamId);
      case FrameType.continuation:
        return this.#takeContinuation(bytes, start, end, flags, streamId);
      case FrameType.windowUpdate:
        if (end - start !== 4) throw wrongSize("a WINDOW_UPDATE has not 4 bytes");
        return this.#sink.onWindowUpdate(streamId, readUint31(bytes, start));
      case FrameType.rstStream:
        if (streamId === 0) throw protocolFault("a RST_STREAM is for no stream");
        if (end - start !== 4) throw wrongSize("a RST_STREAM has not 4 bytes");
        return this.#sink.onReset(streamId);
      case FrameType.priority:
        if (streamId === 0) throw protocolFault("a PRIORITY is for no stream");
        if (end - start !== 5) throw wrongSize("a PRIORITY has not 5 bytes");
        return this.#sink.onIdleFrame();
      case FrameType.pushPromise:
        throw protocolFault("a client may not promise anything");
      default:
        return this.#takeConnectionFrame(bytes, start, end, type, flags, streamId);
    }
  }

  #takeConnectionFrame(
    bytes: Bytes,
    start: number,
    end: number,
    type: number,
    flags: number,
    streamId: number,
  ): void {
    const isKnown = type === FrameType.settings || type === FrameType.ping ||
      type === FrameType.goaway;
    if (!isKnown) return this.#sink.onIdleFrame();
    if (streamId !== 0) throw protocolFault("a frame for the connection is for a stream");
    const sizeBytes = end - start;
    const isAnswer = (flags & Flag.ack) !== 0;
    switch (type) {
      case FrameType.settings:
        if (isAnswer ? sizeBytes > 0 : sizeBytes % 6 > 0) throw wrongSize("a SETTINGS is cut off");
        this.#isFirst = false;
        if (isAnswer) return this.#sink.onIdleFrame();
        return this.#sink.onSettings(bytes.subarray(start, end));
      case FrameType.ping:
        if (sizeBytes !== 8) throw wrongSize("a PING has not 8 bytes");
        if (isAnswer) return this.#sink.onPingAnswer();
        return this.#sink.onPing(bytes.subarray(start, end));
      default:
        // The client starts no streams any more, and closes when it has its replies.
        if (sizeBytes < 8) throw wrongSize("a GOAWAY has less than 8 bytes");
        return this.#sink.onIdleFrame();
    }
  }

  #takeData(bytes: Bytes, start: number, end: number, flags: number, streamId: number): void {
    if (streamId === 0) throw protocolFault("a DATA is for no stream");
    const padded = (flags & Flag.padded) !== 0;
    const dataStart = padded ? start + 1 : start;
    const dataEnd = padded ? end - (bytes[start] ?? 0) : end;
    checkPadding(dataStart, dataEnd, start, end);
    const data = bytes.subarray(dataStart, dataEnd);
    this.#sink.onData(streamId, data, end - start, (flags & Flag.endStream) !== 0);
  }

  #takeHeaders(bytes: Bytes, start: number, end: number, flags: number, streamId: number): void {
    if (streamId === 0) throw protocolFault("a HEADERS is for no stream");
    const padded = (flags & Flag.padded) !== 0;
    let blockStart = padded ? start + 1 : start;
    if ((flags & Flag.priority) !== 0) blockStart += 5;
    const blockEnd = padded ? end - (bytes[start] ?? 0) : end;
    checkPadding(blockStart, blockEnd, start, end);
    const isLast = (flags & Flag.endStream) !== 0;
    if ((flags & Flag.endHeaders) !== 0) {
      return this.#sink.onHeaders(streamId, bytes, blockStart, blockEnd, isLast);
    }
    this.#blockStream = streamId;
    this.#blockIsLast = isLast;
    this.#blockBytes = 0;
    this.#continuations = 0;
    this.#append(bytes, blockStart, blockEnd);
  }

  #takeContinuation(
    bytes: Bytes,
    start: number,
    end: number,
    flags: number,
    streamId: number,
  ): void {
    if (streamId === 0 || streamId !== this.#blockStream) {
      throw protocolFault("a CONTINUATION continues nothing");
    }
    if (++this.#continuations > CONTINUATIONS_MAX) throw tooMuch("a header block has no end");
    this.#append(bytes, start, end);
    if ((flags & Flag.endHeaders) === 0) return;
    const block = this.#block;
    this.#block = EMPTY;
    this.#blockStream = 0;
    this.#sink.onHeaders(streamId, block, 0, this.#blockBytes, this.#blockIsLast);
  }

  #append(bytes: Bytes, start: number, end: number): void {
    const needed = this.#blockBytes + end - start;
    if (needed > this.#blockBytesMax) throw tooMuch("a header block is too long");
    if (needed > this.#block.length) {
      const larger = new Uint8Array(Math.min(this.#blockBytesMax, needed * 2));
      larger.set(this.#block.subarray(0, this.#blockBytes));
      this.#block = larger;
    }
    this.#block.set(bytes.subarray(start, end), this.#blockBytes);
    this.#blockBytes = needed;
  }
}

function checkPadding(contentStart: number, contentEnd: number, start: number, end: number): void {
  if (contentStart > end) throw wrongSize("a frame is too short for its flags");
  if (contentEnd < contentStart || contentEnd < start) {
    throw protocolFault("a frame has more padding than room");
  }
}

function wrongSize(why: string): ConnectionFault {
  return new ConnectionFault(ErrorCode.frameSizeError, why);
}

function tooMuch(why: string): ConnectionFault {
  return new ConnectionFault(ErrorCode.enhanceYourCalm, why);
}
