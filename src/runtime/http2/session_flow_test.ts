import assert from "node:assert/strict";
import type { Reply, ServerRequest } from "../../ports.ts";
import { Feed } from "../http_server_fixture.ts";
import { ErrorCode } from "./error_code.ts";
import { Flag, FrameType, Setting } from "./frame.ts";
import {
  data,
  type Fields,
  type Frame,
  frame,
  GET,
  headers,
  joined,
  POST,
  reset,
  type SceneOptions,
  SessionScene,
  settings,
  short,
  widen,
} from "./http2_fixture.ts";

/** Answers with so many bytes as the path says. */
const SIZED: SceneOptions = {
  handle: (request: ServerRequest): Promise<Reply> => {
    const count = Number(new URL(request.url).pathname.slice(1));
    const body = Uint8Array.from({ length: count }, (_, at) => at % 251);
    return Promise.resolve({ status: 200, headers: [], body });
  },
};

function get(id: number, count: number): Uint8Array {
  return headers(id, [...GET.slice(0, 2), [":path", `/${count}`], ...GET.slice(3)]);
}

function bytesSent(frames: readonly Frame[], id: number): number {
  const own = frames.filter((one) => one.type === FrameType.data && one.id === id);
  return own.reduce((sum, { payload }) => sum + payload.length, 0);
}

function post(id: number, lengthBytes: number): Uint8Array {
  const fields: Fields = [...POST, ["content-length", String(lengthBytes)]];
  return headers(id, fields, false);
}

Deno.test("Http2Session sends no more than a stream's window, and goes on when it opens", async () => {
  const scene = SessionScene.open(SIZED);
  const first = await scene.answer(settings([Setting.initialWindowSize, 10]), get(1, 25));
  assert.deepEqual(short(first), ["SETTINGS ACK", "HEADERS 1", "DATA 1 10"]);
  assert.deepEqual(short(await scene.answer(widen(1, 1))), ["DATA 1 1"]);
  // What the settings add counts for open streams too, and can make a window smaller than nothing.
  assert.deepEqual(short(await scene.answer(settings([4, 12]))), ["SETTINGS ACK", "DATA 1 2"]);
  assert.deepEqual(short(await scene.answer(settings([4, 2]))), ["SETTINGS ACK"]);
  assert.deepEqual(short(await scene.answer(widen(1, 10))), []);
  assert.deepEqual(short(await scene.answer(widen(1, 1))), ["DATA 1 1"]);
  assert.deepEqual(short(await scene.answer(widen(1, 100))), ["DATA 1 11 END"]);
});

Deno.test("Http2Session sends no more than the connection's window, to all in turn", async () => {
  const scene = SessionScene.open(SIZED);
  const first = await scene.answer(get(1, 65_535), get(3, 40_000), get(5, 40_000));
  assert.equal(bytesSent(first, 1) + bytesSent(first, 3) + bytesSent(first, 5), 65_535);
  assert.deepEqual(await scene.answer(widen(3, 50_000)), []);
  const rest = await scene.answer(widen(0, 100_000));
  for (const [id, size] of [[1, 65_535], [3, 40_000], [5, 40_000]] as const) {
    assert.equal(bytesSent(first, id) + bytesSent(rest, id), size);
  }
  const order = short(rest).filter((text) => text.startsWith("DATA"));
  assert.notEqual(order[0]?.slice(0, 6), order[1]?.slice(0, 6));
  assert.ok(scene.session.isIdle);
});

Deno.test("Http2Session sends a long body whole and unchanged, in frames that all take", async () => {
  const scene = SessionScene.open(SIZED);
  const frames = await scene.answer(
    widen(0, 10_000_000),
    settings([4, 10_000_000]),
    get(1, 1_000_000),
  );
  const own = frames.filter(({ type }) => type === FrameType.data);
  const body = joined(...own.map(({ payload }) => payload));
  assert.equal(body.length, 1_000_000);
  assert.ok(body.every((byte, at) => byte === at % 251));
  assert.ok(own.every(({ payload }) => payload.length <= 16_384));
});

Deno.test("Http2Session keeps no more output than it has room for", async () => {
  const scene = SessionScene.open(SIZED);
  scene.send(widen(0, 10_000_000), settings([4, 10_000_000]), get(1, 1_000_000));
  await Promise.resolve();
  await Promise.resolve();
  assert.ok(scene.session.output.size > 60_000);
  assert.ok(scene.session.output.size < 100_000);
});

Deno.test("Http2Session pulls a stream only when its last piece has been written", async () => {
  const feed = new Feed();
  const scene = SessionScene.open({
    handle: () => Promise.resolve({ status: 200, headers: [], body: feed }),
  });
  assert.deepEqual(short(await scene.answer(headers(1, GET))), ["HEADERS 1"]);
  assert.equal(feed.pulls, 1);
  feed.push("one", "two");
  await Promise.resolve();
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  assert.ok(scene.session.output.size > 0);
  assert.equal(feed.pulls, 1);
  assert.deepEqual(short(await scene.answer()), ["DATA 1 6"]);
  assert.equal(feed.pulls, 2);
  // A window of nothing: settings take away what the stream began with.
  await scene.answer(settings([4, 0]));
  feed.push("x".repeat(70_000));
  assert.deepEqual(short(await scene.answer()), []);
  const part = await scene.answer(widen(1, 106));
  assert.equal(bytesSent(part, 1), 100);
  assert.equal(feed.pulls, 2);
  const rest = await scene.answer(widen(0, 100_000), widen(1, 100_000));
  assert.equal(bytesSent(rest, 1), 69_900);
  assert.equal(feed.pulls, 3);
  feed.end();
  assert.deepEqual(short(await scene.answer()), ["DATA 1 0 END"]);
});

Deno.test("Http2Session resets a stream that breaks after all it gave", async () => {
  const feed = new Feed();
  const scene = SessionScene.open({
    handle: () => Promise.resolve({ status: 200, headers: [], body: feed }),
  });
  feed.push("abc");
  feed.fail();
  const frames = short(await scene.answer(headers(1, GET)));
  assert.deepEqual(frames, ["HEADERS 1", "DATA 1 3", `RST 1 ${ErrorCode.internalError}`]);
  assert.ok(!scene.session.isOver);
});

Deno.test("Http2Session sends something at once where a body is not complete", async () => {
  const scene = SessionScene.open();
  const small = await scene.answer(post(1, 5_003));
  // The window is full: it grows by one, so that the client's system gets its acknowledgement.
  assert.deepEqual(short(small), ["WINDOW 0 1"]);
  const partial = data(1, "x".repeat(5_000), false);
  assert.deepEqual(short(await scene.answer(partial.subarray(0, 3_000))), ["WINDOW 0 1"]);
  assert.deepEqual(short(await scene.answer(partial.subarray(3_000))), ["WINDOW 0 4998"]);
  const last = short(await scene.answer(data(1, "end")));
  assert.deepEqual(last.filter((text) => text.startsWith("WINDOW")), []);
  // Nothing is to be said between requests, nor where a request is there as a whole.
  assert.deepEqual(short(await scene.answer(headers(3, GET))), ["HEADERS 3", "DATA 3 6 END"]);
});

Deno.test("Http2Session does not widen the window without end for its acknowledgements", () => {
  const scene = SessionScene.open({ idleFramesMax: 1_000_000 });
  scene.send(post(1, 5));
  let widened = 0;
  const idle = frame(FrameType.priority, 0, 1, new Uint8Array(5));
  for (let at = 0; at < 70_000; at++) {
    scene.session.take(idle, 0, idle.length);
    if (scene.session.output.size > 0) widened += scene.frames().length;
  }
  assert.ok(widened > 65_000 && widened <= 65_536, String(widened));
});

Deno.test("Http2Session grants a long body all of its length when it is asked for", async () => {
  const scene = SessionScene.open();
  const [grant] = short(await scene.answer(post(1, 200_000)));
  assert.equal(grant, `WINDOW 1 ${200_000 - 65_535}`);
  const pieces = Array.from({ length: 20 }, (_, at) => data(1, "y".repeat(10_000), at === 19));
  const frames = await scene.answer(...pieces, widen(0, 1_000_000), widen(1, 1_000_000));
  assert.equal(bytesSent(frames, 1), 200_007);
  assert.equal(scene.context.held.count, 0);
});

Deno.test("Http2Session grants a body of unknown length what may come, once it is long", async () => {
  const scene = SessionScene.open();
  const own = (frames: Frame[]) => short(frames).filter((text) => text.startsWith("WINDOW 1"));
  const piece = data(1, "y".repeat(10_000), false);
  const first = await scene.answer(headers(1, POST, false), piece, piece, piece);
  assert.deepEqual(own(first), []);
  // The handler takes a million bytes; one more shows that it is too long.
  assert.deepEqual(own(await scene.answer(piece)), [`WINDOW 1 ${1_000_001 - 65_535}`]);
  assert.deepEqual(own(await scene.answer(piece)), []);
  const frames = await scene.answer(data(1, "end"), widen(0, 100_000), widen(1, 100_000));
  assert.equal(bytesSent(frames, 1), 50_003 + 7);
});

Deno.test("Http2Session grants long bodies in turn where memory is short", async () => {
  const scene = SessionScene.open({ bodyBytesMax: 100_000 });
  const grants = (frames: Frame[]) => {
    return short(frames).filter((text) =>
      text.startsWith("WINDOW") && !text.startsWith("WINDOW 0")
    );
  };
  const granted = 80_000;
  const first = await scene.answer(post(1, 65_535 + granted), post(3, 65_535 + granted));
  assert.deepEqual(grants(first), [`WINDOW 1 ${granted}`]);
  assert.deepEqual(grants(await scene.answer(post(5, 65_536))), []);
  // Whoever gives up makes room: for the next in order.
  assert.deepEqual(grants(await scene.answer(reset(1))), [`WINDOW 3 ${granted}`, "WINDOW 5 1"]);
  // More than all of the memory is granted alone.
  assert.deepEqual(grants(await scene.answer(post(7, 400_000))), []);
  assert.deepEqual(grants(await scene.answer(reset(3), reset(5))), [
    `WINDOW 7 ${400_000 - 65_535}`,
  ]);
});

Deno.test("Http2Session resets a stream that sends more than its window", async () => {
  const blocked = Promise.withResolvers<Reply>();
  const scene = SessionScene.open({ handle: () => blocked.promise });
  const pieces = Array.from({ length: 4 }, () => data(1, "z".repeat(16_384), false));
  const frames = short(await scene.answer(headers(1, POST, false), ...pieces));
  assert.ok(frames.includes(`RST 1 ${ErrorCode.flowControlError}`), String(frames));
  assert.equal(scene.context.held.count, 0);
});

Deno.test("Http2Session ends a connection that sends more than its window", async () => {
  const scene = SessionScene.open({ idleFramesMax: 1_000_000 });
  await scene.answer(headers(1, GET));
  const piece = data(1, new Uint8Array(16_384), false);
  // In one go: nothing of it was acknowledged.
  scene.send(...Array.from({ length: 1_025 }, () => piece));
  assert.deepEqual(short(scene.frames()).at(-1), `GOAWAY 1 ${ErrorCode.flowControlError}`);
});

Deno.test("Http2Session opens the connection's window again, whoever the bytes were for", async () => {
  const scene = SessionScene.open({ idleFramesMax: 1_000_000 });
  await scene.answer(headers(1, GET));
  const piece = data(1, new Uint8Array(16_384), false);
  let opened = 0;
  for (let at = 0; at < 2_000; at++) {
    scene.send(piece);
    if (scene.session.output.size === 0) continue;
    for (const text of short(scene.frames())) {
      if (text.startsWith("WINDOW 0")) opened += Number(text.slice(9));
    }
  }
  assert.ok(!scene.session.isOver);
  assert.ok(opened >= 2_000 * 16_384 - 8 * 1_048_576, String(opened));
});

Deno.test("Http2Session gives padding back to its stream", async () => {
  const scene = SessionScene.open();
  const padded = joined(Uint8Array.of(200), Uint8Array.of(7), new Uint8Array(200));
  const frames = await scene.answer(
    headers(1, POST, false),
    frame(FrameType.data, Flag.padded, 1, padded),
  );
  assert.ok(short(frames).includes("WINDOW 1 201"));
});
