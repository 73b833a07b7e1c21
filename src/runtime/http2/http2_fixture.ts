/**
 * For tests of HTTP/2: frames byte by byte, and a session without a socket.
 *
 * @module
 */

import type { Reply, ServerRequest } from "../../ports.ts";
import { ManualClock } from "../manual_clock_fixture.ts";
import { BufferPool, Slab } from "../slab.ts";
import { Flag, FRAME_HEAD_BYTES, FrameType, putFrameHead, putUint32, readUint31 } from "./frame.ts";
import { HpackDecoder } from "./hpack_decoder.ts";
import type { Http2Context } from "./http2_context.ts";
import { http2Limits, type Http2Options } from "./http2_options.ts";
import { ReplyFieldsEncoder } from "./reply_fields.ts";
import { Http2Session } from "./session.ts";
import { encodeSettings } from "./settings.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A frame that came out. */
export interface Frame {
  /** One of `FrameType`. */
  readonly type: number;
  /** Bits of `Flag`. */
  readonly flags: number;
  /** Stream, 0 for the connection. */
  readonly id: number;
  /** What it carries. */
  readonly payload: Bytes;
}

/** Names and values in the order they are sent. */
export type Fields = readonly (readonly [string, string])[];

/** A request's first fields. */
export const GET: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "test"],
];
/** The same, for one with a body. */
export const POST: Fields = [[":method", "POST"], ...GET.slice(1)];

/** Bytes one behind the other. */
export function joined(...parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Bytes of hexadecimal digits; blanks do not matter. */
export function hex(digits: string): Bytes {
  const pairs = digits.replace(/\s/g, "").match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

/** Bytes of a text. */
export function bytesOf(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** Any frame. */
export function frame(type: number, flags: number, id: number, payload: Uint8Array): Bytes {
  const bytes = new Uint8Array(FRAME_HEAD_BYTES + payload.length);
  bytes.set(payload, putFrameHead(bytes, 0, payload.length, type, flags, id));
  return bytes;
}

/** A header block of literals that nobody remembers. */
export function block(fields: Fields): Bytes {
  return joined(
    ...fields.flatMap(([name, value]) => [Uint8Array.of(0), text(name), text(value)]),
  );
}

function text(value: string): Bytes {
  const bytes = Uint8Array.from(value, (character) => character.charCodeAt(0));
  if (bytes.length < 127) return joined(Uint8Array.of(bytes.length), bytes);
  const length = [127];
  let left = bytes.length - 127;
  for (; left >= 128; left >>>= 7) length.push(left & 127 | 128);
  return joined(Uint8Array.from([...length, left]), bytes);
}

/** HEADERS with a whole block. */
export function headers(id: number, fields: Fields, isLast = true): Bytes {
  const flags = Flag.endHeaders | (isLast ? Flag.endStream : 0);
  return frame(FrameType.headers, flags, id, block(fields));
}

/** DATA. */
export function data(id: number, payload: string | Uint8Array, isLast = true): Bytes {
  const bytes = typeof payload === "string" ? bytesOf(payload) : payload;
  return frame(FrameType.data, isLast ? Flag.endStream : 0, id, bytes);
}

/** SETTINGS. */
export function settings(...pairs: readonly (readonly [number, number])[]): Bytes {
  return frame(FrameType.settings, 0, 0, encodeSettings(pairs));
}

/** RST_STREAM. */
export function reset(id: number, code = 8): Bytes {
  return frame(FrameType.rstStream, 0, id, uint32(code));
}

/** WINDOW_UPDATE. */
export function widen(id: number, increment: number): Bytes {
  return frame(FrameType.windowUpdate, 0, id, uint32(increment));
}

/** PING. */
export function ping(payload = new Uint8Array(8), flags = 0): Bytes {
  return frame(FrameType.ping, flags, 0, payload);
}

/** Four bytes. */
export function uint32(value: number): Bytes {
  const bytes = new Uint8Array(4);
  putUint32(bytes, 0, value);
  return bytes;
}

/** Cuts bytes into frames. */
export function framesOf(bytes: Bytes): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length;) {
    const sizeBytes = readUint31(bytes, at) >>> 8;
    const next = at + FRAME_HEAD_BYTES + sizeBytes;
    frames.push({
      type: bytes[at + 3] ?? -1,
      flags: bytes[at + 4] ?? -1,
      id: readUint31(bytes, at + 5),
      payload: bytes.slice(at + FRAME_HEAD_BYTES, next),
    });
    if (next > bytes.length) throw new Error("Cannot cut frames: the last one is not whole");
    at = next;
  }
  return frames;
}

/** How a scene differs from the usual. */
export interface SceneOptions extends Http2Options {
  /** See `ConnectionContext`; 4,096 by default. */
  readonly headBytesMax?: number;
  /** Answers; by default with method, path and body. */
  readonly handle?: (request: ServerRequest) => Promise<Reply>;
}

/** A session, its client's side in the hands of a test. */
export class SessionScene {
  readonly clock = new ManualClock(1_000_000);
  readonly session: Http2Session;
  readonly context: Http2Context;
  readonly #decoder = new HpackDecoder();
  #held: Bytes = new Uint8Array(0);

  /** Says hello in both directions. */
  constructor(options: SceneOptions = {}) {
    this.context = {
      handle: options.handle ?? echo,
      refuse: (status, message) => ({ status, headers: [], body: message }),
      headBytesMax: options.headBytesMax ?? 4_096,
      headMs: 10_000,
      idleMs: 75_000,
      writeMs: 120_000,
      buffers: new BufferPool(16_384, 4),
      slab: new Slab(),
      limits: http2Limits(options),
      replies: new ReplyFieldsEncoder(this.clock),
      held: { count: 0 },
    };
    this.session = new Http2Session(this.context, { onOutput: () => {} });
  }

  /** With the SETTINGS of both sides out of the way. */
  static open(options: SceneOptions = {}): SessionScene {
    const scene = new SessionScene(options);
    scene.send(settings());
    scene.frames();
    return scene;
  }

  /** Sends bytes, whatever they are. */
  send(...parts: readonly Uint8Array[]): void {
    const bytes = joined(this.#held, ...parts);
    this.#held = bytes.slice(this.session.take(bytes, 0, bytes.length));
  }

  /** What is to be written, once all promises have settled; it counts as written then. */
  async answer(...parts: readonly Uint8Array[]): Promise<Frame[]> {
    this.send(...parts);
    const frames: Frame[] = [];
    for (let quiet = 0; quiet < 2; quiet++) {
      await settled();
      const more = this.frames();
      if (more.length > 0) quiet = 0;
      frames.push(...more);
    }
    return frames;
  }

  /** What is to be written now. */
  frames(): Frame[] {
    const { session } = this;
    const bytes = session.output.takeAll();
    session.onWriting();
    const frames = framesOf(bytes.slice());
    session.output.giveBack(bytes);
    session.onWritten();
    return frames;
  }

  /** Lets time go by, with the server's sweeps. */
  pass(ms: number): void {
    const endMs = this.clock.nowMs() + ms;
    while (this.clock.nowMs() < endMs) {
      this.clock.advance(500);
      this.session.sweep(this.clock.nowMs());
    }
  }

  /** The fields of a reply's HEADERS. */
  fields({ payload }: Frame): Record<string, string> {
    const fields: Record<string, string> = {};
    this.#decoder.decode(payload, 0, payload.length, {
      take: ({ name, value }) => void (fields[name] = value),
    });
    return fields;
  }
}

/** Waits until all has run that does not wait for the outside: some turns of the microtask queue. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await Promise.resolve();
}

async function echo(request: ServerRequest): Promise<Reply> {
  const body = await request.bytes(1_000_000);
  if (body === null) return { status: 413, headers: [], body: null };
  const { pathname } = new URL(request.url);
  const sent = new TextDecoder().decode(body);
  return {
    status: 200,
    headers: [["x-kind", "echo"]],
    body: `${request.method} ${pathname} ${sent}`,
  };
}

/** What frames are in short: `HEADERS 1`, `DATA 1 END`, `RST 1 code`, `GOAWAY last code`. */
export function short(frames: readonly Frame[]): string[] {
  return frames.map(({ type, flags, id, payload }) => {
    const end = (flags & Flag.endStream) !== 0;
    switch (type) {
      case FrameType.data:
        return `DATA ${id} ${payload.length}${end ? " END" : ""}`;
      case FrameType.headers:
        return `HEADERS ${id}${end ? " END" : ""}`;
      case FrameType.rstStream:
        return `RST ${id} ${readUint31(payload, 0)}`;
      case FrameType.settings:
        return end ? "SETTINGS ACK" : "SETTINGS";
      case FrameType.ping:
        return end ? "PING ACK" : "PING";
      case FrameType.goaway:
        return `GOAWAY ${readUint31(payload, 0)} ${readUint31(payload, 4)}`;
      case FrameType.windowUpdate:
        return `WINDOW ${id} ${readUint31(payload, 0)}`;
      default:
        return `TYPE ${type}`;
    }
  });
}
