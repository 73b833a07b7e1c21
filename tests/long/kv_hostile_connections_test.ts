/**
 * A node among connections that mean it no good: thousands that say nothing or drip,
 * over HTTP/1.1, HTTP/2, the link and the operators' listener; requests without end,
 * resets without end, heads and bodies that are too long, wrong tokens and wrong
 * databases. Other clients are served meanwhile, and everything is let go of again.
 *
 * The node runs with its usual limits: a head has 10 s, a body 10 s, a greeting 5 s.
 */
import assert from "node:assert/strict";
import { encodeHello, LINK_PROTOCOL, MESSAGE } from "../../kv_node/link/messages.ts";
import { encodeSnapshotRead } from "../../kv_node/wire/read.ts";
import { encodeKey } from "../../kv_node/keyspace/key_codec.ts";
import { data, frame, headers, joined, reset } from "../../src/runtime/http2/http2_fixture.ts";
import { FrameType } from "../../src/runtime/http2/frame.ts";
import { RawClient } from "../../src/runtime/http_server_fixture.ts";
import { Crowd } from "../support/hostile_crowd.ts";
import { Bystanders } from "../support/kv_bystanders.ts";
import { HostileLink } from "../support/kv_hostile_link.ts";
import { KillableNode } from "../support/kv_killable_node.ts";
import { type DataPath, exchangeMetadata } from "../support/kv_raw.ts";
import { PREFACE, RawHttp2 } from "../support/raw_http2.ts";

const TOKEN = "a-token-that-is-long-enough";
/** Rounds of every bystander that show that it is served. */
const SERVED_ROUNDS = 30;
/** Most connections of a listener. */
const CONNECTIONS_MAX = 10_000;
const STREAMS_MAX = 1_024;
const CALM = 11;
/** Open files more than before that say nothing: clients keep a few connections. */
const FILES_SPARE = 30;
const CROWDS = 4;
/** Rounds of every bystander in which the node may collect its garbage. */
const SETTLED_ROUNDS = 100;
/** Growth of resident memory, from two crowds to two later ones, that is none. */
const GROWTH_MAX = 1.4;

/** What the steps share. */
interface Scene {
  readonly node: KillableNode;
  readonly bystanders: Bystanders;
  readonly path: DataPath;
  readonly port: number;
  readonly adminPort: number;
  readonly linkPort: number;
}

Deno.test("hostile connections are ended with a reason, others are served, nothing is left behind", async (t) => {
  await using node = new KillableNode({ token: TOKEN, flags: ["--segment-bytes", "1048576"] });
  await node.serve();
  await using bystanders = await Bystanders.open(node, TOKEN);
  const path = await exchangeMetadata(`${node.url}/hostile`, TOKEN);
  const { port, adminPort, linkPort } = portsOf(node);
  const scene = { node, bystanders, path, port, adminPort, linkPort };
  await bystanders.progress(SERVED_ROUNDS);
  const files = openFiles(node);
  const bytes: number[] = [];
  for (let time = 1; time <= CROWDS; time++) {
    await t.step(`thousands of silent and dripping connections, time ${time}`, async () => {
      await crowd(scene);
      await letGo(scene, files);
      await bystanders.progress(SETTLED_ROUNDS);
      bytes.push(await node.residentBytes());
    });
  }
  await t.step(`memory is level: MB ${bytes.map((one) => Math.round(one / 1e6))}`, () => {
    // What one crowd leaves behind may lie there until the garbage is collected next.
    const [before, after] = [Math.max(...bytes.slice(0, 2)), Math.min(...bytes.slice(2))];
    assert.ok(after <= before * GROWTH_MAX, String(bytes));
  });
  await t.step("more connections than the limit are closed, those before are served", async () => {
    await overflow(scene);
    await letGo(scene, files);
  });
  await t.step("10,000 streams and rapid resets of HTTP/2", async () => {
    await manyStreams(scene);
    await rapidResets(scene);
    await letGo(scene, files);
  });
  await t.step("heads and bodies that are too long", () => tooLong(scene));
  await t.step("wrong tokens and wrong databases", () => strangers(scene));
  await t.step("the node is well", async () => {
    await letGo(scene, files);
    assert.equal((await node.status()).phase, "serving");
    await using others = await Bystanders.open(node, TOKEN);
    await others.progress(SERVED_ROUNDS);
    const faults = node.run.lines.filter(({ event, level }) =>
      level === "error" || event === "kv.problem"
    );
    assert.deepEqual(faults, []);
    assert.equal(node.run.errorText, "");
    assert.ok(!JSON.stringify(node.run.lines).includes(TOKEN));
  });
});

function portsOf(node: KillableNode): Pick<Scene, "port" | "adminPort" | "linkPort"> {
  const [port, adminPort, linkPort] = node.start.ports;
  return { port, adminPort, linkPort };
}

/** All at once: whoever gets a time limit is told so, the others are hung up on. */
async function crowd(scene: Scene): Promise<void> {
  const { node, bystanders, path, port, adminPort, linkPort } = scene;
  using crowd = new Crowd();
  await crowd.silent(port, 2_500);
  await crowd.silent(linkPort, 300);
  await crowd.silent(adminPort, 300);
  const data = new URL(path.url).pathname;
  const fields = Object.entries(path.headers).map((pair) => `${pair.join(": ")}\r\n`).join("");
  const post = `POST ${data}/snapshot_read HTTP/1.1\r\nhost: a\r\n${fields}`;
  const ended = Promise.all([
    crowd.drip(port, 300, "POST /hostile HTTP/1.1\r\nhost: a\r\n", () => "x: y\r\n")
      .then(all(/^HTTP\/1\.1 408 [^]*Cannot read request: its head took longer than/)),
    crowd.drip(port, 300, `${post}content-length: 500\r\n\r\n`, () => "x").then(all(LATE)),
    crowd.drip(port, 300, `${post}transfer-encoding: chunked\r\n\r\n`, () => "1\r\nx\r\n")
      .then(all(LATE)),
    // Of these nobody knows yet in which words to be told.
    crowd.drip(port, 100, "", (turn) => PREFACE.subarray(turn, Math.min(turn + 1, 20)))
      .then(all(/^$/)),
    crowd.drip(linkPort, 300, new Uint8Array([90, 0]), () => new Uint8Array(1)).then(all(/^/)),
    ...Array.from({ length: 20 }, () => endlessBodies(crowd, scene)),
    ...Array.from({ length: 20 }, () => endlessHead(crowd, scene)),
    ...Array.from({ length: 20 }, () => endlessFrame(crowd, scene)),
  ]);
  await Promise.race([ended, bystanders.progress(SERVED_ROUNDS)]);
  assert.equal((await node.readiness()).status, 200);
  await ended;
  await bystanders.progress(SERVED_ROUNDS);
}

const LATE = /^HTTP\/1\.1 408 [^]*Cannot read body: it did not arrive within 10 s/;

function all(pattern: RegExp): (texts: readonly string[]) => void {
  return (texts) => {
    for (const text of texts) assert.match(text, pattern);
  };
}

/** 500 requests whose bodies drip, on one connection: each is told that it took too long. */
async function endlessBodies(crowd: Crowd, { path, port }: Scene): Promise<void> {
  using client = await RawHttp2.connect(port);
  const ids = oddNumbers(500);
  await client.send(...ids.map((id) => headers(id, fieldsOf(path), false)));
  const isOpen = (): boolean => !client.isEnded && client.over < ids.length;
  crowd.keepDripping(() => client.send(...ids.slice(0, 50).map(drop)), isOpen);
  await client.until(() => client.over === ids.length);
  assert.equal(client.goawayCode, null);
  for (const id of ids) {
    assert.equal(client.answers.get(id)?.status, 408);
    assert.match(client.answers.get(id)?.text ?? "", /^Cannot read body: it did not arrive/);
  }
}

function drop(id: number): Uint8Array {
  return data(id, "x", false);
}

/** A head in pieces of one byte: the connection is ended. */
async function endlessHead(crowd: Crowd, { port }: Scene): Promise<void> {
  using client = await RawHttp2.connect(port);
  await client.send(frame(FrameType.headers, 0, 1, new Uint8Array([0x82])));
  const piece = frame(FrameType.continuation, 0, 1, new Uint8Array([0x84]));
  crowd.keepDripping(() => client.send(piece), () => !client.isEnded);
  await client.until(() => false);
  assert.notEqual(client.goawayCode, null);
}

/** A request, and a frame that never comes to its end: the connection is ended in the end. */
async function endlessFrame(crowd: Crowd, { path, port }: Scene): Promise<void> {
  using client = await RawHttp2.connect(port);
  const whole = data(1, new Uint8Array(8_000), false);
  await client.send(headers(1, fieldsOf(path), false), whole.subarray(0, 9));
  const isOpen = (): boolean => !client.isEnded && client.over < 1;
  crowd.keepDripping((turn) => client.send(whole.subarray(9 + turn, 10 + turn)), isOpen);
  await client.until(() => client.over === 1);
  const { status = 0, resetCode = null } = client.answers.get(1) ?? {};
  assert.ok(status === 408 || resetCode !== null || client.goawayCode !== null);
}

/** Waits until the node has no more open files than before. */
async function letGo({ node, bystanders }: Scene, files: number): Promise<void> {
  // Each round is many turns of its event loop.
  for (let round = 0; openFiles(node) > files + FILES_SPARE; round++) {
    assert.ok(round < 200, `${openFiles(node)} open files are left, of ${files}`);
    await bystanders.progress(5);
  }
}

/** By another program: the runtime opens `/proc` only to who may do everything. */
function openFiles({ run: { pid } }: KillableNode): number {
  const { stdout } = new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).outputSync();
  return new TextDecoder().decode(stdout).split("\n").length;
}

async function overflow({ node, bystanders, port }: Scene): Promise<void> {
  using crowd = new Crowd();
  const clients = await crowd.silent(port, CONNECTIONS_MAX + 200);
  const closed = Promise.withResolvers<void>();
  let count = 0;
  for (const client of clients) {
    client.rest().then(() => {
      if (++count === 200) closed.resolve();
    }, () => {}); // This side has closed it.
  }
  await closed.promise;
  await bystanders.progress(SERVED_ROUNDS);
  assert.equal((await node.readiness()).status, 200);
}

/** 10,000 requests one after the other are answered; 10,000 at once are not, and told so. */
async function manyStreams({ path, port, bystanders }: Scene): Promise<void> {
  using patient = await RawHttp2.connect(port);
  for (let begun = 0; begun < 10_000; begun += 500) {
    const ids = oddNumbers(500, 2 * begun + 1);
    await patient.send(...ids.map((id) => headers(id, ABOUT)));
    await patient.until(() => patient.over === begun + 500);
  }
  assert.equal(patient.goawayCode, null);
  assert.ok([...patient.answers.values()].every(({ status }) => status === 200));
  const requests = joined(...oddNumbers(10_000).map((id) => headers(id, fieldsOf(path), false)));
  using greedy = await RawHttp2.connect(port);
  const sending = greedy.send(requests);
  await greedy.until(() => false);
  await sending;
  assert.equal(greedy.goawayCode, CALM);
  const answered = [...greedy.answers.values()].filter(({ resetCode }) => resetCode === null);
  assert.ok(answered.length <= STREAMS_MAX);
  await bystanders.progress(SERVED_ROUNDS);
}

async function rapidResets({ path, port, bystanders }: Scene): Promise<void> {
  const pairs = joined(
    ...oddNumbers(10_000).flatMap((id) => [headers(id, fieldsOf(path), false), reset(id)]),
  );
  await Promise.all(Array.from({ length: 20 }, async () => {
    using client = await RawHttp2.connect(port);
    const sending = client.send(pairs);
    await client.until(() => false);
    await sending;
    assert.equal(client.goawayCode, CALM);
  }));
  await bystanders.progress(SERVED_ROUNDS);
}

/** Numbers of so many streams. */
function oddNumbers(count: number, first = 1): readonly number[] {
  return Array.from({ length: count }, (_, at) => first + 2 * at);
}

async function tooLong({ node, path, port, adminPort, linkPort }: Scene): Promise<void> {
  const target = new URL(path.url).pathname;
  const fields = Object.entries(path.headers).map((pair) => `${pair.join(": ")}\r\n`).join("");
  const post = `POST ${target}/atomic_write HTTP/1.1\r\nhost: a\r\n${fields}`;
  const chunk = `${(65_536).toString(16)}\r\n${"x".repeat(65_536)}\r\n`;
  const admin = `PUT /databases/other HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${TOKEN}\r\n`;
  const cases: readonly (readonly [number, number, RegExp, string])[] = [
    [
      port,
      413,
      /Cannot take body: it is longer than 2097152 bytes/,
      `${post}content-length: 99999999\r\n\r\n`,
    ],
    [
      port,
      413,
      /Cannot take body: it is longer/,
      `${post}transfer-encoding: chunked\r\n\r\n${chunk.repeat(40)}`,
    ],
    [port, 431, /Cannot read request: /, `${post}x: ${"y".repeat(100_000)}\r\n\r\n`],
    [port, 431, /Cannot read request: /, post + "x: y\r\n".repeat(20_000) + "\r\n"],
    [port, 431, /Cannot read request: /, `GET /${"a".repeat(200_000)} HTTP/1.1\r\nhost: a\r\n\r\n`],
    [adminPort, 413, /Cannot /, `${admin}content-length: 1000000\r\n\r\n${"x".repeat(1_000_000)}`],
  ];
  for (const [where, status, text, request] of cases) {
    using client = await RawClient.connect(where);
    const sending = client.send(request);
    const response = await client.response();
    assert.equal(response.status, status, `${request.slice(0, 300)} ${response.body}`);
    assert.match(response.body, text);
    client.close();
    await sending;
  }
  using client = await RawHttp2.connect(port);
  const first = fieldsOf(path);
  // Each field counts for 32 bytes more than it has: the frame is none too long.
  const many = Array.from({ length: 60 }, () => ["x", ""] as const);
  await client.send(headers(1, [...first, ...many, ["x", "y".repeat(14_500)]], false));
  await client.send(headers(3, [...first, ["content-length", "99999999"]], false));
  await client.until(() => client.over === 2);
  assert.deepEqual([1, 3].map((id) => client.answers.get(id)?.status), [431, 413]);
  const told = await Promise.all([
    HostileLink.annoy(`127.0.0.1:${linkPort}`, new Uint8Array([255, 255, 255, 255, 1, 0, 0, 0, 0])),
    HostileLink.annoy(
      `127.0.0.1:${linkPort}`,
      HostileLink.frame(MESSAGE.hello, 0, new Uint8Array(100_000)),
    ),
  ]);
  assert.deepEqual(told, [MESSAGE.error, MESSAGE.error]);
  assert.equal((await node.status()).phase, "serving");
}

const ABOUT = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "a"],
] as const;

function fieldsOf({ url, headers }: DataPath): readonly (readonly [string, string])[] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", `${new URL(url).pathname}/snapshot_read`],
    [":authority", "a"],
    ...Object.entries(headers),
  ];
}

/** Tokens that are nearly right, and data tokens of another database. */
async function strangers({ node, path, linkPort }: Scene): Promise<void> {
  const other = await exchangeMetadata(`${node.url}/other`, TOKEN);
  const body = encodeSnapshotRead([
    { start: encodeKey(["a"]), end: encodeKey(["b"]), limit: 1, reverse: false },
  ]);
  const exchange = '{"supportedVersions":[3]}';
  const dataToken = path.headers.authorization?.slice("Bearer ".length) ?? "";
  const wrong = [...nearly(TOKEN), ...nearly(dataToken), dataToken.replace("weir1", "weir2")];
  for (const token of [...wrong, otherToken(other)]) {
    const headers = { ...path.headers, authorization: `Bearer ${token}` };
    const asked: readonly (readonly [string, string, Record<string, string>, BodyInit])[] = [
      [`${path.url}/snapshot_read`, "POST", headers, body],
      [`${path.url}/atomic_write`, "POST", headers, body],
      [`${path.url}/watch`, "POST", headers, body],
      [`${node.url}/hostile/queue/receive`, "POST", headers, "{}"],
      [`${node.url}/hostile`, "POST", headers, exchange],
      [`${node.adminUrl}/databases/hostile`, "PUT", headers, "{}"],
      [`${node.adminUrl}/databases/hostile/tokens`, "POST", headers, "{}"],
    ];
    for (const [url, method, headers, body] of asked) {
      const response = await fetch(url, { method, headers, body });
      assert.equal(response.status, 401, `${method} ${url}`);
      assert.match(await response.text(), /Cannot /);
    }
    const hello = encodeHello({ protocol: LINK_PROTOCOL, database: "hostile", token });
    const said = await HostileLink.annoy(
      `127.0.0.1:${linkPort}`,
      HostileLink.frame(MESSAGE.hello, 0, hello),
    );
    assert.equal(said, MESSAGE.refused);
  }
  await wrongDatabases(path, other, body);
}

/** Wrong in the first, a middle and the last character; longer, shorter, and nothing at all. */
function nearly(token: string): readonly string[] {
  const at = (place: number): string =>
    token.slice(0, place) + (token[place] === "x" ? "y" : "x") + token.slice(place + 1);
  return [
    at(0),
    at(token.length >> 1),
    at(token.length - 2),
    `${token}x`,
    token.slice(0, -1),
    token.toUpperCase(),
    "x",
    "x".repeat(4_000),
  ];
}

function otherToken({ headers }: DataPath): string {
  return headers.authorization?.slice("Bearer ".length) ?? "";
}

async function wrongDatabases(
  path: DataPath,
  other: DataPath,
  body: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const ids = [other.headers["x-denokv-database-id"] ?? "", "", "x", "0".repeat(36)];
  for (const id of ids) {
    for (const operation of ["snapshot_read", "atomic_write", "watch"]) {
      const headers = { ...path.headers, "x-denokv-database-id": id };
      const response = await fetch(`${path.url}/${operation}`, { method: "POST", headers, body });
      assert.equal(response.status, 403);
      assert.match(await response.text(), /^Cannot answer for that database/);
    }
  }
}
