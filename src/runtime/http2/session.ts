/**
 * One HTTP/2 connection without its socket: frames in, requests out; replies in,
 * frames out.
 *
 *     serving --drain--> leaving --PING answered, or a second--> last call
 *        |                  |                                       |
 *        +--fault-----------+----fault, or no stream is left--------+--> over
 *
 * What breaks a rule that concerns one stream ends that stream; what breaks one
 * that all depend on ends the connection, with a GOAWAY that says why. Nothing
 * that a client sends throws out of here, and everything it can make this side
 * keep is bounded: bodies by windows (see `body_budget.ts`), frames to be written
 * by whoever reads on only when they have been written.
 *
 * **Windows.** A stream begins with 64 KiB; a longer body is granted all of its
 * length at once when the handler asks for it (one of unknown length all that the
 * handler allows, when half of the first window is used). The connection's window is wide
 * and opened again with what came (see `receive_window.ts`).
 *
 * Source: RFC 9113, sections 5, 6 and 8.
 *
 * @module
 */

import type { Reply } from "../../ports.ts";
import { cancelSource } from "../reply_writer.ts";
import { Allowance } from "./allowance.ts";
import { BodyBudget } from "./body_budget.ts";
import { ConnectionFault, ErrorCode, protocolFault } from "./error_code.ts";
import { dropReply, exchange, FAILURE } from "./exchange.ts";
import { Flag, FrameType, Setting, WINDOW_AT_FIRST, WINDOW_MAX } from "./frame.ts";
import { FrameOutput } from "./frame_output.ts";
import { FrameReader, type FrameSink } from "./frame_reader.ts";
import { TABLE_BYTES } from "./hpack_decoder.ts";
import type { Http2Context } from "./http2_context.ts";
import { ReceiveWindow } from "./receive_window.ts";
import { ReplySender, type SenderOwner } from "./reply_sender.ts";
import { RequestDecoder } from "./request_decoder.ts";
import { ServerStream, type StreamOwner } from "./server_stream.ts";
import { encodeSettings, readSettings, type SettingsSink } from "./settings.ts";
import { StreamBody } from "./stream_body.ts";
import { StreamResets } from "./stream_resets.ts";
import { StreamTable } from "./stream_table.ts";
import { TrailerCheck } from "./trailer_check.ts";
import { Wait } from "./wait.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Who writes what a session has to say. */
export interface SessionOwner {
  /** Frames wait that came together outside of {@linkcode Http2Session.take}. */
  onOutput(): void;
}

/** How long a client has to learn that no more requests are taken. */
const LAST_CALL_MS = 1_000;
/** Idle frames that come with a request: windows, acknowledgements. */
const REQUEST_EARNS = 3;

const PING_PAYLOAD = new Uint8Array(8);
const EMPTY: Bytes = new Uint8Array(0);

/** One connection's state. */
export class Http2Session implements FrameSink, SettingsSink, SenderOwner, StreamOwner {
  /** Frames to be written. */
  readonly output: FrameOutput;
  readonly #context: Http2Context;
  readonly #owner: SessionOwner;
  readonly #reader: FrameReader;
  readonly #requests: RequestDecoder;
  readonly #sender: ReplySender;
  readonly #allowance: Allowance;
  readonly #budget: BodyBudget;
  readonly #streams = new StreamTable();
  readonly #resets: StreamResets;
  readonly #window: ReceiveWindow;
  readonly #heads = new Wait();
  readonly #requestless = new Wait();
  readonly #leave = new Wait();
  /** The highest number that any request had. */
  #seenId = 0;
  /** The highest number of a request that was handled, or may have been. */
  #lastId = 0;
  /** Window that new streams begin to send with. */
  #streamWindow = WINDOW_AT_FIRST;
  /** Requests whose body has not come as a whole. */
  #bodiesOpen = 0;
  /** Handlers at work for streams that are closed. */
  #orphans = 0;
  readonly #onReply = (stream: ServerStream, reply: Reply): void => this.#answer(stream, reply);
  #phase: "serving" | "leaving" | "last call" | "over" = "serving";

  /** Says hello: this side's settings wait to be written. */
  constructor(context: Http2Context, owner: SessionOwner) {
    const { limits, headBytesMax } = context;
    this.#context = context;
    this.#owner = owner;
    this.output = new FrameOutput(context.buffers);
    this.#allowance = new Allowance(limits.resetsMax, limits.idleFramesMax);
    this.#reader = new FrameReader(this, headBytesMax);
    this.#requests = new RequestDecoder(headBytesMax);
    this.#sender = new ReplySender(this.output, context.replies, this.#allowance, this);
    this.#budget = new BodyBudget(limits.bodyBytesMax, (stream, sizeBytes) => {
      stream.receiveWindow += sizeBytes;
      this.output.putShort(FrameType.windowUpdate, stream.id, sizeBytes);
    });
    const settings = [
      [Setting.maxConcurrentStreams, limits.streamsMax],
      [Setting.maxHeaderListSize, headBytesMax],
    ] as const;
    this.output.putFrame(FrameType.settings, Flag.none, 0, encodeSettings(settings));
    this.#resets = new StreamResets(this.output);
    this.#window = new ReceiveWindow(this.output);
  }

  /** Whether all has been said: what waits is to be written, then the connection closed. */
  get isOver(): boolean {
    return this.#phase === "over";
  }

  /** Whether no request is under way. */
  get isIdle(): boolean {
    return this.#streams.count === 0;
  }

  /**
   * Takes what the client has sent.
   *
   * @returns Where the first frame begins that is not whole; the rest has to be passed again,
   * with more behind it.
   */
  take(bytes: Bytes, start: number, end: number): number {
    if (this.isOver) return end;
    let at: number;
    try {
      at = this.#reader.take(bytes, start, end);
      this.#sender.pump();
    } catch (cause) {
      if (!(cause instanceof ConnectionFault)) throw cause;
      this.#end(cause.code);
      return end;
    }
    if (!this.isOver) this.#window.acknowledge(at < end || this.#bodiesOpen > 0);
    return at;
  }

  /** What waits is about to be written. */
  onWriting(): void {
    this.#sender.onWriting();
  }

  /** What was to be written has been. */
  onWritten(): void {
    this.#sender.onWritten();
  }

  /** Takes no more requests, finishes those under way. */
  drain(): void {
    if (this.#phase !== "serving") return;
    this.#phase = "leaving";
    this.output.putGoaway(WINDOW_MAX, ErrorCode.noError);
    this.output.putFrame(FrameType.ping, Flag.none, 0, PING_PAYLOAD);
  }

  /** Ends at once: for all requests under way this is a client that has gone. */
  abort(): void {
    this.#phase = "over";
    for (const stream of this.#streams.all()) {
      this.#close(stream, "the client has gone");
      stream.depart();
    }
  }

  /** Looks at the time limits; called twice a second or so. */
  sweep(nowMs: number): void {
    if (this.isOver) return;
    this.#allowance.sweep();
    const { headMs, idleMs } = this.#context;
    const { isInsideHead, serial } = this.#reader;
    const headForMs = this.#heads.look(isInsideHead, serial, nowMs);
    if (headForMs >= headMs) return this.#end(ErrorCode.enhanceYourCalm);
    if (this.isIdle) this.output.trim();
    const idleForMs = this.#requestless.look(this.isIdle, this.#seenId, nowMs);
    // A request may be on its way: the client is asked to leave, not shut out.
    if (idleForMs >= idleMs && this.#phase === "serving") {
      this.drain();
      this.#owner.onOutput();
    }
    const leavingForMs = this.#leave.look(this.#phase === "leaving", 0, nowMs);
    if (leavingForMs >= LAST_CALL_MS) this.#callLast();
    for (const stream of this.#streams.all()) this.#sweepStream(stream, nowMs);
  }

  /** See {@linkcode StreamOwner.readBody}. */
  readBody(stream: ServerStream, bytesMax: number): Promise<Bytes | null> {
    const { body, fields } = stream;
    if (stream.isClosed || body === null) {
      return Promise.reject(new Error("Cannot read body: the request is over"));
    }
    const content = body.ask(bytesMax);
    if (body.wanted) {
      if (fields.expectsContinue && body.receivedBytes === 0) this.#sender.sendContinue(stream);
      this.#askForRoom(stream, body);
      this.#owner.onOutput();
    }
    return content;
  }

  /** See {@linkcode FrameSink.onHeaders}. */
  onHeaders(id: number, block: Bytes, start: number, end: number, isLast: boolean): void {
    if ((id & 1) === 0) throw protocolFault("a request has an even number");
    if (id <= this.#seenId) return this.#takeTrailers(id, block, start, end, isLast);
    this.#seenId = id;
    const fields = this.#requests.decode(block, start, end);
    // The client has been told, or will have been, that this one is not answered.
    if (this.#phase === "last call" || this.isOver) return this.#allowance.spendFrame();
    this.#lastId = id;
    const { limits, held, slab } = this.#context;
    if (
      this.#streams.count + this.#orphans >= limits.streamsMax ||
      (!isLast && held.count > limits.heldBytesMax)
    ) {
      this.#allowance.spendFrame();
      return this.#resets.put(id, ErrorCode.refusedStream);
    }
    const isCut = isLast && fields.lengthBytes > 0;
    if (!fields.isTooLarge && (fields.fault !== null || isCut)) {
      this.#resets.put(id, ErrorCode.protocolError);
      return this.#allowance.spendReset();
    }
    this.#allowance.earn(REQUEST_EARNS);
    const body = isLast ? null : new StreamBody(fields.lengthBytes, slab, held);
    if (body !== null) this.#bodiesOpen++;
    const stream = new ServerStream(id, fields, body, this.#streamWindow, this);
    this.#streams.add(stream);
    exchange(stream, this.#context, this.#onReply);
  }

  /** See {@linkcode FrameSink.onData}. */
  onData(id: number, data: Bytes, countedBytes: number, isLast: boolean): void {
    this.#window.take(countedBytes);
    if (data.length === 0 && !isLast) this.#allowance.spendFrame();
    const stream = this.#find(id);
    if (stream === null) {
      this.#allowance.spendFrame();
      if (!this.#resets.has(id)) this.#resets.put(id, ErrorCode.streamClosed);
      return;
    }
    const { body } = stream;
    if (body === null || body.complete) return this.#break(stream, ErrorCode.streamClosed);
    stream.receiveWindow -= countedBytes;
    if (stream.receiveWindow < 0) return this.#break(stream, ErrorCode.flowControlError);
    if (!body.take(data, isLast)) return this.#break(stream, ErrorCode.protocolError);
    if (data.length > 0) {
      this.#allowance.earn(1);
      stream.stalledSinceMs = -1;
    }
    if (isLast) return this.#onBodyComplete(stream);
    this.#askForRoom(stream, body);
    const paddingBytes = countedBytes - data.length;
    if (paddingBytes === 0) return;
    stream.receiveWindow += paddingBytes;
    this.output.putShort(FrameType.windowUpdate, id, paddingBytes);
  }

  /** See {@linkcode FrameSink.onReset}. */
  onReset(id: number): void {
    const stream = this.#find(id);
    if (stream === null) return this.#allowance.spendFrame();
    this.#close(stream, "the client has gone");
    stream.depart();
    this.#allowance.spendReset();
  }

  /** See {@linkcode FrameSink.onSettings}. */
  onSettings(payload: Bytes): void {
    this.#allowance.spendFrame();
    readSettings(payload, this);
    this.output.putFrame(FrameType.settings, Flag.ack, 0, EMPTY);
  }

  /** See {@linkcode SettingsSink.onSetting}. */
  onSetting(): void {
    this.#allowance.spendFrame();
  }

  /** See {@linkcode SettingsSink.onTableBytes}. */
  onTableBytes(sizeBytes: number): void {
    if (sizeBytes < TABLE_BYTES) this.#sender.giveUpTable();
  }

  /** See {@linkcode SettingsSink.onStreamWindow}. */
  onStreamWindow(sizeBytes: number): void {
    const change = sizeBytes - this.#streamWindow;
    this.#streamWindow = sizeBytes;
    if (change === 0) return;
    for (const stream of this.#streams.all()) {
      if (!this.#sender.widen(stream, change)) throw tooWide();
    }
  }

  /** See {@linkcode FrameSink.onPing}. */
  onPing(payload: Bytes): void {
    this.#allowance.spendFrame();
    this.output.putFrame(FrameType.ping, Flag.ack, 0, payload);
  }

  /** See {@linkcode FrameSink.onPingAnswer}. */
  onPingAnswer(): void {
    this.#allowance.spendFrame();
    if (this.#phase === "leaving") this.#callLast();
  }

  /** See {@linkcode FrameSink.onWindowUpdate}. */
  onWindowUpdate(id: number, increment: number): void {
    this.#allowance.spendFrame();
    if (id === 0) {
      if (increment === 0) throw protocolFault("a window is widened by nothing");
      if (this.#sender.widenAll(increment)) return;
      throw tooWide();
    }
    const stream = this.#find(id);
    if (stream === null) return;
    if (increment === 0) return this.#break(stream, ErrorCode.protocolError);
    if (!this.#sender.widen(stream, increment)) this.#break(stream, ErrorCode.flowControlError);
  }

  /** See {@linkcode FrameSink.onIdleFrame}. */
  onIdleFrame(): void {
    this.#allowance.spendFrame();
  }

  /** See {@linkcode SenderOwner.onSent}. */
  onSent(stream: ServerStream): void {
    // The reply is complete; what is left of the request is of no use (RFC 9113, section 8.1).
    if (stream.body?.complete === false) this.#resets.put(stream.id, ErrorCode.noError);
    this.#close(stream, "the reply has been sent");
  }

  /** See {@linkcode SenderOwner.onCut}. */
  onCut(stream: ServerStream): void {
    this.#resets.put(stream.id, ErrorCode.internalError);
    this.#close(stream, "the reply has been sent");
  }

  /** See {@linkcode SenderOwner.onOutput}. */
  onOutput(): void {
    this.#owner.onOutput();
  }

  /** The open stream of that number; `null` if it is closed. */
  #find(id: number): ServerStream | null {
    if (id > this.#seenId || (id & 1) === 0) {
      throw protocolFault("a frame is for a stream that nobody opened");
    }
    return this.#streams.get(id);
  }

  #answer(stream: ServerStream, reply: Reply): void {
    stream.isAnswered = true;
    if (stream.isClosed) {
      this.#orphans--;
      return dropReply(reply);
    }
    stream.body?.abandon("the reply came first");
    try {
      this.#sender.send(stream, reply);
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      // A reply that HTTP cannot express: the client learns that there was one, no more.
      dropReply(reply);
      this.#sender.send(stream, FAILURE);
    }
    this.#owner.onOutput();
  }

  #takeTrailers(id: number, block: Bytes, start: number, end: number, isLast: boolean): void {
    const check = new TrailerCheck();
    this.#requests.skip(block, start, end, check);
    const stream = this.#streams.get(id);
    if (stream === null) {
      if (!this.#resets.has(id)) throw protocolFault("a stream's number is used again");
      return this.#allowance.spendFrame();
    }
    const { body } = stream;
    if (body === null || body.complete) return this.#break(stream, ErrorCode.streamClosed);
    if (!isLast || check.fault || !body.take(EMPTY, true)) {
      return this.#break(stream, ErrorCode.protocolError);
    }
    this.#onBodyComplete(stream);
  }

  /** Has a body's window opened as far as it needs, once it is wanted and known to be long. */
  #askForRoom(stream: ServerStream, body: StreamBody): void {
    if (stream.hasAskedForRoom || !body.wanted || !body.isLong) return;
    stream.hasAskedForRoom = true;
    const missingBytes = Math.min(body.expectedBytes, WINDOW_MAX) - WINDOW_AT_FIRST;
    if (missingBytes > 0) this.#budget.ask(stream, missingBytes);
  }

  #onBodyComplete(stream: ServerStream): void {
    this.#bodiesOpen--;
    this.#budget.release(stream);
  }

  /** Ends a stream whose client broke a rule. */
  #break(stream: ServerStream, code: number): void {
    this.#resets.put(stream.id, code);
    this.#close(stream, "it is malformed");
    stream.depart();
    this.#allowance.spendReset();
  }

  #close(stream: ServerStream, why: string): void {
    if (stream.isClosed) return;
    stream.isClosed = true;
    this.#streams.remove(stream);
    const { body, reply } = stream;
    stream.reply = null;
    if (body !== null) {
      if (!body.complete) this.#bodiesOpen--;
      body.abandon(why);
    }
    this.#budget.release(stream);
    if (!stream.isAnswered) this.#orphans++;
    const source = reply?.source ?? null;
    if (source !== null) cancelSource(source);
    if (this.#phase === "last call" && this.isIdle) this.#phase = "over";
  }

  #callLast(): void {
    this.#phase = "last call";
    this.output.putGoaway(this.#lastId, ErrorCode.noError);
    if (this.isIdle) this.#phase = "over";
    this.#owner.onOutput();
  }

  #end(code: number): void {
    this.output.putGoaway(this.#lastId, code);
    this.abort();
    this.#owner.onOutput();
  }

  #sweepStream(stream: ServerStream, nowMs: number): void {
    const limitMs = this.#limitMs(stream);
    if (limitMs === Infinity || stream.stalledSinceMs < 0) {
      stream.stalledSinceMs = limitMs === Infinity ? -1 : nowMs;
    } else if (nowMs - stream.stalledSinceMs >= limitMs) {
      this.#resets.put(stream.id, ErrorCode.cancel);
      this.#close(stream, "the client has stopped");
      stream.depart();
      this.#owner.onOutput();
    }
  }

  /** How long this stream may wait for its client; without limit while it does not. */
  #limitMs(stream: ServerStream): number {
    const { body, reply } = stream;
    if (reply !== null && reply.leftBytes > 0) return this.#context.writeMs;
    const isAwaited = body !== null && body.wanted && stream.receiveWindow > 0;
    return isAwaited ? this.#context.limits.bodyMs : Infinity;
  }
}

function tooWide(): ConnectionFault {
  return new ConnectionFault(ErrorCode.flowControlError, "a window is too wide");
}
