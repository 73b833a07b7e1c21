/**
 * The client of the KV node's benchmark: one command a line in, one result a line out.
 *
 * One process a store, so that none pays for another's client. `kv` with a path is
 * SQLite in this process, which is how a program that uses `Deno.openKv(file)` has it.
 *
 *     deno run --unstable-kv … bench/kv/client.ts kv http://127.0.0.1:4512
 *
 * @module
 */
import { openStore } from "../../kv_node/compat/mod.ts";
import { encodeKey } from "../../kv_node/keyspace/key_codec.ts";
import { ENCODING_BYTES } from "../../kv_node/types.ts";
import { encodeAtomicWrite } from "../../kv_node/wire/write.ts";
import { KEYS, type LoadCommand, play, type Subject, VALUE_BYTES, valueOf } from "./load.ts";
import { encodeRespCommand, RedisConnection } from "./redis_connection.ts";

/** Which store a client process uses, and by which way. */
export type SubjectKind =
  /** `Deno.openKv`, of an address or a path. */
  | "kv"
  /** The node's own client. */
  | "weir"
  /** One connection to Redis. */
  | "redis"
  /** `fetch` to the node's data path, with bodies made beforehand. */
  | "post_node"
  /** `fetch` to etcd's HTTP gateway, with bodies made beforehand. */
  | "post_etcd";

const encoder = new TextEncoder();
const value = valueOf(VALUE_BYTES);

async function storeSubject(kind: "kv" | "weir", address: string): Promise<Subject> {
  const store = kind === "kv" ? await Deno.openKv(address) : await openStore(`weir://${address}`);
  return {
    async set(number) {
      await store.set(["bench", number], value);
    },
    async get(number) {
      const entry = await store.get(["bench", number]);
      return entry.value instanceof Uint8Array ? entry.value.length : -1;
    },
    close: () => store.close(),
  };
}

async function redisSubject(port: number): Promise<Subject> {
  const connection = await RedisConnection.open(port);
  const [setWord, getWord] = [encoder.encode("SET"), encoder.encode("GET")];
  const keys = Array.from({ length: KEYS }, (_, number) => encoder.encode(`bench:${number}`));
  const sets = keys.map((key) => encodeRespCommand([setWord, key, value]));
  const gets = keys.map((key) => encodeRespCommand([getWord, key]));
  return {
    async set(number) {
      await connection.send(sets[number] ?? new Uint8Array(0));
    },
    get: (number) => connection.send(gets[number] ?? new Uint8Array(0)),
    close: () => connection.close(),
  };
}

/** Sets over `fetch`, all bodies at hand. */
function postSubject(
  url: string,
  headers: Readonly<Record<string, string>>,
  bodies: readonly (string | Uint8Array<ArrayBuffer>)[],
): Subject {
  return {
    async set(number) {
      const response = await fetch(url, { method: "POST", headers, body: bodies[number] ?? null });
      await response.bytes();
      if (!response.ok) throw new Error(`Cannot set: status ${response.status}`);
    },
    get: () => Promise.reject(new Error("Cannot get: this client only sets")),
    close: () => {},
  };
}

async function nodeSubject(url: string): Promise<Subject> {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: "Bearer bench", "content-type": "application/json" },
    body: JSON.stringify({ supportedVersions: [3] }),
  });
  const { token, databaseId, endpoints } = await response.json();
  const headers = {
    "authorization": `Bearer ${token}`,
    "content-type": "application/x-protobuf",
    "x-denokv-version": "3",
    "x-denokv-database-id": databaseId,
  };
  const stored = { data: value, encoding: ENCODING_BYTES } as const;
  const bodies = Array.from({ length: KEYS }, (_, number) => {
    const key = encodeKey(["bench", number]);
    const mutations = [{ type: "set", key, value: stored, expiresMs: null }] as const;
    return encodeAtomicWrite({ command: { checks: [], mutations }, enqueues: [] });
  });
  return postSubject(`${endpoints[0].url}/atomic_write`, headers, bodies);
}

function etcdSubject(url: string): Subject {
  const base64 = value.toBase64();
  const bodies = Array.from({ length: KEYS }, (_, number) => {
    return JSON.stringify({ key: encoder.encode(`bench:${number}`).toBase64(), value: base64 });
  });
  return postSubject(`${url}/v3/kv/put`, { "content-type": "application/json" }, bodies);
}

function open(kind: string, address: string): Promise<Subject> | Subject {
  switch (kind) {
    case "kv":
    case "weir":
      return storeSubject(kind, address);
    case "redis":
      return redisSubject(Number(address));
    case "post_node":
      return nodeSubject(address);
    case "post_etcd":
      return etcdSubject(address);
    default:
      throw new TypeError(`Cannot open ${kind}: there is no such kind of store`);
  }
}

async function main([kind = "", address = ""]: readonly string[]): Promise<void> {
  const say = (line: unknown) => Deno.stdout.write(encoder.encode(JSON.stringify(line) + "\n"));
  const subject = await open(kind, address);
  await say({ open: true });
  let [text, from] = ["", 0];
  for await (const piece of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      const command: LoadCommand = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      const result = await play(subject, command, from);
      from = (from + result.operations + result.errors) % KEYS;
      await say(result);
    }
  }
}

if (import.meta.main) await main(Deno.args);
