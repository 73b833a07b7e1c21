import assert from "node:assert/strict";
import { ErrorCode } from "./error_code.ts";
import { Flag, FrameType, Setting } from "./frame.ts";
import {
  block,
  bytesOf,
  data,
  frame,
  GET,
  headers,
  hex,
  joined,
  ping,
  POST,
  reset,
  SessionScene,
  settings,
  short,
  widen,
} from "./http2_fixture.ts";

const { protocolError, flowControlError, streamClosed, frameSizeError, compressionError } =
  ErrorCode;
const NOTHING = new Uint8Array(0);

/** What ends the whole connection, and with which code. */
const CONNECTION_FAULTS: readonly (readonly [string, Uint8Array, number])[] = [
  [
    "a frame longer than 16,384 bytes",
    frame(FrameType.data, 0, 1, new Uint8Array(16_385)),
    frameSizeError,
  ],
  ["DATA for stream 0", data(0, "x"), protocolError],
  ["DATA for a stream that nobody opened", data(5, "x"), protocolError],
  [
    "DATA with more padding than room",
    frame(FrameType.data, Flag.padded, 1, Uint8Array.of(2, 0)),
    protocolError,
  ],
  [
    "DATA too short for its padding",
    frame(FrameType.data, Flag.padded, 1, NOTHING),
    frameSizeError,
  ],
  ["HEADERS for stream 0", headers(0, GET), protocolError],
  ["HEADERS with an even number", headers(2, GET), protocolError],
  [
    "HEADERS with more padding than room",
    frame(FrameType.headers, Flag.padded | Flag.endHeaders, 5, Uint8Array.of(9, 0x82)),
    protocolError,
  ],
  [
    "HEADERS too short for its priority",
    frame(FrameType.headers, Flag.priority | Flag.endHeaders, 5, Uint8Array.of(1)),
    frameSizeError,
  ],
  [
    "a header block that is none",
    frame(FrameType.headers, Flag.endHeaders, 5, hex("80")),
    compressionError,
  ],
  [
    "trailers that are no header block",
    frame(FrameType.headers, Flag.endHeaders | Flag.endStream, 3, hex("80")),
    compressionError,
  ],
  [
    "a header block that another frame interrupts",
    joined(frame(FrameType.headers, 0, 5, block(GET)), ping()),
    protocolError,
  ],
  [
    "a header block that another stream continues",
    joined(
      frame(FrameType.headers, 0, 5, block(GET)),
      frame(FrameType.continuation, 4, 7, NOTHING),
    ),
    protocolError,
  ],
  [
    "CONTINUATION of nothing",
    frame(FrameType.continuation, Flag.endHeaders, 1, NOTHING),
    protocolError,
  ],
  ["PRIORITY for stream 0", frame(FrameType.priority, 0, 0, new Uint8Array(5)), protocolError],
  ["PRIORITY of 4 bytes", frame(FrameType.priority, 0, 1, new Uint8Array(4)), frameSizeError],
  ["RST_STREAM for stream 0", reset(0), protocolError],
  ["RST_STREAM for a stream that nobody opened", reset(5), protocolError],
  ["RST_STREAM of 3 bytes", frame(FrameType.rstStream, 0, 1, new Uint8Array(3)), frameSizeError],
  ["SETTINGS for a stream", frame(FrameType.settings, 0, 1, NOTHING), protocolError],
  ["SETTINGS of 5 bytes", frame(FrameType.settings, 0, 0, new Uint8Array(5)), frameSizeError],
  [
    "an acknowledgement of settings with content",
    frame(FrameType.settings, Flag.ack, 0, new Uint8Array(6)),
    frameSizeError,
  ],
  ["ENABLE_PUSH of 2", settings([Setting.enablePush, 2]), protocolError],
  ["INITIAL_WINDOW_SIZE of 2^31", settings([Setting.initialWindowSize, 2 ** 31]), flowControlError],
  ["MAX_FRAME_SIZE of 16,383", settings([Setting.maxFrameSize, 16_383]), protocolError],
  ["MAX_FRAME_SIZE of 2^24", settings([Setting.maxFrameSize, 2 ** 24]), protocolError],
  [
    "PUSH_PROMISE",
    frame(FrameType.pushPromise, Flag.endHeaders, 1, new Uint8Array(8)),
    protocolError,
  ],
  ["PING for a stream", frame(FrameType.ping, 0, 1, new Uint8Array(8)), protocolError],
  ["PING of 6 bytes", ping(new Uint8Array(6)), frameSizeError],
  ["GOAWAY for a stream", frame(FrameType.goaway, 0, 1, new Uint8Array(8)), protocolError],
  ["GOAWAY of 7 bytes", frame(FrameType.goaway, 0, 0, new Uint8Array(7)), frameSizeError],
  ["WINDOW_UPDATE by 0", widen(0, 0), protocolError],
  [
    "WINDOW_UPDATE of 5 bytes",
    frame(FrameType.windowUpdate, 0, 0, new Uint8Array(5)),
    frameSizeError,
  ],
  ["WINDOW_UPDATE for a stream that nobody opened", widen(5, 1), protocolError],
  ["WINDOW_UPDATE beyond 2^31 - 1", joined(widen(0, 2 ** 30), widen(0, 2 ** 30)), flowControlError],
  [
    "a window beyond 2^31 - 1 by new settings",
    joined(widen(3, 2 ** 31 - 1 - 65_535), settings([Setting.initialWindowSize, 65_536])),
    flowControlError,
  ],
  ["a number that was used", headers(1, GET), protocolError],
];

for (const [what, bytes, code] of CONNECTION_FAULTS) {
  Deno.test(`Http2Session ends a connection for ${what}`, async () => {
    const scene = SessionScene.open();
    await scene.answer(headers(1, GET));
    // One request is under way: its client is gone then.
    await scene.answer(headers(3, POST, false));
    assert.deepEqual(short(await scene.answer(bytes)).at(-1), `GOAWAY 3 ${code}`);
    assert.ok(scene.session.isOver);
    assert.ok(scene.session.isIdle);
    assert.deepEqual(await scene.answer(headers(9, GET)), []);
  });
}

/** What ends a stream only; 3 waits for its body, 5 for its reply. */
const STREAM_FAULTS: readonly (readonly [string, Uint8Array, number, number])[] = [
  ["DATA behind its end", data(5, "x"), 5, streamClosed],
  ["HEADERS behind its end", headers(5, [["x", "y"]]), 5, streamClosed],
  ["DATA on a stream that is over", data(1, "x"), 1, streamClosed],
  ["WINDOW_UPDATE by 0", widen(3, 0), 3, protocolError],
  ["WINDOW_UPDATE beyond 2^31 - 1", widen(3, 2 ** 31 - 1), 3, flowControlError],
  ["trailers that are not its end", headers(3, [["x", "y"]], false), 3, protocolError],
  ["trailers with a pseudo-header", headers(3, [[":path", "/"]]), 3, protocolError],
  ["trailers with a forbidden name", headers(3, [["X", "y"]]), 3, protocolError],
  ["more than its length", data(3, "123456", false), 3, protocolError],
  ["less than its length", data(3, "1234"), 3, protocolError],
  ["less than its length, by trailers", headers(3, [["x", "y"]]), 3, protocolError],
];

for (const [what, bytes, id, code] of STREAM_FAULTS) {
  Deno.test(`Http2Session resets a stream for ${what}, and goes on`, async () => {
    const waiting = Promise.withResolvers<void>();
    const departed: string[] = [];
    const scene = SessionScene.open({
      handle: async (request) => {
        request.signal.addEventListener("abort", () => departed.push(request.url));
        if (request.url.endsWith("/slow")) await waiting.promise;
        else await request.bytes(1_000);
        return { status: 200, headers: [], body: null };
      },
    });
    await scene.answer(headers(1, GET));
    await scene.answer(headers(3, [...POST, ["content-length", "5"]], false));
    await scene.answer(headers(5, [...GET.slice(0, 2), [":path", "/slow"], ...GET.slice(3)]));
    const frames = short(await scene.answer(bytes));
    assert.ok(frames.includes(`RST ${id} ${code}`), String(frames));
    assert.equal(departed.length, id === 1 ? 0 : 1);
    waiting.resolve();
    const after = short(await scene.answer(headers(7, GET)));
    assert.ok(after.includes("HEADERS 7 END"));
    assert.equal(after.includes("HEADERS 5 END"), id !== 5);
    assert.ok(!scene.session.isOver);
  });
}

Deno.test("Http2Session wants SETTINGS first", () => {
  for (const first of [ping(), headers(1, GET), frame(FrameType.settings, Flag.ack, 0, NOTHING)]) {
    const scene = new SessionScene();
    scene.frames();
    scene.send(first);
    assert.deepEqual(short(scene.frames()), [`GOAWAY 0 ${protocolError}`]);
  }
});

Deno.test("Http2Session answers pings with what they carry", async () => {
  const scene = SessionScene.open();
  const [answer] = await scene.answer(ping(bytesOf("12345678")));
  assert.equal(answer?.flags, Flag.ack);
  assert.deepEqual(answer?.payload, bytesOf("12345678"));
  assert.deepEqual(await scene.answer(ping(new Uint8Array(8), Flag.ack)), []);
});

Deno.test("Http2Session passes over resets and windows of streams that are over", async () => {
  const scene = SessionScene.open();
  await scene.answer(headers(1, GET));
  assert.deepEqual(await scene.answer(reset(1), widen(1, 5), widen(1, 0), reset(1)), []);
  assert.ok(!scene.session.isOver);
});

Deno.test("Http2Session ignores the reserved bit of stream numbers and windows", async () => {
  const scene = SessionScene.open();
  const bytes = joined(headers(1, GET), widen(0, 1));
  bytes[5] = 0x80;
  const at = bytes.length - 4;
  bytes[at] = 0x80;
  assert.deepEqual(short(await scene.answer(bytes)), ["HEADERS 1", "DATA 1 6 END"]);
});
