import assert from "node:assert/strict";
import type { Reply, ServerRequest } from "../../ports.ts";
import { Feed } from "../http_server_fixture.ts";
import { Flag, FrameType } from "./frame.ts";
import {
  block,
  bytesOf,
  data,
  type Fields,
  type Frame,
  frame,
  GET,
  headers,
  joined,
  POST,
  SessionScene,
  settings,
  short,
} from "./http2_fixture.ts";

function textOf(frames: readonly Frame[], id: number): string {
  const parts = frames.filter((one) => one.type === FrameType.data && one.id === id);
  return new TextDecoder().decode(joined(...parts.map(({ payload }) => payload)));
}

function headOf(scene: SessionScene, frames: readonly Frame[], id = 1): Record<string, string> {
  const head = frames.find((one) => one.type === FrameType.headers && one.id === id);
  assert.ok(head !== undefined);
  return scene.fields(head);
}

function only(reply: Reply): { handle: () => Promise<Reply> } {
  return { handle: () => Promise.resolve(reply) };
}

Deno.test("Http2Session says hello with its settings and a wide window", () => {
  const scene = new SessionScene({ streamsMax: 50, headBytesMax: 4_096 });
  const hello = scene.frames();
  assert.deepEqual(short(hello), ["SETTINGS", `WINDOW 0 ${16 * 1_048_576 - 65_535}`]);
  assert.deepEqual([...hello[0]?.payload ?? []], [0, 3, 0, 0, 0, 50, 0, 6, 0, 0, 16, 0]);
  scene.send(settings([4, 100_000], [0xf00d, 1]));
  assert.deepEqual(short(scene.frames()), ["SETTINGS ACK"]);
});

Deno.test("Http2Session answers requests with and without a body", async () => {
  const scene = SessionScene.open();
  const plain = await scene.answer(headers(1, GET));
  assert.deepEqual(short(plain), ["HEADERS 1", "DATA 1 6 END"]);
  assert.equal(textOf(plain, 1), "GET / ");
  assert.deepEqual(headOf(scene, plain), {
    ":status": "200",
    "x-kind": "echo",
    "date": new Date(scene.clock.wallMs()).toUTCString(),
    "content-length": "6",
  });
  const posted = await scene.answer(
    headers(3, POST, false),
    data(3, "he", false),
    data(3, "llo", false),
    data(3, ""),
  );
  assert.equal(textOf(posted, 3), "POST / hello");
  const empty = await scene.answer(headers(5, POST, false), data(5, ""));
  assert.equal(textOf(empty, 5), "POST / ");
  assert.equal(scene.context.held.count, 0);
});

Deno.test("Http2Session sends no body where there is none", async () => {
  const head: Fields = [[":method", "HEAD"], ...GET.slice(1)];
  const scene = SessionScene.open();
  const frames = await scene.answer(headers(1, head));
  assert.deepEqual(short(frames), ["HEADERS 1 END"]);
  assert.equal(headOf(scene, frames)["content-length"], "7");
  for (const [status, length] of [[204, undefined], [304, undefined], [200, "0"]] as const) {
    const other = SessionScene.open(only({ status, headers: [], body: null }));
    const sent = await other.answer(headers(1, GET));
    assert.deepEqual(short(sent), ["HEADERS 1 END"]);
    assert.equal(headOf(other, sent)["content-length"], length);
  }
  const feed = new Feed();
  const streamed = SessionScene.open(only({ status: 200, headers: [], body: feed }));
  assert.deepEqual(short(await streamed.answer(headers(1, head))), ["HEADERS 1 END"]);
  await feed.cancelled;
});

Deno.test("Http2Session takes padding, priorities, pieces of a header block, and trailers", async () => {
  const scene = SessionScene.open();
  const padded = joined(Uint8Array.of(3), block(GET), new Uint8Array(3));
  const priority = joined(Uint8Array.of(0, 0, 0, 0, 7), block(GET));
  const both = joined(Uint8Array.of(2, 0, 0, 0, 0, 7), block(GET), new Uint8Array(2));
  const ending = Flag.endHeaders | Flag.endStream;
  const frames = await scene.answer(
    frame(FrameType.headers, ending | Flag.padded, 1, padded),
    frame(FrameType.headers, ending | Flag.priority, 3, priority),
    frame(FrameType.headers, ending | Flag.padded | Flag.priority, 5, both),
    frame(FrameType.priority, 0, 99, new Uint8Array(5)),
    frame(0x77, 0xff, 99, bytesOf("unknown")),
    frame(FrameType.goaway, 0, 0, new Uint8Array(8)),
  );
  for (const id of [1, 3, 5]) assert.equal(textOf(frames, id), "GET / ");
  const bytes = block(POST);
  const pieces = await scene.answer(
    frame(FrameType.headers, 0, 7, bytes.subarray(0, 5)),
    frame(FrameType.continuation, 0, 7, bytes.subarray(5, 5)),
    frame(FrameType.continuation, Flag.endHeaders, 7, bytes.subarray(5)),
    frame(
      FrameType.data,
      Flag.padded,
      7,
      joined(Uint8Array.of(4), bytesOf("body"), new Uint8Array(4)),
    ),
    headers(7, [["x-checksum", "1"]]),
  );
  assert.equal(textOf(pieces, 7), "POST / body");
  assert.ok(!scene.session.isOver);
});

Deno.test("Http2Session hands out a request's fields", async () => {
  let seen: ServerRequest | null = null;
  const handle = (request: ServerRequest): Promise<Reply> => {
    seen = request;
    return Promise.resolve({ status: 200, headers: [], body: null });
  };
  const scene = SessionScene.open({ handle });
  await scene.answer(headers(1, [
    ...GET.slice(0, 2),
    [":path", "/a%20b?c=d"],
    [":authority", "example.com:81"],
    ["cookie", "a=1"],
    ["x-twice", "1"],
    ["cookie", "b=2"],
    ["x-twice", "2"],
    ["te", "trailers"],
  ]));
  const request = seen as ServerRequest | null;
  assert.ok(request !== null);
  assert.equal(request.url, "http://example.com:81/a%20b?c=d");
  assert.equal(request.method, "GET");
  assert.equal(request.headers.get("Cookie"), "a=1; b=2");
  assert.equal(request.headers.get("x-twice"), "1, 2");
  assert.equal(request.headers.get("host"), "example.com:81");
  assert.ok(request.headers.has("TE"));
  assert.ok(!request.headers.has("x-none"));
  assert.equal(request.headers.get(":path"), null);
  assert.equal(request.headers.sizeBytes, 2 * (9 + 4) + 2 * (8 + 4) + 2 + 8 + 4);
  assert.equal((await request.bytes(10))?.length, 0);
});

Deno.test("Http2Session keeps requests apart that share a header block", async () => {
  const scene = SessionScene.open();
  const ids = Array.from({ length: 20 }, (_, at) => at * 2 + 1);
  const heads = ids.map((id) => headers(id, POST, false));
  const bodies = ids.toReversed().map((id) => data(id, `number ${id}`));
  const frames = await scene.answer(...heads, ...bodies);
  for (const id of ids) assert.equal(textOf(frames, id), `POST / number ${id}`);
});

Deno.test("Http2Session answers 500 where a handler fails or a reply cannot be sent", async () => {
  const failures: (() => Promise<Reply>)[] = [
    () => Promise.reject(new Error("no")),
    () => {
      throw new Error("no");
    },
    () => Promise.resolve({ status: 200, headers: [["x", "a\nb"]], body: "x" }),
    () => Promise.resolve({ status: 200, headers: [["x y", "a"]], body: "x" }),
    () => Promise.resolve({ status: 99, headers: [], body: "x" }),
  ];
  for (const handle of failures) {
    const scene = SessionScene.open({ handle });
    const frames = await scene.answer(headers(1, GET));
    assert.deepEqual(short(frames), ["HEADERS 1 END"]);
    assert.equal(headOf(scene, frames)[":status"], "500");
    assert.ok(scene.session.isIdle);
  }
});

Deno.test("Http2Session sends headers as they are, without those that are HTTP/1.1's", async () => {
  const long = "v".repeat(40_000);
  const scene = SessionScene.open(only({
    status: 418,
    headers: [["Content-Type", "text/plain"], ["connection", "close"], ["x-long", long]],
    body: "tea",
  }));
  const frames = await scene.answer(headers(1, GET));
  const head = frames.filter(({ type }) =>
    type === FrameType.headers || type === FrameType.continuation
  );
  assert.equal(head.length, 3);
  const [first] = head;
  assert.ok(first !== undefined);
  const whole = { ...first, payload: joined(...head.map(({ payload }) => payload)) };
  const { "x-long": sent, date: _, ...rest } = scene.fields(whole);
  assert.equal(sent, long);
  assert.deepEqual(rest, { ":status": "418", "content-type": "text/plain", "content-length": "3" });
});

Deno.test("Http2Session tells a client to go on, once its body is wanted", async () => {
  const expecting: Fields = [...POST, ["expect", "100-continue"]];
  const scene = SessionScene.open();
  scene.send(headers(1, expecting, false));
  const first = scene.frames();
  assert.deepEqual(short(first).slice(0, 1), ["HEADERS 1"]);
  assert.equal(headOf(scene, first)[":status"], "100");
  assert.equal(textOf(await scene.answer(data(1, "x")), 1), "POST / x");
  const early = SessionScene.open();
  const frames = await early.answer(headers(1, expecting, false), data(1, "x"));
  assert.equal(textOf(frames, 1), "POST / x");
});

Deno.test("Http2Session refuses what is too large or cannot be done, and goes on", async () => {
  const scene = SessionScene.open({ headBytesMax: 300 });
  const large = await scene.answer(headers(1, [...GET, ["x", "y".repeat(300)]]));
  assert.equal(headOf(scene, large)[":status"], "431");
  const connect = await scene.answer(headers(3, [[":method", "CONNECT"], [":authority", "a:1"]]));
  assert.equal(headOf(scene, connect, 3)[":status"], "501");
  assert.equal(textOf(await scene.answer(headers(5, GET)), 5), "GET / ");
});

Deno.test("Http2Session ends a request whose reply came before its body", async () => {
  const scene = SessionScene.open(only({ status: 413, headers: [], body: "no" }));
  const frames = await scene.answer(headers(1, POST, false), data(1, "part", false));
  assert.deepEqual(short(frames).slice(-3), ["HEADERS 1", "DATA 1 2 END", "RST 1 0"]);
  // The client did not know: what it still sends is passed over.
  const rest = await scene.answer(data(1, "more", false), headers(1, [["x-trailer", "1"]]));
  assert.deepEqual(short(rest), []);
  assert.equal(scene.context.held.count, 0);
});

Deno.test("ServerRequest.bytes gives null for a body that is too long", async () => {
  const lengths: (number | null)[] = [];
  const handle = async (request: ServerRequest): Promise<Reply> => {
    lengths.push((await request.bytes(4))?.length ?? null);
    return { status: 200, headers: [], body: null };
  };
  const scene = SessionScene.open({ handle });
  await scene.answer(headers(1, [...POST, ["content-length", "5"]], false));
  await scene.answer(headers(3, POST, false), data(3, "123", false), data(3, "45"));
  await scene.answer(headers(5, POST, false), data(5, "1234"));
  await scene.answer(headers(7, [...POST, ["content-length", "4"]], false), data(7, "1234"));
  assert.deepEqual(lengths, [null, null, 4, 4]);
});

const MALFORMED: readonly (readonly [string, Fields])[] = [
  ["without a method", GET.slice(1)],
  ["without a scheme", [...GET.slice(0, 1), ...GET.slice(2)]],
  ["without a path", [...GET.slice(0, 2), ...GET.slice(3)]],
  ["without a host", GET.slice(0, 3)],
  ["with an empty path", [...GET.slice(0, 2), [":path", ""], ...GET.slice(3)]],
  ["with a relative path", [...GET.slice(0, 2), [":path", "a"], ...GET.slice(3)]],
  ["with a blank in its path", [...GET.slice(0, 2), [":path", "/a b"], ...GET.slice(3)]],
  ["with two methods", [[":method", "GET"], ...GET]],
  ["with two paths", [[":path", "/"], ...GET]],
  ["with a broken method", [[":method", "G T"], ...GET.slice(1)]],
  ["with an unknown pseudo-header", [...GET, [":what", "x"]]],
  ["with a pseudo-header of replies", [...GET, [":status", "200"]]],
  ["with a pseudo-header behind others", [["x", "y"], ...GET]],
  ["with capital letters in a name", [...GET, ["X-Name", "y"]]],
  ["with an empty name", [...GET, ["", "y"]]],
  ["with a line break in a value", [...GET, ["x", "a\r\nb"]]],
  ["with a zero in a value", [...GET, ["x", "a\0b"]]],
  ["with blanks around a value", [...GET, ["x", " a"]]],
  ["with connection", [...GET, ["connection", "close"]]],
  ["with transfer-encoding", [...GET, ["transfer-encoding", "chunked"]]],
  ["with te: gzip", [...GET, ["te", "gzip"]]],
  ["with two hosts", [...GET, ["host", "other"]]],
  ["with user information", [...GET.slice(0, 3), [":authority", "a@b"]]],
  ["with two lengths", [...GET, ["content-length", "0"], ["content-length", "0"]]],
  ["with a broken length", [...GET, ["content-length", "-1"]]],
  ["with a length but no body", [...GET, ["content-length", "1"]]],
];

for (const [what, fields] of MALFORMED) {
  Deno.test(`Http2Session resets a request ${what}`, async () => {
    let handled = 0;
    const scene = SessionScene.open({
      handle: () => {
        handled++;
        return Promise.resolve({ status: 200, headers: [], body: null });
      },
    });
    assert.deepEqual(short(await scene.answer(headers(1, fields))), ["RST 1 1"]);
    assert.equal(handled, 0);
    assert.deepEqual(short(await scene.answer(headers(3, GET))), ["HEADERS 3 END"]);
  });
}

Deno.test("Http2Session understands a repeated header block anew once the table has changed", async () => {
  const seen: (string | null)[] = [];
  const scene = SessionScene.open({
    handle: async (request) => {
      await request.bytes(10);
      seen.push(request.headers.get("x-a"));
      return { status: 200, headers: [], body: null };
    },
  });
  const remember = (value: string) => {
    return joined(Uint8Array.of(0x40), block([["x-a", value]]).subarray(1));
  };
  const newest = joined(block(POST), Uint8Array.of(0x80 | 62));
  const head = (id: number, bytes: Uint8Array) =>
    frame(FrameType.headers, Flag.endHeaders, id, bytes);
  const trailers = (id: number, bytes: Uint8Array) => frame(FrameType.headers, 5, id, bytes);
  await scene.answer(head(1, joined(block(POST), remember("1"))), data(1, ""));
  await scene.answer(head(3, newest), data(3, ""), head(5, newest), data(5, ""));
  await scene.answer(head(7, newest), trailers(7, remember("2")), head(9, newest), data(9, ""));
  await scene.answer(head(11, joined(block(POST), remember("3"))), data(11, ""));
  await scene.answer(head(13, newest), data(13, ""));
  assert.deepEqual(seen, ["1", "1", "1", "1", "2", "3", "3"]);
});
