import assert from "node:assert/strict";
import { LinkNode, TableDatabase } from "../../tests/support/link_node.ts";
import { KvError } from "../errors.ts";
import { encodeKey } from "../keyspace/key_codec.ts";
import { withPrefix } from "../keyspace/spaces.ts";
import { FrameDecoder, FrameEncoder } from "../link/frame.ts";
import { encodeWelcome, MESSAGE } from "../link/messages.ts";
import { DEFAULT_LIMITS } from "../types.ts";
import { encodeValue } from "../values/value.ts";
import { openStore, type Store, StoreOpenError, StoreOperationError } from "./mod.ts";

/** The kind of error that something fails with, or what it gave. */
function kindOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then((value) => value, (error: unknown) => {
    if (error instanceof StoreOperationError || error instanceof StoreOpenError) return error.kind;
    throw error;
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** The same node again: same ports, same databases. */
function again(node: LinkNode, ports: { readonly port: number; readonly linkPort: number }) {
  return new LinkNode({ databases: node.databases, ...ports });
}

function portsOf({ port, linkPort }: LinkNode) {
  return { port, linkPort };
}

/** A change of `["a"]` past the store. */
function setOfA(node: LinkNode, value: number) {
  const key = withPrefix(node.database.prefixOf("data"), encodeKey(["a"]));
  return { type: "set", key, value: encodeValue(value), expiresMs: null } as const;
}

/** Something that welcomes clients and then does what it is told with each connection. */
function impostor(behave: (conn: Deno.TcpConn) => Promise<unknown>, isGreeting = true) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns: Deno.TcpConn[] = [];
  const serving = (async () => {
    for await (const conn of listener) {
      conns.push(conn);
      const encoder = new FrameEncoder();
      const welcome = { protocol: 1, databaseId: "i", inFlightMax: 9, limits: DEFAULT_LIMITS };
      encoder.add(MESSAGE.welcome, 0, encodeWelcome(welcome));
      if (isGreeting) await conn.write(encoder.take());
      behave(conn).catch(() => {});
    }
  })();
  return {
    link: `127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      await serving;
      for (const conn of conns) {
        try {
          conn.close();
        } catch {
          // Closed by its behaviour.
        }
      }
    },
  };
}

/** Id of the next request that is no greeting. */
async function nextRequestOf(conn: Deno.TcpConn): Promise<number> {
  const decoder = new FrameDecoder(1_000_000);
  while (!decoder.next() || decoder.type === MESSAGE.hello) {
    const count = await conn.read(decoder.room());
    if (count === null) throw new Error("Cannot read a request: the client hung up");
    decoder.filled(count);
  }
  return decoder.requestId;
}

Deno.test("WeirStore says that the outcome is unknown where a commit was sent and not answered", async () => {
  const node = new LinkNode();
  const ports = portsOf(node);
  using store = await openStore(node.url());
  await store.set(["a"], 1);
  node.database.gate = new Promise(() => {});
  const set = kindOf(store.set(["a"], 2));
  const sum = kindOf(store.atomic().sum(["n"], 1n).commit());
  await until(() => node.database.commits === 3);
  await node.stop(0);
  assert.deepEqual(await Promise.all([set, sum]), ["outcome_unknown", "outcome_unknown"]);

  node.database.gate = Promise.resolve();
  await using _next = again(node, ports);
  assert.equal((await store.get(["a"])).value, 2);
  assert.equal(node.database.commits, 3);
});

Deno.test("WeirStore carries reads, and commits that never left, over to the next connection", async () => {
  const node = new LinkNode();
  const ports = portsOf(node);
  using store = await openStore(node.url());
  await store.set(["a"], 1);
  await node.stop(0);
  await until(() => node.connections === 0);
  const waiting = Promise.all([
    store.get(["a"]),
    store.set(["b"], 2),
    store.atomic().sum(["n"], 1n).commit(),
  ]);
  await using next = again(node, ports);
  const [a, b] = await waiting;
  assert.equal(a.value, 1);
  assert.ok(b.ok);
  assert.equal(next.database.commits, 3);
});

Deno.test("WeirStore loses and doubles nothing when nodes that hold its commits are stopped in turn", async () => {
  const database = new TableDatabase("default");
  let node = new LinkNode({ databases: [database] });
  const ports = portsOf(node);
  using store = await openStore(node.url());
  let done = 0;
  const counting = Array.from({ length: 600 }, async () => {
    await store.atomic().sum(["n"], 1n).commit();
    done++;
  });
  for (const share of [100, 200, 300]) {
    await until(() => done >= share);
    await node.stop();
    node = again(node, ports);
  }
  await Promise.all(counting);
  assert.deepEqual((await store.get(["n"])).value, new Deno.KvU64(600n));
  await node.stop(0);
});

Deno.test("WeirStore keeps to its deadline with a node that does not answer", async () => {
  await using silent = impostor(async (conn) => {
    const bytes = new Uint8Array(1_000);
    while (await conn.read(bytes) !== null);
  });
  await using node = new LinkNode({ link: silent.link });
  using store = await openStore(node.url(), { deadlineMs: 60 });
  const kinds = await Promise.all([
    kindOf(store.get(["a"])),
    kindOf(store.set(["a"], 1)),
    kindOf(store.list({ prefix: [] }).next()),
  ]);
  assert.equal(kinds[1], "outcome_unknown");
  for (const kind of [kinds[0], kinds[2]]) {
    assert.ok(kind === "deadline" || kind === "unavailable", String(kind));
  }
});

Deno.test("WeirStore keeps to its deadline while no node can be reached", async () => {
  const node = new LinkNode();
  using store = await openStore(node.url(), { deadlineMs: 60 });
  await node.stop(0);
  await until(() => node.connections === 0);
  assert.equal(await kindOf(store.get(["a"])), "unavailable");
  const set = await kindOf(store.set(["a"], 1));
  assert.ok(set === "unavailable" || set === "outcome_unknown", String(set));
});

Deno.test("WeirStore leaves a node that sends garbage, and finds a better one", async () => {
  const garbage = [
    new Uint8Array([0, 0, 0, 0]),
    new Uint8Array([0xff, 0xff, 0xff, 0xff]),
    new Uint8Array([6, 0, 0, 0, 99, 0, 0, 0, 0, 1]),
    crypto.getRandomValues(new Uint8Array(3_000)),
  ];
  let sent = 0;
  await using liar = impostor(async (conn) => {
    await nextRequestOf(conn);
    await conn.write(garbage[sent++ % garbage.length] ?? new Uint8Array());
    await conn.closeWrite();
  });
  // It answers a read with what is no answer to it.
  await using confused = impostor(async (conn) => {
    const encoder = new FrameEncoder();
    encoder.add(MESSAGE.write_result, await nextRequestOf(conn), new Uint8Array([8, 1]));
    await conn.write(encoder.take());
  });
  for (const { link } of [liar, confused]) {
    await using bad = new LinkNode({ link });
    await using good = new LinkNode();
    await good.database.write({ checks: [], mutations: [] });
    using store = await openStore(`weir://127.0.0.1:${bad.port},127.0.0.1:${good.port}`);
    const reading = store.get(["a"]);
    // Whoever was misled has to come to the good one when the bad one is gone.
    await until(() => bad.exchanges > 1);
    await bad.stop(0);
    assert.equal((await reading).versionstamp, null);
    assert.equal(good.connections, 1);
  }
  assert.ok(sent > 0);
});

Deno.test("WeirStore watches go on after a restart, without telling anything twice", async () => {
  const node = new LinkNode();
  const ports = portsOf(node);
  using store = await openStore(node.url());
  const reader = store.watch([["a"], ["b"]]).getReader();
  const next = async () => (await reader.read()).value?.map(({ value }) => value);
  assert.deepEqual(await next(), [null, null]);
  await store.set(["a"], 1);
  assert.deepEqual(await next(), [1, null]);

  await node.stop(0);
  const reading = next();
  {
    await using between = again(node, ports);
    await until(() => between.database.watching === 1);
    await between.stop(0);
  }
  await using last = again(node, ports);
  await until(() => last.database.watching === 1);
  await store.set(["b"], 2);
  assert.deepEqual(await reading, [1, 2]);
  await reader.cancel();
  await until(() => last.database.watching === 0);
});

Deno.test("WeirStore has no more under way than the node takes, however much is asked at once", async () => {
  await using node = new LinkNode({ session: { inFlightMax: 64 } });
  const { database } = node;
  const write = database.write.bind(database);
  let underWay = 0;
  let most = 0;
  database.write = async (command) => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay--;
    return await write(command);
  };
  using store = await openStore(node.url());
  const value = new Uint8Array(1_000);
  const all = Array.from({ length: 10_000 }, (_, i) => store.set(["k", i % 50], value));
  const stamps = (await Promise.all(all)).map(({ versionstamp }) => versionstamp);
  assert.equal(new Set(stamps).size, 10_000);
  assert.ok(most <= 64, `${most} under way`);
  assert.ok(most > 32, `${most} under way`);
});

Deno.test("WeirStore refuses more waiting operations than it has room for", async () => {
  await using node = new LinkNode({ session: { inFlightMax: 1 } });
  node.database.gate = new Promise(() => {});
  using store = await openStore(node.url());
  const value = new Uint8Array(65_536);
  const kinds: unknown[] = [];
  for (let i = 0; i < 1_100; i++) kindOf(store.set(["k"], value)).then((kind) => kinds.push(kind));
  await until(() => kinds.length > 0);
  assert.equal(kinds[0], "unavailable");
});

Deno.test("WeirStore waits for a node that is starting, and tells what it refuses for good", async () => {
  await using node = new LinkNode();
  using store = await openStore(node.url());
  node.database.failure = new KvError("starting", "Cannot answer: replaying");
  const waiting = Promise.all([store.set(["a"], 1), store.get(["b"])]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  node.database.failure = null;
  assert.ok((await waiting)[0].ok);

  node.database.failure = new KvError("disk_full", "Cannot commit: full");
  assert.equal(await kindOf(store.set(["a"], 1)), "unavailable");
  node.database.failure = new KvError("outcome_unknown", "Cannot commit yet: full");
  assert.equal(await kindOf(store.set(["a"], 1)), "outcome_unknown");
  node.database.failure = new KvError("internal", "Cannot answer: broken");
  assert.equal(await kindOf(store.set(["a"], 1)), "outcome_unknown");
  assert.equal(await kindOf(store.get(["a"])), "unavailable");
  node.database.failure = null;
  node.database.writeDisabled = true;
  assert.equal(await kindOf(store.set(["a"], 1)), "refused");
  node.database.readDisabled = true;
  assert.equal(await kindOf(store.get(["a"])), "refused");
});

Deno.test("WeirStore gets itself another token, and gives up where that does not count either", async () => {
  await using node = new LinkNode();
  using store = await openStore(node.url());
  // All that were given so far are void; what is asked meanwhile is done once.
  node.goodTokensFrom = node.exchanges + 1;
  await Promise.all(Array.from({ length: 20 }, () => store.atomic().sum(["n"], 1n).commit()));
  assert.equal(node.exchanges, 2);
  assert.equal(node.database.commits, 20);

  node.goodTokensFrom = Infinity;
  assert.equal(await kindOf(store.get(["a"])), "refused");
});

Deno.test("WeirStore watches get another token when theirs has ended", async () => {
  await using node = new LinkNode();
  using store = await openStore(node.url());
  const reader = store.watch([["a"]]).getReader();
  await reader.read();
  node.goodTokensFrom = 2;
  await node.database.write({ checks: [], mutations: [setOfA(node, 1)] });
  assert.equal((await reader.read()).value?.[0]?.value, 1);
  assert.equal(node.exchanges, 2);

  node.goodTokensFrom = Infinity;
  await node.database.write({ checks: [], mutations: [setOfA(node, 2)] });
  assert.equal(await kindOf(reader.read()), "refused");
});

Deno.test("WeirStore moves to another node when one is gone", async () => {
  const database = new TableDatabase("default");
  const one = new LinkNode({ databases: [database] });
  await using other = new LinkNode({ databases: [database] });
  const url = `weir://127.0.0.1:1,127.0.0.1:${one.port},127.0.0.1:${other.port}`;
  using store = await openStore(url);
  await store.set(["a"], 1);
  assert.deepEqual([one.connections, other.connections], [1, 0]);
  await one.stop(0);
  assert.equal((await store.get(["a"])).value, 1);
  assert.equal(other.connections, 1);
});

Deno.test("WeirStore close rejects what waits, ends watches, and leaves nothing open", async () => {
  await using node = new LinkNode();
  const store: Store = await openStore(node.url());
  const reader = store.watch([["a"]]).getReader();
  await reader.read();
  node.database.gate = new Promise(() => {});
  const set = kindOf(store.set(["a"], 1));
  await until(() => node.database.commits === 1);
  const get = kindOf(store.get(["a"]));
  store.close();
  assert.deepEqual(await Promise.all([set, get]), ["outcome_unknown", "closed"]);
  while (!(await reader.read()).done);
  await assert.rejects(async () => await store.get(["a"]), Deno.errors.BadResource);
  await assert.rejects(async () => await store.set(["a"], 1), Deno.errors.BadResource);
  await assert.rejects(
    async () => await store.list({ prefix: [] }).next(),
    Deno.errors.BadResource,
  );
  await assert.rejects(async () => await store.atomic().commit(), Deno.errors.BadResource);
  await assert.rejects(async () => await store.watch([["a"]]).getReader().read());
  store.close();
  await until(() => node.connections === 0);
});
