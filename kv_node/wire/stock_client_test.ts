/**
 * The stock client against these codecs: `Deno.openKv` over a server that knows nothing
 * else, so that what it sends and what it understands is what is tested.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Command, Row } from "../types.ts";
import { ENCODING_LE64 } from "../types.ts";
import { encodeFrame, FrameDecoder, keepAliveFrame } from "./frame.ts";
import { decodeSnapshotRead, encodeReadDisabled, encodeSnapshotReadOutput } from "./read.ts";
import { encodeSnapshotRead } from "./read.ts";
import { decodeWatch, encodeWatch, encodeWatchOutput } from "./watch.ts";
import { decodeAtomicWrite, encodeAtomicWrite, encodeAtomicWriteOutput } from "./write.ts";

const SPACE = Uint8Array.of(0, 0, 0, 4);
const STAMP_HEX = "000000000000000a0001";
const TOKEN = "a-token-of-this-test";

/** An ordered map and the last command, behind the three endpoints. */
class Endpoint {
  readonly rows = new Map<string, Row>();
  command: Command = { checks: [], mutations: [] };
  isStrong = true;
  isReadDisabled = false;
  failedChecks: number[] = [];
  readonly bodies = new Map<string, Uint8Array>();
  #stamps = 0;
  changed = (): void => {};

  async answer(request: Request): Promise<Response> {
    const { pathname, origin } = new URL(request.url);
    const body = await request.bytes();
    if (pathname === "/") return Response.json(metadata(origin));
    this.bodies.set(pathname, body.slice());
    try {
      return this.#answer(pathname, body);
    } catch (error) {
      // Stock clients would try a 500 again for ever.
      return new Response(String(error), { status: 400 });
    }
  }

  #answer(pathname: string, body: Uint8Array): Response {
    if (pathname === "/data/snapshot_read") return new Response(this.#read(body));
    if (pathname === "/data/atomic_write") return new Response(this.#write(body));
    return new Response(this.#watch(body), {
      headers: { "content-type": "application/octet-stream" },
    });
  }

  #read(body: Uint8Array): Uint8Array<ArrayBuffer> {
    if (this.isReadDisabled) return encodeReadDisabled();
    const ranges = decodeSnapshotRead(body, SPACE).map(({ start, end, limit, reverse }) => {
      const rows = [...this.rows.entries()].sort(([one], [other]) => one < other ? -1 : 1)
        .filter(([key]) => start.toHex() <= key && key < end.toHex()).map(([, row]) => row);
      return (reverse ? rows.reverse() : rows).slice(0, limit);
    });
    return encodeSnapshotReadOutput(ranges, { isStrong: this.isStrong });
  }

  #write(body: Uint8Array): Uint8Array<ArrayBuffer> {
    this.command = decodeAtomicWrite(body, SPACE).command;
    if (this.failedChecks.length > 0) {
      return encodeAtomicWriteOutput({ type: "conflict", failedChecks: this.failedChecks });
    }
    const stamp = new Uint8Array(10);
    stamp[9] = ++this.#stamps;
    for (const mutation of this.command.mutations) {
      const { key } = mutation;
      if (mutation.type === "delete") this.rows.delete(key.toHex());
      else if (mutation.type === "set") {
        this.rows.set(key.toHex(), { key, ...mutation.value, stamp, expiresMs: null });
      }
    }
    this.changed();
    return encodeAtomicWriteOutput({ type: "committed", stamp });
  }

  #watch(body: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
    const keys = decodeWatch(body, SPACE);
    return new ReadableStream({
      start: (controller) => {
        const send = (): void => {
          const rows = keys.map((key) => this.rows.get(key.toHex()) ?? null);
          controller.enqueue(keepAliveFrame());
          const frame = encodeFrame(encodeWatchOutput(rows));
          controller.enqueue(frame.slice(0, 3));
          controller.enqueue(frame.slice(3));
        };
        this.changed = send;
        send();
      },
      cancel: () => {
        this.changed = () => {};
      },
    });
  }
}

function metadata(origin: string): unknown {
  return {
    version: 3,
    databaseId: "5d5b1b0a-6f3c-4c7a-9a53-0d2c6f7b8e90",
    // A bare origin would get two slashes.
    endpoints: [{ url: `${origin}/data`, consistency: "strong" }],
    token: TOKEN,
    expiresAt: "2099-01-01T00:00:00Z",
  };
}

function stockTest(name: string, run: (kv: Deno.Kv, endpoint: Endpoint) => Promise<void>): void {
  Deno.test(name, async () => {
    const endpoint = new Endpoint();
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => endpoint.answer(request),
    );
    const before = Deno.env.get("DENO_KV_ACCESS_TOKEN");
    Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
    const kv = await Deno.openKv(`http://127.0.0.1:${server.addr.port}/`);
    try {
      await run(kv, endpoint);
    } finally {
      kv.close();
      if (before === undefined) Deno.env.delete("DENO_KV_ACCESS_TOKEN");
      else Deno.env.set("DENO_KV_ACCESS_TOKEN", before);
    }
  });
}

stockTest("encodeSnapshotReadOutput is understood: get, getMany, list, reverse", async (kv) => {
  const values = [1, "two", { three: [3n] }, new Uint8Array([4]), new Deno.KvU64(5n), null];
  for (const [index, value] of values.entries()) await kv.set(["list", index], value);
  const long = { text: "x".repeat(60_000) };
  await kv.set(["long"], long);
  const got = await kv.get(["list", 1]);
  assert.deepEqual(got, {
    key: ["list", 1],
    value: "two",
    versionstamp: "00000000000000000002",
  });
  assert.deepEqual((await kv.get(["long"])).value, long);
  const many = await kv.getMany([["list", 0], ["none"], ["list", 5]]);
  assert.deepEqual(many.map((entry) => entry.value), [1, null, null]);
  assert.deepEqual(many.map((entry) => entry.versionstamp === null), [false, true, false]);
  for (const reverse of [false, true]) {
    const listed: unknown[] = [];
    for await (const entry of kv.list({ prefix: ["list"] }, { reverse, batchSize: 2 })) {
      listed.push(entry.value);
    }
    assert.deepEqual(listed, reverse ? values.toReversed() : values);
  }
});

stockTest("decodeAtomicWrite reads every mutation and check", async (kv, endpoint) => {
  const before = Date.now();
  const result = await kv.atomic()
    .check({ key: ["a"], versionstamp: null }, { key: ["b"], versionstamp: STAMP_HEX })
    .set(["a"], new Uint8Array([7]), { expireIn: 60_000 }).delete(["b"])
    .sum(["c"], 3n).min(["d"], 4n).max(["e"], 5n)
    .mutate({ type: "sum", key: ["f"], value: new Deno.KvU64(6n) }).commit();
  const after = Date.now();
  assert.deepEqual(result, { ok: true, versionstamp: "00000000000000000001" });
  const { checks, mutations } = endpoint.command;
  const keyOf = (letter: string) => Uint8Array.of(...SPACE, 2, letter.charCodeAt(0), 0);
  const u64 = (value: number) => ({
    data: Uint8Array.of(value, 0, 0, 0, 0, 0, 0, 0),
    encoding: ENCODING_LE64,
  });
  assert.deepEqual(checks, [
    { key: keyOf("a"), stamp: null },
    { key: keyOf("b"), stamp: Uint8Array.fromHex(STAMP_HEX) },
  ]);
  const [set, ...others] = mutations;
  assert.ok(set?.type === "set" && set.expiresMs !== null);
  assert.ok(set.expiresMs >= before + 60_000 && set.expiresMs <= after + 60_000);
  assert.deepEqual({ ...set, expiresMs: null }, {
    type: "set",
    key: keyOf("a"),
    value: { data: Uint8Array.of(7), encoding: 3 },
    expiresMs: null,
  });
  const bounds = { min: null, max: null, clamp: false };
  assert.deepEqual(others, [
    { type: "delete", key: keyOf("b") },
    { type: "sum", key: keyOf("c"), value: u64(3), bounds },
    { type: "min", key: keyOf("d"), value: u64(4) },
    { type: "max", key: keyOf("e"), value: u64(5) },
    { type: "sum", key: keyOf("f"), value: u64(6), bounds },
  ]);
});

stockTest("decodeAtomicWrite reads a key with the commit's stamp", async (kv, endpoint) => {
  await kv.atomic().set(["log", kv.commitVersionstamp()], 1).commit();
  const [mutation] = endpoint.command.mutations;
  assert.equal(mutation?.type, "set_suffixed");
  assert.equal(mutation?.key.toHex(), `${SPACE.toHex()}026c6f6700`);
});

stockTest("encodeAtomicWriteOutput is understood when a check fails", async (kv, endpoint) => {
  endpoint.failedChecks = [0];
  const result = await kv.atomic().check({ key: ["a"], versionstamp: null }).delete(["a"]).commit();
  assert.deepEqual(result, { ok: false });
});

stockTest("encodeSnapshotReadOutput says when a read is not strong", async (kv, endpoint) => {
  await kv.set(["a"], 1);
  endpoint.isStrong = false;
  assert.equal((await kv.get(["a"], { consistency: "eventual" })).value, 1);
  await assert.rejects(kv.get(["a"]), /strong consistency/i);
});

stockTest("encodeReadDisabled is understood", async (kv, endpoint) => {
  endpoint.isReadDisabled = true;
  await assert.rejects(kv.get(["a"]), /disabled/i);
});

stockTest("encodeWatchOutput is understood, in frames that come in pieces", async (kv) => {
  await kv.set(["a"], 1);
  const reader = kv.watch([["a"], ["b"]]).getReader();
  const values = async () => (await reader.read()).value?.map((entry) => entry.value);
  assert.deepEqual(await values(), [1, null]);
  await kv.set(["b"], "x");
  assert.deepEqual(await values(), [1, "x"]);
  await kv.delete(["a"]);
  assert.deepEqual(await values(), [null, "x"]);
  await reader.cancel();
});

stockTest("the client's encoders write the bytes of the stock client", async (kv, endpoint) => {
  const bare = new Uint8Array();
  const reader = kv.watch([["a"], ["b", 1]]).getReader();
  await reader.read();
  await reader.cancel();
  await kv.getMany([["a"], ["b"]]);
  const read = endpoint.bodies.get("/data/snapshot_read") ?? bare;
  assert.equal(encodeSnapshotRead(decodeSnapshotRead(read, bare)).toHex(), read.toHex());
  for await (const _ of kv.list({ prefix: ["x"] }, { reverse: true, limit: 700 }));
  const list = endpoint.bodies.get("/data/snapshot_read") ?? bare;
  assert.equal(encodeSnapshotRead(decodeSnapshotRead(list, bare)).toHex(), list.toHex());
  const watch = endpoint.bodies.get("/data/watch") ?? bare;
  assert.equal(encodeWatch(decodeWatch(watch, bare)).toHex(), watch.toHex());
  await kv.atomic().check({ key: ["c"], versionstamp: STAMP_HEX }, {
    key: ["d"],
    versionstamp: null,
  })
    .set(["a"], "v".repeat(300), { expireIn: 5_000 }).sum(["b"], 2n ** 63n).max(["c"], 1n)
    .set(["s", kv.commitVersionstamp()], 1).commit();
  const write = endpoint.bodies.get("/data/atomic_write") ?? bare;
  assert.equal(encodeAtomicWrite(decodeAtomicWrite(write, bare)).toHex(), write.toHex());
  assert.deepEqual(new FrameDecoder().push(encodeFrame(write)), [write]);
});
