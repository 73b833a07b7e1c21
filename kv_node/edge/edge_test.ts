/**
 * The listener behind the real server, as the stock client meets it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../src/runtime/clock.ts";
import { fetchResponse, serverRequest } from "../../src/runtime/fetch_adapter.ts";
import { KvError } from "../errors.ts";
import { encodeKey } from "../keyspace/key_codec.ts";
import { withPrefix } from "../keyspace/spaces.ts";
import { ENCODING_BYTES } from "../types.ts";
import { checkCommand, checkRanges, checkWatchedKeys } from "../txn/limits.ts";
import { EdgeScene } from "./edge_fixture.ts";

const TOKEN_VARIABLE = "DENO_KV_ACCESS_TOKEN";

const CHECKS = { ranges: checkRanges, command: checkCommand, watch: checkWatchedKeys };

/** A listener on a port of its own. */
class Scene extends EdgeScene implements AsyncDisposable {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  readonly url: string;
  readonly #before = Deno.env.get(TOKEN_VARIABLE);

  constructor() {
    super(systemClock, CHECKS);
    Deno.env.set(TOKEN_VARIABLE, "the-access-token");
    const handler = async (request: Request): Promise<Response> => {
      return fetchResponse(await this.edge.handle(serverRequest(request)));
    };
    this.server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
    this.url = `http://127.0.0.1:${this.server.addr.port}`;
  }

  async open(path = ""): Promise<Deno.Kv> {
    return await Deno.openKv(this.url + path);
  }

  /** Writes past the listener. */
  async set(key: string[], data: Uint8Array): Promise<void> {
    const complete = withPrefix(this.main.prefixOf("data"), encodeKey(key));
    const value = { data: data.slice(), encoding: ENCODING_BYTES } as const;
    const mutation = { type: "set", key: complete, value, expiresMs: null } as const;
    await this.main.write({ checks: [], mutations: [mutation] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.edge.stop();
    await this.server.shutdown();
    if (this.#before === undefined) Deno.env.delete(TOKEN_VARIABLE);
    else Deno.env.set(TOKEN_VARIABLE, this.#before);
    assert.deepEqual(this.metrics.faults, []);
    assert.equal(this.metrics.watchesOpen, 0);
  }
}

/** Lets everybody else do what there is to do. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Waits until something holds; the test's own time limit ends it otherwise. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

Deno.test("the stock client sets, gets, lists and deletes", async () => {
  await using scene = new Scene();
  using kv = await scene.open();
  const { versionstamp } = await kv.set(["a", 1], { text: "one", at: new Date(5) });
  await kv.set(["a", 2], 2n);
  await kv.set(["b"], new Uint8Array([1, 2, 3]));
  const entry = await kv.get(["a", 1]);
  assert.deepEqual(entry.value, { text: "one", at: new Date(5) });
  assert.equal(entry.versionstamp, versionstamp);
  assert.deepEqual(await kv.get(["nothing"]), {
    key: ["nothing"],
    value: null,
    versionstamp: null,
  });
  const many = await kv.getMany([["b"], ["a", 2], ["c"]]);
  assert.deepEqual(many.map(({ value }) => value), [new Uint8Array([1, 2, 3]), 2n, null]);
  const keys = [];
  for await (const { key } of kv.list({ prefix: ["a"] }, { reverse: true })) keys.push(key);
  assert.deepEqual(keys, [["a", 2], ["a", 1]]);
  await kv.delete(["a", 1]);
  assert.equal((await kv.get(["a", 1], { consistency: "eventual" })).value, null);
});

Deno.test("the stock client lists more than one batch, both ways", async () => {
  await using scene = new Scene();
  using kv = await scene.open();
  const numbers = Array.from({ length: 25 }, (_, at) => at);
  for (const number of numbers) await kv.set(["n", number], number);
  for (const reverse of [false, true]) {
    const values = [];
    for await (const { value } of kv.list({ prefix: ["n"] }, { batchSize: 7, reverse })) {
      values.push(value);
    }
    assert.deepEqual(values, reverse ? numbers.toReversed() : numbers);
  }
});

Deno.test("the stock client commits atomically, and is told of failed checks", async () => {
  await using scene = new Scene();
  using kv = await scene.open();
  const first = await kv.atomic().check({ key: ["x"], versionstamp: null }).set(["x"], 1)
    .sum(["n"], 5n).commit();
  assert.equal(first.ok, true);
  const again = await kv.atomic().check({ key: ["x"], versionstamp: null }).set(["x"], 2).commit();
  assert.equal(again.ok, false);
  await kv.atomic().sum(["n"], 6n).commit();
  assert.deepEqual((await kv.get(["n"])).value, new Deno.KvU64(11n));
  assert.equal((await kv.get(["x"])).value, 1);
});

Deno.test("the stock client is told why a commit makes no sense, and goes on", async () => {
  await using scene = new Scene();
  using kv = await scene.open();
  await kv.set(["text"], "no number");
  await assert.rejects(
    kv.atomic().sum(["text"], 1n).commit(),
    /Cannot commit: that makes no sense/,
  );
  assert.equal((await kv.get(["text"])).value, "no number");
});

Deno.test("the stock client reaches another database by its path, and none by a wrong one", async () => {
  await using scene = new Scene();
  using main = await scene.open("/");
  using other = await scene.open("/other");
  await main.set(["k"], "main");
  await other.set(["k"], "other");
  assert.equal((await main.get(["k"])).value, "main");
  assert.equal((await other.get(["k"])).value, "other");
  await assert.rejects(scene.open("/missing"), /404|none of that name/);
});

Deno.test("the stock client is turned away with a wrong access token", async () => {
  await using scene = new Scene();
  scene.node.accessToken = "another-token";
  await assert.rejects(scene.open());
  scene.node.accessToken = "the-access-token";
  using kv = await scene.open();
  await kv.set(["k"], 1);
});

Deno.test("the stock client is told that a database was closed by an operator", async () => {
  await using scene = new Scene();
  using kv = await scene.open();
  scene.main.writeDisabled = true;
  await assert.rejects(kv.set(["k"], 1), /disabled/i);
  assert.equal((await kv.get(["k"])).value, null);
  scene.main.readDisabled = true;
  await assert.rejects(kv.get(["k"]), /disabled/i);
});

Deno.test("the stock client tries again while a node says 503", async () => {
  await using scene = new Scene();
  using kv = await scene.open();
  scene.main.failure = new KvError("starting", "Cannot read: the log is being replayed");
  const value = kv.get(["k"]);
  await until(() => scene.metrics.answers.filter((answer) => answer === "read 503").length > 1);
  scene.main.failure = null;
  assert.equal((await value).value, null);
});

Deno.test("the stock client watches: first what is there, then changes and expiry", async () => {
  await using scene = new Scene();
  using kv = await scene.open();
  await kv.set(["a"], "one");
  const reader = kv.watch<[string, string]>([["a"], ["b"]]).getReader();
  const values = async () => (await reader.read()).value?.map(({ value }) => value);
  assert.deepEqual(await values(), ["one", null]);
  await kv.set(["b"], "two");
  assert.deepEqual(await values(), ["one", "two"]);
  await kv.set(["a"], "brief", { expireIn: 300 });
  assert.deepEqual(await values(), ["brief", "two"]);
  assert.deepEqual(await values(), [null, "two"]);
  assert.equal(scene.metrics.watchesOpen, 1);
  await reader.cancel();
  await until(() => scene.main.watching === 0 && scene.metrics.watchesOpen === 0);
});

Deno.test("a stock client that does not read a watch gets the newest value in the end", async () => {
  await using scene = new Scene();
  using kv = await scene.open();
  const reader = kv.watch<[Uint8Array]>([["a"]]).getReader();
  await reader.read();
  const large = new Uint8Array(60_000);
  for (let round = 1; round <= 250; round++) {
    await scene.set(["a"], large.fill(round));
    await turn();
  }
  const sentBefore = scene.metrics.bytes.out;
  let frames = 0;
  for (let last = 0; last !== 250; frames++) {
    last = (await reader.read()).value?.[0].value?.[0] ?? 0;
  }
  assert.ok(frames < 100, `${frames} frames for 250 commits`);
  assert.ok(sentBefore < 100 * large.length, `${sentBefore} bytes were sent ahead`);
  await reader.cancel();
  await until(() => scene.metrics.watchesOpen === 0);
});

Deno.test("Edge.stop ends watches; a stock client that watches asks again", async () => {
  await using scene = new Scene();
  using kv = await scene.open();
  const reader = kv.watch([["a"]]).getReader();
  await reader.read();
  scene.edge.stop();
  await until(() => scene.metrics.answers.includes("watch 503"));
  assert.equal(scene.metrics.watchesOpen, 0);
  await reader.cancel();
});

Deno.test("a client that leaves in the middle of a watch takes it with it", async () => {
  await using scene = new Scene();
  const kv = await scene.open();
  const watches = [kv.watch([["a"]]).getReader(), kv.watch([["b"]]).getReader()];
  for (const reader of watches) await reader.read();
  assert.equal(scene.main.watching, 2);
  for (const reader of watches) reader.cancel();
  kv.close();
  await until(() => scene.main.watching === 0 && scene.metrics.watchesOpen === 0);
});
