/**
 * A node in a process of its own, and the real clients of KV Connect: Deno's `openKv` and
 * npm's `@deno/kv`, both as they are.
 */
import assert from "node:assert/strict";
import { openNpmKv, openStockKv } from "../support/kv_clients.ts";
import { type KvNodeProcess, spawnKvNode } from "../support/kv_node_process.ts";

Deno.test("a node serves Deno's client and npm's, each with all that it can do", async (t) => {
  await using node = await spawnKvNode();
  const steps: readonly (readonly [string, (node: KvNodeProcess) => Promise<void>])[] = [
    ["Deno's client counts: sum, min, max", countsWithStock],
    ["Deno's client appends the versionstamp to a key", suffixesKeys],
    ["Deno's client stores objects that only it can make", storesBlobs],
    ["Deno's client sees a key expire, and a watch tells it", expires],
    ["Deno's client is told why a commit is refused, and nothing of it stays", refusesWhole],
    ["Deno's client refuses to enqueue by itself", refusesStockQueue],
    ["npm's client sets, gets, lists and deletes", setsWithNpm],
    ["npm's client commits under checks and counts", commitsWithNpm],
    ["npm's client watches", watchesWithNpm],
    ["npm's client is told what is refused", refusesNpm],
    ["both clients read what the other wrote", shareValues],
    ["databases by path know nothing of each other", isolates],
  ];
  for (const [name, run] of steps) await t.step(name, () => run(node));
});

async function countsWithStock(node: KvNodeProcess): Promise<void> {
  using kv = await openStockKv(node.httpUrl("counts"));
  const count = async (): Promise<bigint | undefined> =>
    (await kv.get<Deno.KvU64>(["n"])).value?.value;
  await kv.atomic().sum(["n"], 40n).sum(["n"], 2n).commit();
  assert.equal(await count(), 42n);
  await kv.atomic().min(["n"], 50n).commit();
  assert.equal(await count(), 42n);
  await kv.atomic().min(["n"], 7n).max(["n"], 9n).commit();
  assert.equal(await count(), 9n);
  await kv.atomic().max(["n"], 2n ** 64n - 1n).sum(["n"], 3n).commit();
  assert.equal(await count(), 2n);
  await Promise.all(Array.from({ length: 20 }, () => kv.atomic().sum(["n"], 5n).commit()));
  assert.equal(await count(), 102n);
}

async function suffixesKeys(node: KvNodeProcess): Promise<void> {
  using kv = await openStockKv(node.httpUrl("suffixes"));
  const one = await kv.set(["log", kv.commitVersionstamp()], "one");
  const two = await kv.atomic().set(["log", kv.commitVersionstamp()], "two").commit();
  assert.ok(two.ok);
  const entries = await Array.fromAsync(kv.list({ prefix: ["log"] }));
  assert.deepEqual(entries.map(({ key, value }) => [key[1], value]), [
    [one.versionstamp, "one"],
    [two.versionstamp, "two"],
  ]);
}

async function storesBlobs(node: KvNodeProcess): Promise<void> {
  using kv = await openStockKv(node.httpUrl("blobs"));
  await kv.set(["blob"], new Blob(["some text"], { type: "text/plain" }));
  const { value } = await kv.get<Blob>(["blob"]);
  assert.ok(value instanceof Blob);
  assert.deepEqual([value.type, await value.text()], ["text/plain", "some text"]);
}

async function expires(node: KvNodeProcess): Promise<void> {
  using kv = await openStockKv(node.httpUrl("expiry"));
  await kv.atomic()
    .set(["short"], 1, { expireIn: 400 })
    .set(["kept"], 1, { expireIn: 400 })
    .set(["long"], 1, { expireIn: 3_600_000 })
    .commit();
  // Written again without a time, it has none.
  await kv.set(["kept"], 2);
  const keys = [["short"], ["kept"], ["long"]];
  const reader = kv.watch(keys).getReader();
  const told: unknown[][] = [];
  while (told.at(-1)?.[0] !== null) {
    const { value } = await reader.read();
    told.push((value ?? []).map((entry) => entry.value));
  }
  await reader.cancel();
  assert.deepEqual(told, [[1, 2, 1], [null, 2, 1]]);
  const entries = await kv.getMany(keys);
  assert.deepEqual(entries.map(({ value }) => value), [null, 2, 1]);
  const listed = await Array.fromAsync(kv.list({ prefix: [] }));
  assert.deepEqual(listed.map(({ key }) => key[0]), ["kept", "long"]);
  // To a check it is not there either.
  const absent = { key: ["short"], versionstamp: null };
  assert.ok((await kv.atomic().check(absent).set(["short"], 3).commit()).ok);
}

async function refusesWhole(node: KvNodeProcess): Promise<void> {
  using kv = await openStockKv(node.httpUrl("refusals"));
  await kv.set(["text"], "no count");
  await assert.rejects(
    () => kv.atomic().set(["before"], 1).sum(["text"], 1n).set(["behind"], 1).commit(),
    /400 Bad Request.*: Cannot apply mutation 2 of 3: .*'sum' mutation on a non-U64 value/,
  );
  const entries = await kv.getMany([["text"], ["before"], ["behind"]]);
  assert.deepEqual(entries.map(({ value }) => value), ["no count", null, null]);
}

async function refusesStockQueue(node: KvNodeProcess): Promise<void> {
  using kv = await openStockKv(node.httpUrl("queues"));
  await assert.rejects(() => kv.enqueue("message"), /not supported in KV Connect/);
}

async function setsWithNpm(node: KvNodeProcess): Promise<void> {
  using npm = await openNpmKv(node.httpUrl("npm"));
  const { kv } = npm;
  const { versionstamp } = await kv.set(["a", 1, 2n, true, new Uint8Array([0, 255])], "value");
  const entry = await kv.get(["a", 1, 2n, true, new Uint8Array([0, 255])]);
  assert.deepEqual([entry.value, entry.versionstamp], ["value", versionstamp]);
  assert.equal((await kv.get(["none"])).versionstamp, null);
  assert.equal((await kv.get(["none"], { consistency: "eventual" })).versionstamp, null);
  for (let i = 0; i < 25; i++) await kv.set(["n", i], i);
  const all = Array.from({ length: 25 }, (_, i) => i);
  const values = async (options: { batchSize?: number; reverse?: boolean }): Promise<unknown[]> =>
    (await Array.fromAsync(kv.list({ prefix: ["n"] }, options))).map(({ value }) => value);
  assert.deepEqual(await values({}), all);
  assert.deepEqual(await values({ batchSize: 10, reverse: true }), all.toReversed());
  const [first, none] = await kv.getMany([["n", 3], ["none"]]);
  assert.deepEqual([first?.value, none?.value], [3, null]);
  await kv.delete(["n", 3]);
  assert.equal((await kv.get(["n", 3])).value, null);
}

async function commitsWithNpm(node: KvNodeProcess): Promise<void> {
  using npm = await openNpmKv(node.httpUrl("npm-commits"));
  const { kv } = npm;
  const absent = { key: ["lock"], versionstamp: null };
  const tries = await Promise.all(
    Array.from({ length: 10 }, (_, i) => kv.atomic().check(absent).set(["lock"], i).commit()),
  );
  assert.equal(tries.filter(({ ok }) => ok).length, 1);
  await kv.atomic().sum(["n"], 5n).max(["n"], 9n).commit();
  await kv.atomic().sum(["n"], 2n ** 64n - 1n).commit();
  assert.equal((await kv.get<{ readonly value: bigint }>(["n"])).value?.value, 8n);
}

async function watchesWithNpm(node: KvNodeProcess): Promise<void> {
  using npm = await openNpmKv(node.httpUrl("npm-watch"));
  const { kv } = npm;
  await kv.set(["a"], 1);
  const reader = kv.watch([["a"], ["b"]]).getReader();
  const told = async (): Promise<unknown[]> =>
    ((await reader.read()).value ?? []).map(({ value }) => value);
  assert.deepEqual(await told(), [1, null]);
  await kv.atomic().delete(["a"]).set(["b"], 2).commit();
  assert.deepEqual(await told(), [null, 2]);
  await reader.cancel();
}

async function refusesNpm(node: KvNodeProcess): Promise<void> {
  using npm = await openNpmKv(node.httpUrl("npm-refusals"));
  const { kv } = npm;
  await assert.rejects(() => kv.enqueue("message"), /400 Cannot enqueue: .*queue endpoint/);
  await kv.set(["text"], "no count");
  await assert.rejects(() => kv.atomic().sum(["text"], 1n).commit(), /400 Cannot apply mutation 1/);
  await assert.rejects(() => kv.set(["value"], new Uint8Array(65_537)), /65536/);
  await assert.rejects(() => kv.set([new Uint8Array(2_048)], 1), /2048/);
  assert.equal((await kv.get(["text"])).value, "no count");
}

async function shareValues(node: KvNodeProcess): Promise<void> {
  const url = node.httpUrl("shared");
  using stock = await openStockKv(url);
  using npm = await openNpmKv(url);
  const values = [
    "grüße 👋",
    -1.5,
    2n ** 70n,
    null,
    new Uint8Array([1, 2]),
    { list: [1, new Date(0)], map: new Map([["k", new Set([1])]]) },
  ];
  const reader = stock.watch([["from", "npm"]]).getReader();
  await reader.read();
  for (const value of values) {
    await npm.kv.set(["from", "npm"], value);
    await stock.set(["from", "deno"], value);
    assert.deepEqual((await stock.get(["from", "npm"])).value, value);
    assert.deepEqual((await npm.kv.get(["from", "deno"])).value, value);
  }
  let last: unknown;
  while (!(last instanceof Object && "list" in last)) {
    last = (await reader.read()).value?.[0].value;
  }
  assert.deepEqual(last, values.at(-1));
  await reader.cancel();
  await stock.atomic().sum(["n"], 5n).commit();
  await npm.kv.atomic().sum(["n"], 5n).commit();
  assert.equal((await stock.get<Deno.KvU64>(["n"])).value?.value, 10n);
}

async function isolates(node: KvNodeProcess): Promise<void> {
  using main = await openStockKv(node.url);
  using alsoMain = await openStockKv(node.httpUrl("default"));
  using one = await openStockKv(node.httpUrl("one"));
  using other = await openStockKv(node.httpUrl("other"));
  await one.set(["k"], "one");
  await other.set(["k"], "other");
  await main.set(["k"], "main");
  const reader = other.watch([["k"]]).getReader();
  assert.equal((await reader.read()).value?.[0].value, "other");
  await one.atomic().delete(["k"]).set(["l"], 1).commit();
  assert.equal((await alsoMain.get(["k"])).value, "main");
  const keys = async (kv: Deno.Kv): Promise<unknown[]> =>
    (await Array.fromAsync(kv.list({ prefix: [] }))).map(({ key }) => key[0]);
  assert.deepEqual([await keys(main), await keys(one), await keys(other)], [["k"], ["l"], ["k"]]);
  await other.set(["k"], "its own");
  assert.equal((await reader.read()).value?.[0].value, "its own");
  await reader.cancel();
}

Deno.test("a node asks for its token, given by the variable, and tells nobody", async () => {
  const token = "token-in-a-variable";
  await using node = await spawnKvNode({ token });
  using stock = await openStockKv(node.url, token);
  using npm = await openNpmKv(node.url, token);
  await stock.set(["k"], 1);
  assert.equal((await npm.kv.get(["k"])).value, 1);
  for (const wrong of ["token-in-a-variablE", token.slice(0, -1), `${token}x`]) {
    await assert.rejects(() => openStockKv(node.url, wrong), /status 401/);
    await assert.rejects(async () => {
      using other = await openNpmKv(node.url, wrong);
      await other.kv.get(["k"]);
    }, /401/);
  }
  assert.doesNotMatch(JSON.stringify(node.lines), new RegExp(token));
});

Deno.test("a node takes its token from a file, and makes no database if it must not", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const tokenFile = `${folder}/token`;
    await Deno.writeTextFile(tokenFile, "token-of-the-file\n");
    await using node = await spawnKvNode({ tokenFile, flags: ["--create-databases", "no"] });
    using kv = await openStockKv(node.url, "token-of-the-file");
    await kv.set(["k"], 1);
    assert.equal((await kv.get(["k"])).value, 1);
    await assert.rejects(() => openStockKv(node.url, "another-token"), /status 401/);
    await assert.rejects(() => openStockKv(node.httpUrl("new"), "token-of-the-file"), /status 404/);
    await assert.rejects(() => openStockKv(node.httpUrl("no such"), "token-of-the-file"), /404/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("clients that are connected go on when their node comes back", async () => {
  await using node = await spawnKvNode();
  using stock = await openStockKv(node.url);
  using npm = await openNpmKv(node.url);
  const before = await stock.set(["n"], 0);
  await npm.kv.set(["npm"], 0);
  const reader = stock.watch([["n"]]).getReader();
  assert.equal((await reader.read()).value?.[0].value, 0);

  // Ended as an operator would, under a client that writes all the time.
  const stop = new AbortController();
  const writing = writeUntil(stock, stop.signal);
  const first = node.pid;
  await node.restart();
  assert.notEqual(node.pid, first);
  stop.abort();
  const written = await writing;
  assert.equal((await stock.get(["n"])).value, written);

  // Killed: what was acknowledged is there.
  const acknowledged = await stock.set(["n"], "before the kill");
  node.kill("SIGKILL");
  await node.ended;
  const meanwhile = stock.set(["m"], "while it was away");
  await node.restart();
  await meanwhile;
  const { value, versionstamp } = await stock.get(["n"]);
  assert.deepEqual([value, versionstamp], ["before the kill", acknowledged.versionstamp]);
  assert.equal((await npm.kv.get(["npm"])).value, 0);
  const after = await stock.set(["n"], "after all");
  assert.ok(before.versionstamp < acknowledged.versionstamp);
  assert.ok(acknowledged.versionstamp < after.versionstamp);

  let told: unknown;
  while (told !== "after all") told = (await reader.read()).value?.[0].value;
  await reader.cancel();
});

/** Writes rising numbers under `["n"]`, one after the other; the last one that was written. */
async function writeUntil(kv: Deno.Kv, signal: AbortSignal): Promise<number> {
  for (let n = 1;; n++) {
    await kv.set(["n"], n);
    if (signal.aborted) return n;
  }
}
