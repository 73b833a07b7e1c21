/**
 * The least that a KV Connect server can do: answers from a Map, with the node's own
 * codec, without tokens, limits, log, disk and state. What a node costs is measured
 * against it.
 *
 *     deno run --allow-net=127.0.0.1 bench/kv/map_server.ts
 *
 * @module
 */
import { type Row, STAMP_BYTES } from "../../kv_node/types.ts";
import { decodeSnapshotRead, encodeSnapshotReadOutput } from "../../kv_node/wire/read.ts";
import { decodeAtomicWrite, encodeAtomicWriteOutput } from "../../kv_node/wire/write.ts";

const PREFIX = new Uint8Array(4);
const PROTOBUF = { "content-type": "application/x-protobuf" };
const LIFE_MS = 3_600_000;
const DATABASE_ID = "00000000-0000-4000-8000-000000000000";

const rows = new Map<string, Row>();
const latin1 = new TextDecoder("latin1");
let count = 0;

function nextStamp(): Uint8Array {
  const stamp = new Uint8Array(STAMP_BYTES);
  new DataView(stamp.buffer).setUint32(4, ++count);
  return stamp;
}

function metadata(request: Request): Response {
  return Response.json({
    version: 3,
    databaseId: DATABASE_ID,
    endpoints: [{ url: `${new URL(request.url).origin}/data`, consistency: "strong" }],
    token: "bench",
    expiresAt: new Date(Date.now() + LIFE_MS).toISOString(),
  });
}

function read(body: Uint8Array): Response {
  const found = decodeSnapshotRead(body, PREFIX).map(({ start }) => {
    const row = rows.get(latin1.decode(start));
    return row === undefined ? [] : [row];
  });
  return new Response(encodeSnapshotReadOutput(found, { isStrong: true }), { headers: PROTOBUF });
}

function write(body: Uint8Array): Response {
  const stamp = nextStamp();
  for (const mutation of decodeAtomicWrite(body, PREFIX).command.mutations) {
    if (mutation.type !== "set") return new Response("Cannot write: only set", { status: 400 });
    const { key, value: { data, encoding }, expiresMs } = mutation;
    rows.set(latin1.decode(key), { key, data, encoding, stamp, expiresMs });
  }
  return new Response(encodeAtomicWriteOutput({ type: "committed", stamp }), { headers: PROTOBUF });
}

if (import.meta.main) {
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => Deno.stdout.writeSync(new TextEncoder().encode(`{"port":${port}}\n`)),
  }, async (request) => {
    if (request.url.endsWith("/snapshot_read")) return read(await request.bytes());
    if (request.url.endsWith("/atomic_write")) return write(await request.bytes());
    return metadata(request);
  });
}
