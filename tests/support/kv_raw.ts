/**
 * KV Connect by hand: one request, one answer, and nothing is tried again.
 *
 * @module
 */
import { encodeKey } from "../../kv_node/keyspace/key_codec.ts";
import { ENCODING_BYTES } from "../../kv_node/types.ts";
import { encodeAtomicWrite } from "../../kv_node/wire/write.ts";

/** What the data path of a database takes. */
export interface DataPath {
  /** URL of the data path. */
  readonly url: string;
  /** The headers that every request needs. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Does the metadata exchange. */
export async function exchangeMetadata(url: string, token = "any"): Promise<DataPath> {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: '{"supportedVersions":[3]}',
  });
  if (!response.ok) throw new Error(`Cannot go on: ${response.status} ${await response.text()}`);
  const { endpoints: [{ url: dataUrl }], token: dataToken, databaseId } = await response.json();
  return {
    url: dataUrl,
    headers: {
      authorization: `Bearer ${dataToken}`,
      "content-type": "application/x-protobuf",
      "x-denokv-database-id": databaseId,
      "x-denokv-version": "3",
    },
  };
}

/** Asks for an operation; gives status and text. */
export async function askOnce(
  { url, headers }: DataPath,
  operation: "snapshot_read" | "atomic_write" | "watch",
  body: Uint8Array<ArrayBuffer>,
  signal?: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${url}/${operation}`, {
    method: "POST",
    headers,
    body,
    signal: signal ?? null,
  });
  return { status: response.status, text: await response.text() };
}

/** The body of a commit that sets one key, `[name]`, to so many plain bytes. */
export function settingBody(name: string, valueBytes: number): Uint8Array<ArrayBuffer> {
  const value = { data: new Uint8Array(valueBytes).fill(7), encoding: ENCODING_BYTES } as const;
  const set = { type: "set", key: encodeKey([name]), value, expiresMs: null } as const;
  return encodeAtomicWrite({ command: { checks: [], mutations: [set] }, enqueues: [] });
}
