import assert from "node:assert/strict";
import { encodeKey } from "../../keyspace/key_codec.ts";
import type { Row } from "../../types.ts";
import { decodeSnapshotRead, encodeSnapshotReadOutput } from "../../wire/read.ts";
import { decodeAtomicWrite, encodeAtomicWriteOutput } from "../../wire/write.ts";
import { RawClient, RawClientError } from "./raw_client.ts";

const NO_SPACE = new Uint8Array(0);
const STAMP = Uint8Array.from([0, 0, 1, 2, 3, 4, 5, 6, 0, 1]);

/** A server of KV Connect that is not ours: it has no route of its own, and tells no expiry. */
class StockServer implements AsyncDisposable {
  readonly keys: Uint8Array[] = [];
  /** Statuses of the next answers of the data path; 200 where there are none left. */
  readonly statuses: number[] = [];
  calls = 0;
  exchanges = 0;
  readonly #rows: readonly Row[];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/") {
      this.exchanges++;
      return Response.json({
        version: 3,
        databaseId: "11111111-1111-4111-8111-111111111111",
        endpoints: [{ url: "/data", consistency: "strong" }], // A relative one is allowed.
        token: "data-token",
        expiresAt: new Date(Date.now() + 60_000).toISOString(),
      });
    }
    this.calls++;
    assert.equal(request.headers.get("authorization"), "Bearer data-token");
    const status = this.statuses.shift() ?? 200;
    if (status !== 200) return new Response("Cannot answer: told so", { status });
    const body = await request.bytes();
    if (pathname === "/data/atomic_write") {
      const { command } = decodeAtomicWrite(body, NO_SPACE);
      this.keys.push(...command.mutations.map(({ key }) => key));
      return new Response(encodeAtomicWriteOutput({ type: "committed", stamp: STAMP }));
    }
    assert.equal(pathname, "/data/snapshot_read");
    const [range] = decodeSnapshotRead(body, NO_SPACE);
    assert.ok(range !== undefined);
    const from = range.start.toHex();
    const rows = this.#rows.filter(({ key }) => key.toHex() >= from).slice(0, range.limit);
    // The encoder takes off four bytes of a space.
    const spaced = rows.map((row) => ({ ...row, key: Uint8Array.of(0, 0, 0, 0, ...row.key) }));
    return new Response(encodeSnapshotReadOutput([spaced], { isStrong: true }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function rowOf(number: number): Row {
  const key = encodeKey(["row", number]);
  return { key, data: Uint8Array.of(number), encoding: 3, stamp: STAMP, expiresMs: null };
}

Deno.test("RawClient reads a server that is not ours batch by batch, and says that expiry is unknown", async () => {
  const rows = Array.from({ length: 250 }, (_, number) => rowOf(number));
  await using server = new StockServer(rows);
  const found: Row[] = [];
  for await (const batch of new RawClient(server.url, null).rows()) {
    assert.equal(batch.hasExpiry, false);
    found.push(...batch.rows);
  }
  assert.deepEqual(found, rows);
  assert.equal(server.calls, 4);
  assert.equal(server.exchanges, 1);
});

Deno.test("RawClient tries again what may pass, with new metadata, and nothing else", async () => {
  await using server = new StockServer([]);
  const client = new RawClient(server.url, "access");
  const { key, data, encoding, expiresMs } = rowOf(1);
  const change = { type: "set", key, value: { data, encoding }, expiresMs } as const;
  server.statuses.push(503, 500);
  await client.write([change]);
  assert.deepEqual(server.keys, [key]);
  assert.equal(server.calls, 3);
  assert.equal(server.exchanges, 3);
  for (const status of [400, 401, 413]) {
    server.statuses.push(status);
    await assert.rejects(client.write([change]), (error) => {
      return error instanceof RawClientError && error.status === status &&
        error.message === "Cannot answer: told so";
    });
  }
  assert.equal(server.calls, 6);
});

Deno.test("RawClient says what is there instead of a database", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("<html>"),
  );
  const url = `http://127.0.0.1:${server.addr.port}/x`;
  await assert.rejects(
    new RawClient(url, null).rows().next(),
    /^RawClientError: Cannot use http:\/\/127\.0\.0\.1:\d+: what answers there does not speak KV/,
  );
});
