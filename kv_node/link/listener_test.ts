import assert from "node:assert/strict";
import { LinkNode, TableDatabase } from "../../tests/support/link_node.ts";
import { encodeKey } from "../keyspace/key_codec.ts";
import { ENCODING_BYTES } from "../types.ts";
import { encodeSnapshotRead } from "../wire/read.ts";
import { encodeAtomicWrite } from "../wire/write.ts";
import { FrameDecoder, FrameEncoder } from "./frame.ts";
import { type LinkListenerOptions, serveLink } from "./listener.ts";
import { decodeFailure, encodeHello, MESSAGE } from "./messages.ts";
import { LinkSession } from "./session.ts";

const HELLO = encodeHello({ protocol: 1, database: "default", token: "data-token.1" });
const NOTHING = new Uint8Array();

/** A client that is in no hurry and keeps to no rule. */
class RawClient implements Disposable {
  readonly conn: Deno.TcpConn;
  readonly encoder = new FrameEncoder();
  readonly #decoder = new FrameDecoder(100_000_000);
  /** Reads that brought something. */
  reads = 0;

  private constructor(conn: Deno.TcpConn) {
    this.conn = conn;
  }

  static async open(port: number): Promise<RawClient> {
    return new RawClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  static async greeted(port: number): Promise<RawClient> {
    const client = await RawClient.open(port);
    client.encoder.add(MESSAGE.hello, 0, HELLO);
    await client.flush();
    assert.equal((await client.next())?.type, MESSAGE.welcome);
    return client;
  }

  async flush(): Promise<void> {
    let rest = this.encoder.take();
    while (rest.length > 0) rest = rest.subarray(await this.conn.write(rest));
  }

  /** The next frame, or `null` at the end. */
  async next(): Promise<{ type: number; requestId: number; body: Uint8Array } | null> {
    while (!this.#decoder.next()) {
      const count = await this.conn.read(this.#decoder.room()).catch(() => null);
      if (count === null) return null;
      this.reads++;
      this.#decoder.filled(count);
    }
    const { type, requestId, payload } = this.#decoder;
    return { type, requestId, body: payload.slice() };
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }
}

function setBody(key: number, sizeBytes: number): Uint8Array {
  const value = { data: new Uint8Array(sizeBytes), encoding: ENCODING_BYTES } as const;
  const mutation = { type: "set", key: encodeKey([key]), value, expiresMs: null } as const;
  return encodeAtomicWrite({ command: { checks: [], mutations: [mutation] }, enqueues: [] });
}

/** A listener on one database, with bounds of its own. */
function serve(database: TableDatabase, options: Partial<LinkListenerOptions>) {
  return serveLink({
    hostname: "127.0.0.1",
    port: 0,
    connectionsMax: 10,
    openSession: (output) =>
      new LinkSession({
        admit: () => ({ database, confirm() {} }),
        limitChecks: { command() {}, ranges() {}, watch() {} },
        inFlightMax: 100_000,
        watchesMax: 10,
        backlogBytesMax: 1_000_000,
        fault: (error) => assert.fail(String(error)),
      }, output),
    ...options,
  });
}

Deno.test("serveLink sends answers of one turn in one write", async () => {
  await using node = new LinkNode();
  const gate = Promise.withResolvers<void>();
  node.database.gate = gate.promise;
  using client = await RawClient.greeted(node.linkPort);
  for (let id = 1; id <= 500; id++) client.encoder.add(MESSAGE.write, id, setBody(id % 9, 8));
  client.encoder.add(MESSAGE.ping, 777, NOTHING);
  await client.flush();
  assert.deepEqual((await client.next())?.requestId, 777);
  client.reads = 0;
  gate.resolve();
  for (let id = 1; id <= 500; id++) assert.equal((await client.next())?.requestId, id);
  // 500 answers of 21 bytes: with a write for each there would be hundreds of reads.
  assert.ok(client.reads <= 5, `${client.reads} reads`);
});

Deno.test("serveLink takes no more connections than it is told, and again after one has gone", async () => {
  const counts: number[] = [];
  const listener = serve(new TableDatabase("default"), {
    connectionsMax: 1,
    onConnections: (open) => counts.push(open),
  });
  const first = await RawClient.greeted(listener.port);
  const second = await RawClient.open(listener.port);
  assert.equal(await second.next(), null);
  second[Symbol.dispose]();
  first.conn.closeWrite();
  assert.equal(await first.next(), null);
  first[Symbol.dispose]();
  const third = await RawClient.greeted(listener.port);
  third[Symbol.dispose]();
  await listener.stop();
  assert.deepEqual(counts, [1, 0, 1, 0]);
});

Deno.test("serveLink tells a client that breaks the protocol why, and survives any bytes", async () => {
  await using node = new LinkNode();
  const garbage = [
    new Uint8Array([0, 0, 0, 0, 0, 0]),
    new Uint8Array([0xff, 0xff, 0xff, 0xff, 1]),
    new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    crypto.getRandomValues(new Uint8Array(4_000)),
  ];
  for (const bytes of garbage) {
    using stranger = await RawClient.open(node.linkPort);
    await stranger.conn.write(bytes);
    const told = await stranger.next();
    if (told !== null) assert.match(decodeFailure(told.body).message, /^Cannot /);
    assert.equal(await stranger.next(), null);

    using known = await RawClient.greeted(node.linkPort);
    await known.conn.write(bytes);
    await known.conn.closeWrite();
    while (await known.next() !== null);
  }
  using client = await RawClient.greeted(node.linkPort);
  client.encoder.add(MESSAGE.ping, 5, NOTHING);
  await client.flush();
  assert.equal((await client.next())?.type, MESSAGE.pong);
  assert.deepEqual(node.faults, []);
});

Deno.test("serveLink closes who does not introduce itself, says nothing, or reads nothing", async () => {
  const database = new TableDatabase("default");
  const listener = serve(database, { helloMs: 1, idleMs: 60_000, stallMs: 60_000 });
  using silent = await RawClient.open(listener.port);
  assert.equal(await silent.next(), null);
  await listener.stop();

  const idle = serve(database, { idleMs: 1 });
  using sleeper = await RawClient.greeted(idle.port);
  assert.equal(await sleeper.next(), null);
  await idle.stop();

  const stalled = serve(database, { stallMs: 1 });
  using deaf = await RawClient.greeted(stalled.port);
  for (let id = 0; id < 50; id++) deaf.encoder.add(MESSAGE.write, id, setBody(id, 60_000));
  await deaf.flush();
  for (let id = 0; id < 50; id++) assert.equal((await deaf.next())?.type, MESSAGE.write_result);
  const [start, end] = [encodeKey([0]), encodeKey([100])];
  const body = encodeSnapshotRead([{ start, end, limit: 50, reverse: false }]);
  for (let id = 0; id < 200; id++) deaf.encoder.add(MESSAGE.read, id, body);
  await deaf.flush();
  // Nothing is read until the listener has given up.
  await until(() => stalled.connections === 0);
  await stalled.stop();
});

Deno.test("serveLink cuts off a client for which too much waits", async () => {
  const database = new TableDatabase("default");
  const listener = serve(database, { waitingBytesMax: 1_000_000 });
  using client = await RawClient.greeted(listener.port);
  for (let id = 0; id < 200; id++) client.encoder.add(MESSAGE.write, id, setBody(id, 60_000));
  await client.flush();
  for (let id = 0; id < 200; id++) await client.next();
  const [start, end] = [encodeKey([0]), encodeKey([200])];
  const read = encodeSnapshotRead([{ start, end, limit: 200, reverse: false }]);
  client.encoder.add(MESSAGE.read, 1, read);
  await client.flush();
  assert.equal(await client.next(), null);
  await listener.stop();
});

Deno.test("serveLink stop answers what is under way, says goodbye, and cuts off after the grace", async () => {
  const node = new LinkNode();
  const gate = Promise.withResolvers<void>();
  node.database.gate = gate.promise;
  using client = await RawClient.greeted(node.linkPort);
  client.encoder.add(MESSAGE.write, 1, setBody(1, 8));
  client.encoder.add(MESSAGE.ping, 2, NOTHING);
  await client.flush();
  assert.equal((await client.next())?.type, MESSAGE.pong);
  const stopping = node.stop();
  gate.resolve();
  assert.equal((await client.next())?.type, MESSAGE.write_result);
  assert.equal((await client.next())?.type, MESSAGE.goodbye);
  assert.equal(await client.next(), null);
  client.conn.closeWrite();
  await stopping;

  const stuck = new LinkNode();
  stuck.database.gate = new Promise(() => {});
  using other = await RawClient.greeted(stuck.linkPort);
  other.encoder.add(MESSAGE.write, 1, setBody(1, 8));
  await other.flush();
  await until(() => stuck.database.commits === 1);
  await stuck.stop(1);
  assert.equal(await other.next(), null);
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}
