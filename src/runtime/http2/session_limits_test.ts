import assert from "node:assert/strict";
import type { Reply } from "../../ports.ts";
import { Feed } from "../http_server_fixture.ts";
import { ErrorCode } from "./error_code.ts";
import { Flag, FrameType, WINDOW_MAX } from "./frame.ts";
import {
  block,
  data,
  type Fields,
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

const NOTHING_BUT_PREFACE = new Uint8Array(0);
const CALM = `${ErrorCode.enhanceYourCalm}`;
const NEVER = { handle: () => new Promise<Reply>(() => {}) };

function times(count: number, bytes: Uint8Array): Uint8Array {
  return joined(...Array.from({ length: count }, () => bytes));
}

Deno.test("Http2Session gives a head its time, and no more", () => {
  const beginnings = [
    NOTHING_BUT_PREFACE,
    joined(settings(), hex("000004")),
    joined(settings(), headers(1, GET).subarray(0, 20)),
    joined(settings(), frame(FrameType.headers, Flag.endStream, 1, block(GET))),
  ];
  for (const bytes of beginnings) {
    const scene = new SessionScene();
    scene.send(bytes);
    scene.frames();
    scene.pass(9_500);
    assert.ok(!scene.session.isOver);
    scene.pass(1_500);
    assert.deepEqual(short(scene.frames()), [`GOAWAY 0 ${CALM}`]);
  }
});

Deno.test("Http2Session counts the time of one head, not of many", () => {
  const scene = SessionScene.open(NEVER);
  // A sweep always finds a head that is not complete, but never the same one twice.
  const [first, second] = [headers(1, GET), headers(3, GET)];
  let id = 1;
  scene.send(first.subarray(0, 12));
  for (let at = 0; at < 40; at++) {
    scene.pass(500);
    scene.send(headers(id, GET).subarray(12), headers(id + 2, GET).subarray(0, 12));
    id += 2;
  }
  assert.ok(!scene.session.isOver);
  assert.equal(first.length, second.length);
  // Pieces of one block are no progress.
  const slow = SessionScene.open(NEVER);
  slow.send(frame(FrameType.headers, 0, 1, block(GET)));
  for (let at = 0; at < 21; at++) {
    slow.pass(500);
    slow.send(frame(FrameType.continuation, 0, 1, new Uint8Array(0)));
  }
  assert.ok(slow.session.isOver);
});

Deno.test("Http2Session closes a connection that asks for nothing, whatever else it says", () => {
  const scene = SessionScene.open();
  for (let at = 0; at < 149; at++) {
    scene.pass(500);
    scene.send(ping());
    scene.frames();
  }
  assert.ok(!scene.session.isOver);
  scene.pass(1_500);
  const [leave, ...rest] = short(scene.frames());
  assert.equal(leave, `GOAWAY ${WINDOW_MAX} ${ErrorCode.noError}`);
  assert.deepEqual(rest, ["PING"]);
  scene.pass(1_000);
  assert.ok(scene.session.isOver);
  const busy = SessionScene.open(NEVER);
  busy.send(headers(1, GET));
  busy.pass(500_000);
  assert.ok(!busy.session.isOver);
});

Deno.test("Http2Session answers a request that was on its way when it was idle too long", async () => {
  const reply = { status: 200, headers: [], body: null };
  const scene = SessionScene.open({ handle: () => Promise.resolve(reply) });
  scene.pass(75_500);
  scene.frames();
  const answered = short(await scene.answer(headers(1, GET)));
  assert.match(answered.join(), /HEADERS 1/);
  assert.ok(!scene.session.isOver);
  const last = short(await scene.answer(ping(new Uint8Array(8), Flag.ack)));
  assert.deepEqual(last, [`GOAWAY 1 ${ErrorCode.noError}`]);
  assert.ok(scene.session.isOver);
});

Deno.test("Http2Session gives up a body that makes no progress", async () => {
  const failed: string[] = [];
  const scene = SessionScene.open({
    handle: async (request) => {
      await request.bytes(1_000).catch((error: Error) => failed.push(error.message));
      return { status: 200, headers: [], body: null };
    },
  });
  await scene.answer(headers(1, POST, false), headers(3, POST, false));
  for (let at = 0; at < 5; at++) {
    scene.pass(25_000);
    scene.send(data(1, "x", false));
    if (at === 1) {
      assert.ok(short(scene.frames()).includes(`RST 3 ${ErrorCode.cancel}`));
    }
  }
  const frames = short(await scene.answer(data(1, "x")));
  assert.ok(frames.includes("HEADERS 1 END"), String(frames));
  assert.deepEqual(failed, ["Cannot read body: the client has stopped"]);
});

Deno.test("Http2Session waits without limit where a body waits for this side", async () => {
  const scene = SessionScene.open({ bodyBytesMax: 10 });
  const long: Fields = [...POST, ["content-length", "100000"]];
  await scene.answer(headers(1, long, false), headers(3, long, false));
  // Its window is used up, and the other one has all memory.
  await scene.answer(
    ...[0, 1, 2, 3].map(() => data(3, "x".repeat(16_383), false)),
    data(3, "xyz", false),
  );
  for (let at = 0; at < 10; at++) {
    scene.pass(20_000);
    scene.send(data(1, "x", false));
  }
  assert.deepEqual(short(scene.frames()).filter((text) => text.startsWith("RST")), []);
  // A handler that does not ask is not the client's fault.
  const lazy = SessionScene.open(NEVER);
  await lazy.answer(headers(1, POST, false));
  lazy.pass(500_000);
  assert.deepEqual(short(lazy.frames()), []);
});

Deno.test("Http2Session gives up a reply that its client does not take", async () => {
  const feed = new Feed();
  const scene = SessionScene.open({
    handle: () => Promise.resolve({ status: 200, headers: [], body: feed }),
  });
  feed.push("x".repeat(100));
  await scene.answer(settings([4, 10]), headers(1, GET));
  scene.pass(119_000);
  scene.send(widen(1, 1));
  assert.deepEqual(short(scene.frames()), ["DATA 1 1"]);
  scene.pass(119_000);
  assert.deepEqual(short(scene.frames()), []);
  scene.pass(3_000);
  assert.deepEqual(short(scene.frames()), [`RST 1 ${ErrorCode.cancel}`]);
  await feed.cancelled;
  // A stream that has nothing to say may be silent for ever.
  const silent = SessionScene.open({
    handle: () => Promise.resolve({ status: 200, headers: [], body: new Feed() }),
  });
  await silent.answer(headers(1, GET));
  silent.pass(500_000);
  assert.deepEqual(short(silent.frames()), []);
});

Deno.test("Http2Session refuses more streams than it said, those included that were given up", async () => {
  const replies: PromiseWithResolvers<Reply>[] = [];
  const scene = SessionScene.open({
    streamsMax: 3,
    handle: () => {
      const reply = Promise.withResolvers<Reply>();
      replies.push(reply);
      return reply.promise;
    },
  });
  const first = await scene.answer(...[1, 3, 5, 7].map((id) => headers(id, GET)));
  assert.deepEqual(short(first), [`RST 7 ${ErrorCode.refusedStream}`]);
  assert.deepEqual(short(await scene.answer(reset(1), headers(9, GET))), [
    `RST 9 ${ErrorCode.refusedStream}`,
  ]);
  replies[0]?.resolve({ status: 200, headers: [], body: null });
  assert.deepEqual(short(await scene.answer()), []);
  await scene.answer(headers(11, GET));
  assert.equal(replies.length, 4);
});

Deno.test("Http2Session refuses bodies where all connections together hold too much", async () => {
  const scene = SessionScene.open({ ...NEVER, heldBytesMax: 20_000 });
  const frames = await scene.answer(
    headers(1, POST, false),
    data(1, "x".repeat(16_000), false),
    data(1, "x".repeat(16_000), false),
    headers(3, POST, false),
    headers(5, GET),
  );
  assert.deepEqual(short(frames).filter((text) => !text.startsWith("WINDOW")), [
    `RST 3 ${ErrorCode.refusedStream}`,
  ]);
  assert.ok(scene.context.held.count > 20_000);
  scene.session.abort();
  assert.equal(scene.context.held.count, 0);
});

/** What may come now and then, but not without end. */
const FLOODS: readonly (readonly [string, (at: number) => Uint8Array])[] = [
  ["pings", () => ping()],
  ["answers to pings", () => ping(new Uint8Array(8), Flag.ack)],
  ["settings", () => settings()],
  ["acknowledgements", () => frame(FrameType.settings, Flag.ack, 0, new Uint8Array(0))],
  ["priorities", () => frame(FrameType.priority, 0, 1, new Uint8Array(5))],
  ["unknown frames", () => frame(0x50, 0, 0, new Uint8Array(0))],
  ["empty pieces of a body", () => data(3, "", false)],
  ["windows", () => widen(0, 1)],
  ["windows of a stream", () => widen(3, 1)],
  ["resets of streams that are over", () => reset(1)],
  ["bytes for streams that are over", () => data(1, "x", false)],
  ["requests that are given up", (at) => joined(headers(at * 2 + 5, GET), reset(at * 2 + 5))],
  ["requests that are malformed", (at) => headers(at * 2 + 5, GET.slice(1))],
  ["settings in one frame", () => settings(...Array.from({ length: 100 }, () => [4, 9] as const))],
];

for (const [what, frameAt] of FLOODS) {
  Deno.test(`Http2Session ends a connection for a flood of ${what}`, async () => {
    const scene = SessionScene.open({ resetsMax: 200, idleFramesMax: 400 });
    await scene.answer(headers(1, GET), headers(3, POST, false));
    // As much as that is nothing unusual.
    for (let at = 0; at < 20; at++) {
      scene.send(frameAt(at));
      if (at % 3 === 0) scene.pass(500);
    }
    assert.ok(what === "settings in one frame" || !scene.session.isOver);
    for (let at = 20; at < 1_000 && !scene.session.isOver; at++) scene.send(frameAt(at));
    assert.equal(short(scene.frames()).at(-1)?.split(" ")[2], CALM);
  });
}

Deno.test("Http2Session ends a connection for a header block without end", () => {
  const [small, empty] = [new Uint8Array(1_000), new Uint8Array(0)];
  for (const piece of [small, empty]) {
    const scene = SessionScene.open();
    scene.send(frame(FrameType.headers, 0, 1, block(GET)));
    for (let at = 0; at < 40; at++) scene.send(frame(FrameType.continuation, 0, 1, piece));
    assert.deepEqual(short(scene.frames()), [`GOAWAY 0 ${CALM}`]);
  }
});

Deno.test("Http2Session answers 431 to a small block that stands for large fields", async () => {
  const scene = SessionScene.open({ headBytesMax: 16_384 });
  // One field of 4,000 bytes is remembered, then referred to by one byte each.
  const field = joined(hex("40"), block([["x", "y".repeat(3_900)]]).subarray(1));
  const bomb = joined(block(GET), field, times(10_000, hex("be")));
  const frames = await scene.answer(frame(FrameType.headers, 5, 1, bomb), headers(3, GET));
  assert.deepEqual(short(frames).filter((text) => text.startsWith("HEADERS")), [
    "HEADERS 1",
    "HEADERS 3",
  ]);
  const [first] = frames;
  assert.ok(first !== undefined);
  assert.equal(scene.fields(first)[":status"], "431");
});

Deno.test("Http2Session serves a busy client's windows and pings without complaint", async () => {
  const scene = SessionScene.open({ idleFramesMax: 20 });
  for (let at = 0; at < 50; at++) {
    const id = at * 2 + 1;
    const frames = await scene.answer(headers(id, GET), widen(0, 6), widen(id, 6), ping());
    assert.ok(short(frames).includes(`DATA ${id} 6 END`));
  }
});

Deno.test("Http2Session grants resets again with time, a fifth of them every second", async () => {
  /** Whether a client that gives up so many requests every half second is borne for long. */
  const isBorne = async (resets: number): Promise<boolean> => {
    const scene = SessionScene.open({ resetsMax: 100 });
    let id = 1;
    for (let round = 0; round < 60; round++) {
      for (let at = 0; at < resets; at++, id += 2) scene.send(headers(id, GET), reset(id));
      await scene.answer();
      scene.pass(500);
    }
    return !scene.session.isOver;
  };
  assert.deepEqual([await isBorne(9), await isBorne(14)], [true, false]);
});
