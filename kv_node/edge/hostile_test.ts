/**
 * Requests that no proper client sends: each is answered with a 4xx that says
 * why, and leaves nothing behind.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Clock, ServerRequest } from "../../src/ports.ts";
import { RawClient } from "../../src/runtime/http_server_fixture.ts";
import { type HttpServer, serveHttp } from "../../src/runtime/http_server.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { fetchResponse, serverRequest } from "../../src/runtime/fetch_adapter.ts";
import { checkCommand, checkRanges, checkWatchedKeys } from "../txn/limits.ts";
import type { Mutation } from "../types.ts";
import { encodeSnapshotRead } from "../wire/read.ts";
import { encodeWatch } from "../wire/watch.ts";
import { type AtomicWrite, encodeAtomicWrite } from "../wire/write.ts";
import type { EdgeOptions } from "./edge.ts";
import { EdgeScene } from "./edge_fixture.ts";
import { ManualClock } from "../../src/runtime/manual_clock_fixture.ts";

const CHECKS = { ranges: checkRanges, command: checkCommand, watch: checkWatchedKeys };
const READ = "/default/data/snapshot_read";
const WRITE = "/default/data/atomic_write";
const WATCH = "/default/data/watch";
const START_MS = 1_800_000_000_000;
const TEXT = /^text\/plain/;

type Bytes = Uint8Array<ArrayBuffer>;

/** A listener behind the project's own HTTP/1.1 server. */
class Scene extends EdgeScene implements AsyncDisposable {
  readonly server: HttpServer;
  handled = 0;

  constructor(options: Partial<EdgeOptions> = {}, clock: Clock = systemClock) {
    super(clock, CHECKS, options);
    this.server = serveHttp({
      host: "127.0.0.1",
      port: 0,
      clock: systemClock,
      handle: (request) => {
        this.handled++;
        return this.edge.handle(request);
      },
      refuse: (status, message) => this.edge.refuse(status, message),
    });
  }

  async post(
    path: string,
    body: BodyInit = new Uint8Array(),
    headers: Record<string, string> = this.headers(),
  ): Promise<{ readonly status: number; readonly text: string; readonly headers: Headers }> {
    return await this.send(path, { method: "POST", headers, body });
  }

  async send(path: string, init: RequestInit) {
    const response = await fetch(this.server.url + path, init);
    const { status, headers } = response;
    const text = await response.text();
    if (status >= 400) {
      assert.match(headers.get("content-type") ?? "", TEXT);
      if (init.method !== "HEAD") assert.match(text, /^Cannot [^\n]+[^.\n]$/);
    }
    return { status, text, headers };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.edge.stop();
    await this.server.stop(0);
    assert.deepEqual(this.metrics.faults, []);
    assert.deepEqual([this.metrics.watchesOpen, this.main.watching], [0, 0]);
  }
}

function text(value: string): Bytes {
  return new TextEncoder().encode(value);
}

function set(key: Bytes, data: Bytes = text("value")): Mutation {
  return { type: "set", key, value: { data, encoding: 3 }, expiresMs: null };
}

function write(mutations: readonly Mutation[], rest: Partial<AtomicWrite> = {}): Bytes {
  return encodeAtomicWrite({ command: { checks: [], mutations }, enqueues: [], ...rest });
}

function read(limit: number, count = 1): Bytes {
  const range = { start: text("a"), end: text("b"), limit, reverse: false };
  return encodeSnapshotRead(Array.from({ length: count }, () => range));
}

Deno.test("GET and HEAD of / tell people what this is", async () => {
  await using scene = new Scene();
  const get = await scene.send("/", {});
  assert.equal(get.status, 200);
  assert.match(get.text, /KV Connect[^]*Deno\.openKv/);
  assert.equal((await scene.send("/", { method: "HEAD" })).status, 200);
});

Deno.test("wrong methods and paths are 405 and 404", async () => {
  await using scene = new Scene();
  for (
    const [method, path] of [["GET", "/default"], ["PUT", "/"], ["GET", READ], ["HEAD", WATCH]]
  ) {
    const { status, headers } = await scene.send(path ?? "", { method: method ?? "" });
    assert.deepEqual([status, headers.get("allow")], [405, "POST"], `${method} ${path}`);
  }
  const paths = [
    "/default/",
    "/a/b/c",
    "/default/data",
    "/default/data/",
    `${READ}/`,
    "/%00",
    "/a.b",
  ];
  for (const path of [...paths, `/${"a".repeat(65)}`, "/default/queue/send", "/missing"]) {
    assert.equal((await scene.post(path, '{"supportedVersions":[3]}')).status, 404, path);
  }
});

Deno.test("the metadata exchange agrees on the newest version that both speak", async () => {
  await using scene = new Scene();
  for (const [versions, version] of [["[1,2,3]", 3], ["[2]", 2], ["[9,3,2]", 3]] as const) {
    const { status, text, headers } = await scene.post("/", `{"supportedVersions":${versions}}`);
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), "application/json");
    const metadata = JSON.parse(text);
    assert.deepEqual(Object.keys(metadata), [
      ...["version", "databaseId", "endpoints", "token", "expiresAt"],
    ]);
    assert.deepEqual([metadata.version, metadata.databaseId], [version, scene.main.id]);
    const url = `${scene.server.url}/default/data`;
    assert.deepEqual(metadata.endpoints, [{ url, consistency: "strong" }]);
  }
});

Deno.test("the metadata exchange tells where the link is to who asks, and to nobody else", async () => {
  await using scene = new Scene({ linkAddress: (host) => `link of ${host}` });
  const asked = await scene.post("/", '{"supportedVersions":[3],"weir":true}');
  const host = new URL(scene.server.url).host;
  assert.deepEqual(JSON.parse(asked.text).weir, { link: `link of ${host}` });
  const stock = await scene.post("/", '{"supportedVersions":[1,2,3]}');
  assert.equal("weir" in JSON.parse(stock.text), false);
});

Deno.test("metadata live 15 s for Deno and 5 min 15 s for others, their token a day", async () => {
  const clock = new ManualClock(START_MS);
  await using scene = new Scene({}, clock);
  for (const [agent, lifeMs] of [["Deno/2.9.6", 15_000], ["node", 315_000]] as const) {
    const headers = { "user-agent": agent };
    const { text } = await scene.post("/", '{"supportedVersions":[3]}', headers);
    const { expiresAt, token } = JSON.parse(text);
    assert.equal(Date.parse(expiresAt), START_MS + lifeMs);
    assert.notEqual(scene.tokens.verify(token, START_MS + 86_399_999), "expired");
    assert.equal(scene.tokens.verify(token, START_MS + 86_400_000 + 60_000), "expired");
  }
});

Deno.test("a metadata exchange that cannot be is 4xx", async () => {
  await using scene = new Scene();
  const bodies = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    '{"supportedVersions":3}',
    '{"supportedVersions":[1]}',
  ];
  for (const body of [...bodies, '{"supportedVersions":["3"]}', new Uint8Array([0xff, 0xfe])]) {
    assert.equal((await scene.post("/", body)).status, 400, String(body));
  }
  assert.equal((await scene.post("/", "x".repeat(20_000))).status, 413);
  scene.node.accessToken = "right";
  for (const authorization of ["", "Bearer", "Bearer wrong", "Basic right", "right"]) {
    const reply = await scene.post("/", '{"supportedVersions":[3]}', { authorization });
    assert.deepEqual([reply.status, reply.headers.get("www-authenticate")], [401, "Bearer"]);
  }
  const headers = { authorization: "bearer right" };
  assert.equal((await scene.post("/", '{"supportedVersions":[3]}', headers)).status, 200);
});

Deno.test("a data token that is wrong, old, revoked or for something else is 401", async () => {
  await using scene = new Scene();
  const good = scene.token();
  const nowMs = scene.clock.wallMs();
  const cases: ReadonlyArray<readonly [string | null, RegExp]> = [
    [null, /no data token/],
    ["Bearer", /no data token/],
    [`Basic ${good}`, /no data token/],
    ["Bearer nonsense", /not signed here/],
    [`Bearer ${good.slice(0, -1)}`, /not signed here/],
    [`Bearer ${"a".repeat(5_000)}`, /not signed here/],
    [`Bearer ${scene.token({ expiresMs: nowMs - 1_000 })}`, /has expired/],
    [`Bearer ${scene.token({ databaseId: scene.other.id })}`, /for something else/],
    [`Bearer ${scene.token({ scope: "other" })}`, /for something else/],
    [`Bearer ${scene.token({ epoch: 9 })}`, /was revoked/],
  ];
  for (const [authorization, why] of cases) {
    const { authorization: _, ...headers } = scene.headers();
    const sent = authorization === null ? headers : { ...headers, authorization };
    const reply = await scene.post(READ, read(1), sent);
    assert.equal(reply.status, 401, String(why));
    assert.match(reply.text, why);
    assert.equal(reply.text.includes(good.slice(-20)), false);
  }
  assert.equal((await scene.post(READ, read(1))).status, 200);
  const headers = scene.headers();
  scene.node.epoch++;
  assert.equal((await scene.post(READ, read(1), headers)).status, 401);
});

Deno.test("wrong headers of the data path are refused by name", async () => {
  await using scene = new Scene();
  const cases: ReadonlyArray<readonly [string, string | null, number, RegExp]> = [
    ["x-denokv-database-id", scene.other.id, 403, /x-denokv-database-id/],
    ["x-denokv-database-id", null, 403, /x-denokv-database-id/],
    ["x-denokv-version", "1", 400, /x-denokv-version/],
    ["x-denokv-version", "4", 400, /x-denokv-version/],
    ["x-denokv-version", null, 400, /x-denokv-version/],
    ["content-type", "application/json", 415, /content-type/],
    ["content-type", "application/x-protobufs", 415, /content-type/],
  ];
  for (const [name, value, status, why] of cases) {
    const { [name]: _, ...others } = scene.headers();
    const headers = value === null ? others : { ...others, [name]: value };
    const reply = await scene.post(READ, read(1), headers);
    assert.equal(reply.status, status, `${name}: ${value}`);
    assert.match(reply.text, why);
  }
  const { "content-type": _, ...untyped } = scene.headers();
  assert.equal((await scene.post(READ, read(1), untyped)).status, 200);
  const old = { ...scene.headers(), "x-denokv-version": "2" };
  assert.equal((await scene.post(READ, read(1), old)).status, 200);
  assert.equal((await scene.post(WATCH, encodeWatch([text("a")]), old)).status, 400);
});

Deno.test("limits are refused with their name, and counted by it", async () => {
  await using scene = new Scene();
  const large = new Uint8Array(70_000);
  const keys = Array.from({ length: 11 }, (_, at) => text(`k${at}`));
  const cases: ReadonlyArray<readonly [string, Bytes, string]> = [
    [READ, read(1, 11), "rangesMax"],
    [READ, read(1_001), "entriesMax"],
    [WRITE, write([set(text("k"), large)]), "valueBytesMax"],
    [WRITE, write([set(large.slice(0, 2_049))]), "keyBytesMax"],
    [WRITE, write(Array.from({ length: 1_001 }, () => set(text("k")))), "mutationsMax"],
    [
      WRITE,
      write(Array.from({ length: 13 }, () => set(text("k"), large.slice(0, 65_536)))),
      "commitBytesMax",
    ],
    [WATCH, encodeWatch(keys), "watchedKeysMax"],
  ];
  for (const [path, body, limit] of cases) {
    const { status, text } = await scene.post(path, body);
    assert.equal(status, 400, limit);
    assert.ok(text.includes(limit), text);
  }
  assert.deepEqual(scene.metrics.limits, cases.map(([, , limit]) => limit));
});

Deno.test("enqueue is refused with the reason, and nothing of its commit is done", async () => {
  await using scene = new Scene();
  const message = { payload: text("p"), deadlineMs: 0, keysIfUndelivered: [], backoffSchedule: [] };
  const { status, text: why } = await scene.post(
    WRITE,
    write([set(text("k"))], { enqueues: [message] }),
  );
  assert.equal(status, 400);
  assert.match(why, /Cannot enqueue: KV Connect .* POST \/NAME\/queue/);
  const row = scene.main.read([{
    start: scene.main.prefixOf("data"),
    end: scene.main.prefixOf("queue"),
    limit: 9,
    reverse: false,
  }]);
  assert.deepEqual(row, [[]]);
});

Deno.test("bodies that are too long are 413, announced or in chunks", async () => {
  await using scene = new Scene({ bodyBytesMax: 10_000 });
  const long = new Uint8Array(10_001);
  assert.equal((await scene.post(WRITE, long)).status, 413);
  const pieces = [long.slice(0, 6_000), long.slice(0, 6_000)];
  assert.equal((await scene.post(WRITE, ReadableStream.from(pieces))).status, 413);
  assert.equal(
    (await scene.post(WRITE, write([set(text("k"), long.slice(0, 9_000))]))).status,
    200,
  );
});

Deno.test("a body that comes too slowly is 408, and one that breaks off harms nobody", async () => {
  const clock = new ManualClock(START_MS);
  await using scene = new Scene({ bodyMs: 5_000 }, clock);
  const head = `POST ${WRITE} HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n` +
    Object.entries(scene.headers()).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  using slow = await RawClient.connect(scene.server.port);
  await slow.send(`${head}\r\nabc`);
  while (scene.handled < 1) await turn();
  await slow.send("def");
  clock.advance(4_000);
  await turn();
  assert.deepEqual(scene.metrics.answers, []);
  clock.advance(2_000);
  const { status, body } = await slow.response();
  assert.equal(status, 408);
  assert.match(body, /did not arrive within 5 s/);
  {
    using gone = await RawClient.connect(scene.server.port);
    await gone.send(`${head}\r\nabc`);
    while (scene.handled < 2) await turn();
  }
  while (scene.metrics.answers.length < 2) await turn();
  assert.deepEqual(scene.metrics.answers, ["write 408", "write 400"]);
  assert.equal(clock.pending <= 1, true);
});

Deno.test("a body that comes too slowly is 408 behind the runtime's server too", async () => {
  const clock = new ManualClock(START_MS);
  const scene = new EdgeScene(clock, CHECKS, { bodyMs: 5_000 });
  let handled = 0;
  const handler = async (request: Request): Promise<Response> => {
    handled++;
    return fetchResponse(await scene.edge.handle(serverRequest(request)));
  };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  using slow = await RawClient.connect(server.addr.port);
  const headers = Object.entries(scene.headers()).map(([name, value]) => `${name}: ${value}\r\n`);
  await slow.send(
    `POST ${WRITE} HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n${headers.join("")}\r\nabc`,
  );
  while (handled === 0) await turn();
  while (clock.pending === 0) await turn();
  clock.advance(6_000);
  assert.match(await slow.until("\r\n\r\n"), /^HTTP\/1\.1 408 /);
  scene.edge.stop();
});

Deno.test("too many watches are 503, and places become free", async () => {
  await using scene = new Scene({ watchesMax: 2 });
  const body = encodeWatch([text("a")]);
  const init = { method: "POST", headers: scene.headers(), body };
  const open = [];
  for (let at = 0; at < 2; at++) open.push(await fetch(scene.server.url + WATCH, init));
  const { status, headers } = await scene.post(WATCH, body);
  assert.deepEqual([status, headers.get("retry-after")], [503, "1"]);
  for (const response of open) await response.body?.cancel();
  while (scene.metrics.watchesOpen > 0) await turn();
  const again = await fetch(scene.server.url + WATCH, init);
  assert.equal(again.headers.get("content-type"), "application/octet-stream");
  await again.body?.cancel();
  while (scene.metrics.watchesOpen > 0) await turn();
});

Deno.test("what nobody should have thrown is a 500 without details, and is reported", async () => {
  const scene = new EdgeScene(systemClock, CHECKS);
  scene.main.failure = new Error("A secret of the machine");
  const request = requestOf(scene, READ, read(1));
  const reply = await scene.edge.handle(request);
  assert.equal(reply.status, 500);
  assert.equal(String(reply.body).includes("secret"), false);
  assert.deepEqual(scene.metrics.faults, [scene.main.failure]);
  scene.edge.stop();
});

Deno.test("mutated bodies are answered or refused with a text, never a 500", async () => {
  const scene = new EdgeScene(systemClock, CHECKS);
  const random = new Uint32Array([Number(Deno.env.get("SEED") ?? 1)]);
  const below = (limit: number): number => {
    random[0] = Math.imul(random[0] ?? 0, 1_664_525) + 1_013_904_223;
    return ((random[0] ?? 0) >>> 8) % limit;
  };
  const statuses = new Map<number, number>();
  const sources = sourcesOf();
  for (let round = 0; round < 10_000; round++) {
    const [path, body] = sources[round % sources.length] ?? [READ, new Uint8Array()];
    const reply = await scene.edge.handle(requestOf(scene, path, mutated(body, below)));
    const { status } = reply;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status === 200) {
      if (path === WATCH) (reply.body as { cancel(): void }).cancel();
    } else {
      assert.ok(status >= 400 && status < 500, `${status} in round ${round}`);
      assert.match(String(reply.body), /^Cannot /);
    }
  }
  assert.deepEqual(scene.metrics.faults, []);
  assert.deepEqual([scene.main.watching, scene.metrics.watchesOpen], [0, 0]);
  assert.ok((statuses.get(200) ?? 0) > 500 && (statuses.get(400) ?? 0) > 500, "Too one-sided");
  scene.edge.stop();
});

Deno.test("garbage over HTTP is refused with a text on every endpoint", async () => {
  await using scene = new Scene();
  const headers = scene.headers();
  for (let round = 0; round < 150; round++) {
    const body = crypto.getRandomValues(new Uint8Array(round % 40));
    body[0] = 0xff;
    for (const path of [READ, WRITE, WATCH, "/"]) {
      if (body.length === 0 && path !== "/") continue;
      assert.equal((await scene.post(path, body, headers)).status, 400, body.toHex());
    }
  }
});

/** One proper body for everything that can be asked. */
function sourcesOf(): ReadonlyArray<readonly [string, Bytes]> {
  const check = { key: text("k"), stamp: new Uint8Array(10) };
  const sum: Mutation = {
    type: "sum",
    key: text("n"),
    value: { data: new Uint8Array(8).fill(1), encoding: 2 },
    bounds: { min: null, max: null, clamp: false },
  };
  const remove: Mutation = { type: "delete", key: text("k") };
  const checked = encodeAtomicWrite({
    command: { checks: [check], mutations: [set(text("k"))] },
    enqueues: [],
  });
  return [
    [READ, read(10, 3)],
    [WRITE, write([set(text("k")), sum, remove])],
    [WRITE, checked],
    [WATCH, encodeWatch([text("k"), text("n")])],
  ];
}

/** One to four changes of bytes: a flip, a cut, a piece twice, a piece of chance. */
function mutated(source: Bytes, below: (limit: number) => number): Bytes {
  let bytes = [...source];
  for (let change = below(4); change >= 0; change--) {
    const at = below(bytes.length + 1);
    switch (below(4)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
        break;
      case 1:
        bytes = bytes.slice(0, at);
        break;
      case 2:
        bytes.splice(at, 0, ...bytes.slice(below(bytes.length + 1), at));
        break;
      default:
        bytes.splice(at, below(4), ...Array.from({ length: below(12) }, () => below(256)));
    }
  }
  return new Uint8Array(bytes);
}

function requestOf(scene: EdgeScene, path: string, body: Bytes): ServerRequest {
  const headers = new Headers(scene.headers());
  return {
    method: "POST",
    url: `http://127.0.0.1:4512${path}`,
    headers: {
      get: (name) => headers.get(name),
      has: (name) => headers.has(name),
      sizeBytes: 0,
    },
    signal: new AbortController().signal,
    bytes: (bytesMax) => Promise.resolve(body.length > bytesMax ? null : body),
  };
}

/** Lets everybody else do what there is to do. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
