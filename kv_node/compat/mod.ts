/**
 * Opens a key-value store by its address: the module behind `deno-kv-compat`.
 *
 *     memory:                  this process alone, gone with it
 *     file:PATH                a Deno KV database in a file
 *     http://…, https://…      any server that speaks KV Connect
 *     weir://A:4512,B:4512/NAME  nodes of Weir, any of which will do, and a database
 *
 * All of them have the shape of `Deno.Kv`, so that whoever uses one does not
 * know which. All but `weir:` need `"unstable": ["kv"]`; a file needs read and
 * write permission for its folder, a server network permission for its host and
 * `--allow-env=DENO_KV_ACCESS_TOKEN`, since that variable is the one way in
 * which `Deno.openKv` takes a token.
 *
 * `weir:` needs network permission for each address and for the port of each
 * node's link, and reads DENO_KV_ACCESS_TOKEN only where that is permitted. Its
 * operations have a deadline, reads move to another node by themselves, and a
 * commit whose answer was lost says so: see {@linkcode StoreOperationError}.
 *
 * @module
 */
import { FileStore } from "./file_store.ts";
import { fileFailure, remoteFailure, StoreOpenError } from "./open_error.ts";
import type { Store } from "./store.ts";
import { parseWeirAddress } from "./weir_address.ts";
import type { OpenQueueOptions, QueueClient } from "./queue_client.ts";

export type {
  Store,
  StoreAtomic,
  StoreCheck,
  StoreCommit,
  StoreEntry,
  StoreEntryMaybe,
  StoreIterator,
  StoreKey,
  StoreKeyPart,
  StoreListOptions,
  StoreSelector,
} from "./store.ts";
export type { OpenQueueOptions, QueueClient } from "./queue_client.ts";
export { type OpenFailure, StoreOpenError } from "./open_error.ts";
export { type OperationFailure, StoreOperationError } from "./operation_error.ts";

/** How to open a store. */
export interface OpenStoreOptions {
  /** Access token of a server; without it the environment's `DENO_KV_ACCESS_TOKEN` counts. */
  readonly token?: string;
  /** `weir:` only: how long an operation may take, in milliseconds; 10,000 without it. */
  readonly deadlineMs?: number;
  /** `weir:` only: how long one node may take to let the client in; 3,000 without it. */
  readonly connectMs?: number;
}

const TOKEN_VARIABLE = "DENO_KV_ACCESS_TOKEN";
const DEADLINE_MS = 10_000;
const CONNECT_MS = 3_000;

/**
 * Opens a store; whoever does closes it.
 *
 * @throws {StoreOpenError} If that fails: what is missing stands in the message.
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<Store> {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === "weir") return await openWeir(url, options);
  if (typeof Deno.openKv !== "function") {
    throw new StoreOpenError("permission", "Cannot open a store: start Deno with --unstable-kv");
  }
  if (scheme === "memory" && url.length === "memory:".length) return await Deno.openKv(":memory:");
  if (scheme === "file") return await openFile(pathOf(url));
  if (scheme === "http" || scheme === "https") return await openRemote(url, options.token);
  throw new StoreOpenError(
    "scheme",
    `Cannot open the store ${JSON.stringify(schemeOrText(scheme, url))}: ` +
      "known addresses are memory:, file:PATH, http://…, https://… and weir://…",
  );
}

/**
 * Opens the queue of a database by its address for KV Connect: see `queue_client.ts`.
 *
 * @throws {QueueError} If it is not there, or the token does not count.
 */
export async function openQueue(url: string, options?: OpenQueueOptions): Promise<QueueClient> {
  return await (await import("./queue_client.ts")).openQueue(url, options);
}

function schemeOrText(scheme: string | undefined, url: string): string {
  // An address may hold a password: only its kind is shown.
  return scheme === undefined || scheme === "memory" ? url : `${scheme}:`;
}

/** `file:` is followed by a path as it is, or by `//` and a path that is escaped as in any URL. */
function pathOf(url: string): string {
  const path = url.slice("file:".length);
  if (path === "") {
    throw new StoreOpenError("scheme", "Cannot open the store file: – it names no path");
  }
  if (!path.startsWith("//")) return path;
  const parsed = URL.parse(url);
  if (parsed === null || parsed.host !== "") {
    throw new StoreOpenError(
      "scheme",
      "Cannot open the store: a file address has three slashes or none, as in file:///data/weir.kv",
    );
  }
  return decodeURIComponent(parsed.pathname);
}

async function openFile(path: string): Promise<Store> {
  let store: Deno.Kv | undefined;
  try {
    store = await Deno.openKv(path);
    // A file of another program may open and fail at the first question only.
    await store.get(["weir"]);
    return new FileStore(store);
  } catch (error) {
    store?.close();
    throw fileFailure(path, error);
  }
}

async function openRemote(address: string, token: string | undefined): Promise<Store> {
  const url = URL.parse(address);
  if (url === null) {
    throw new StoreOpenError("scheme", "Cannot open the store: its http address is not a URL");
  }
  try {
    return await (token === undefined ? Deno.openKv(address) : openWithToken(address, token));
  } catch (error) {
    throw remoteFailure(url, error);
  }
}

async function openWeir(address: string, options: OpenStoreOptions): Promise<Store> {
  const { token = permittedToken(), deadlineMs = DEADLINE_MS, connectMs = CONNECT_MS } = options;
  for (const ms of [deadlineMs, connectMs]) {
    if (Number.isSafeInteger(ms) && ms > 0) continue;
    throw new RangeError(
      "Cannot open the store: a time has to be a positive number of milliseconds",
    );
  }
  const parsed = parseWeirAddress(address);
  // Loaded by who asks for it: every gateway starts with this module.
  const { WeirStore } = await import("./weir_store.ts");
  return await WeirStore.open(parsed, { token, deadlineMs, connectMs });
}

/** The environment's token; `null` where there is none, or nobody may look. */
function permittedToken(): string | null {
  const { state } = Deno.permissions.querySync({ name: "env", variable: TOKEN_VARIABLE });
  const token = state === "granted" ? Deno.env.get(TOKEN_VARIABLE) : undefined;
  return token === undefined || token === "" ? null : token;
}

/**
 * `Deno.openKv` reads the variable before it returns, and keeps what it read:
 * nobody else runs while it has another value.
 */
function openWithToken(address: string, token: string): Promise<Deno.Kv> {
  const before = Deno.env.get(TOKEN_VARIABLE);
  Deno.env.set(TOKEN_VARIABLE, token);
  try {
    return Deno.openKv(address);
  } finally {
    if (before === undefined) Deno.env.delete(TOKEN_VARIABLE);
    else Deno.env.set(TOKEN_VARIABLE, before);
  }
}
