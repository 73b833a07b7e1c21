/**
 * What the cache needs of the outside world and a gateway does not open itself:
 * the shared store, and a model of one's own.
 *
 * @module
 */
import { openStore, type Store, StoreOpenError } from "deno-kv-compat";
import type { Config } from "../config/schema.ts";
import { LEXICAL_DIMS, LEXICAL_ID, lexicalVector } from "../embed/lexical.ts";
import type { EmbedEvent } from "../embed/embed_gate.ts";
import { createLocalModelEmbedder } from "../embed/local_model.ts";
import { LocalModelError } from "../embed/model_client.ts";
import { hasCache } from "../assembly/cache_rules.ts";
import { backendEmbedder, type LocalEmbedding } from "../assembly/embedding.ts";
import type { GatewayPorts } from "../gateway.ts";
import type { Embedder } from "../ports.ts";
import { systemClock } from "../runtime/clock.ts";
import { SocketUpstream } from "../runtime/upstream_socket.ts";
import { CommandError } from "./command_error.ts";
import type { LoadedConfig } from "./read_config.ts";

/**
 * Opens what `config` asks for; nothing where no model has a cache.
 *
 * @throws {CommandError} If something cannot be opened: what is missing stands in the message.
 */
export async function openCachePorts(
  loaded: LoadedConfig,
): Promise<Pick<GatewayPorts, "store" | "localEmbedder">> {
  const { config, storeToken } = loaded;
  if (!hasCache(config)) return { store: null, localEmbedder: null };
  const localEmbedder = await openLocalModel(config);
  const { store: address } = config.cache;
  if (address === "memory:") return { store: null, localEmbedder };
  return { store: await open(address, storeToken), localEmbedder };
}

async function open(address: string, token: string | null): Promise<Store> {
  try {
    return await openStore(address, token === null ? {} : { token });
  } catch (cause) {
    if (!(cause instanceof StoreOpenError)) throw cause;
    throw new CommandError(`Cannot use cache.store: ${cause.message}`, { cause });
  }
}

/**
 * The embedder of a configuration on its own, for measuring; the built-in one without any.
 *
 * @throws {CommandError} If it cannot be had.
 */
export async function openEmbedder(loaded: LoadedConfig | null): Promise<Embedder> {
  if (loaded === null || loaded.config.cache.embedder.type === "builtin") return LEXICAL;
  const local = await openLocalModel(loaded.config);
  if (local !== null) return local.embedder;
  const { config, secrets, caCertificates } = loaded;
  const upstream = new SocketUpstream({ clock: systemClock, caCerts: [...caCertificates] });
  const made = backendEmbedder(config, { secrets, upstream, clock: systemClock }, () => {});
  return {
    id: made.id,
    dims: made.dims,
    embed: (texts, deadlineMs) => made.embed(texts, deadlineMs),
    close() {
      made.close();
      upstream.close();
    },
  };
}

async function openLocalModel(config: Config): Promise<LocalEmbedding | null> {
  const { type, directory } = config.cache.embedder;
  if (type !== "local" || directory === undefined) return null;
  let told: (event: EmbedEvent) => void = () => {};
  try {
    const embedder = await createLocalModelEmbedder({
      directory,
      clock: systemClock,
      onEvent: (event) => told(event),
    });
    return {
      embedder,
      listen(listener) {
        told = listener;
      },
    };
  } catch (cause) {
    if (!(cause instanceof LocalModelError)) throw cause;
    throw new CommandError(`Cannot use cache.embedder: ${cause.message}`, { cause });
  }
}

/** The built-in embedder in this thread: nobody else waits for it here. */
const LEXICAL: Embedder = {
  id: LEXICAL_ID,
  dims: LEXICAL_DIMS,
  embed: (texts) =>
    Promise.resolve(texts.map((text) => lexicalVector(text) ?? new Float32Array(LEXICAL_DIMS))),
  close: () => {},
};
