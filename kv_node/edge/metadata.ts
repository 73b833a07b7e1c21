/**
 * The metadata exchange: a client shows its access token and learns where the
 * data path is, and by which token.
 *
 * How long metadata live decides how soon a client finds another node. `Deno`
 * asks again 10 s before the end, so 15 s make it ask every 5 s; npm's client
 * asks before every call once fewer than 5 minutes are left.
 *
 * Source: denoland/denokv, proto/kv-connect.md.
 *
 * @module
 */
import type { Clock, HeaderFields, Reply, ServerRequest } from "../../src/ports.ts";
import { KvError } from "../errors.ts";
import type { Database } from "../types.ts";
import type { BodyReader } from "./body.ts";
import type { AccessControl, Databases, Endpoint, Endpoints } from "./ports.ts";
import { jsonReply } from "./reply.ts";
import { DATA_ROUTE, hostOf } from "./route.ts";
import type { TokenSigner } from "./token.ts";

/** What the data path's tokens are good for. */
export const DATA_SCOPE = "data";

/** What an exchange needs. */
export interface MetadataParts {
  /** The databases. */
  readonly databases: Databases;
  /** Judges access tokens. */
  readonly accessTokens: AccessControl;
  /** Signs data tokens. */
  readonly tokens: TokenSigner;
  /** The present. */
  readonly clock: Clock;
  /** Lists endpoints. */
  readonly endpoints: Endpoints;
  /** Where the own client connects, given the host that it asked. */
  readonly linkAddress?: (host: string) => string;
  /** Reads bodies. */
  readonly bodies: BodyReader;
}

const BODY_BYTES_MAX = 16_384;
const DENO_LIFE_MS = 15_000;
const OTHER_LIFE_MS = 315_000;
const TOKEN_LIFE_MS = 86_400_000;
/** Tokens of the same minute are the same text, so that few are to be kept in mind. */
const TOKEN_STEP_MS = 60_000;
const HOST = /^(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/;

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Answers `POST /NAME`.
 *
 * @throws {KvError} If the client may not, or speaks no version that is spoken here.
 */
export async function exchangeMetadata(
  parts: MetadataParts,
  name: string,
  request: ServerRequest,
): Promise<Reply> {
  const { headers } = request;
  const verdict = parts.accessTokens.check(bearerOf(headers), name);
  if (verdict !== "ok") throw verdict;
  const host = hostOf(request.url);
  if (!HOST.test(host)) {
    throw new KvError("bad_request", "Cannot tell endpoints: the host header is no host name");
  }
  const asked = askedIn(await parts.bodies.read(request, BODY_BYTES_MAX));
  const version = versionOf(asked.versions);
  const database = await parts.databases.open(name);
  const userAgent = headers.get("user-agent") ?? "";
  const nowMs = parts.clock.wallMs();
  const lifeMs = userAgent.startsWith("Deno/") ? DENO_LIFE_MS : OTHER_LIFE_MS;
  return jsonReply({
    version,
    databaseId: database.id,
    endpoints: parts.endpoints(database, userAgent, host),
    token: tokenFor(parts, database, nowMs),
    expiresAt: new Date(nowMs + lifeMs).toISOString(),
    // Only who asks for it: npm's client refuses metadata with a member that it does not know.
    ...(asked.link && parts.linkAddress !== undefined
      ? { weir: { link: parts.linkAddress(host) } }
      : {}),
  });
}

/**
 * Endpoints of a node that knows no other: itself, by the address that clients use.
 *
 * @param publicUrl How clients reach this node, such as `https://kv.example` behind a proxy that
 * does TLS; `null` if it is by the host they ask for, over plain HTTP.
 */
export function ownEndpoints(publicUrl: string | null): Endpoints {
  const base = publicUrl?.replace(/\/+$/, "") ?? null;
  return (database, _userAgent, host): readonly Endpoint[] => [
    { url: `${base ?? `http://${host}`}/${database.name}/${DATA_ROUTE}`, consistency: "strong" },
  ];
}

/** The token of an `authorization: Bearer` header, or `null`. */
export function bearerOf(headers: HeaderFields): string | null {
  return /^bearer +([\x21-\x7e]+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? null;
}

function tokenFor(parts: MetadataParts, database: Database, nowMs: number): string {
  const { id: databaseId } = database;
  const expiresMs = Math.ceil((nowMs + TOKEN_LIFE_MS) / TOKEN_STEP_MS) * TOKEN_STEP_MS;
  const epoch = parts.accessTokens.epochOf(databaseId);
  return parts.tokens.sign({ databaseId, scope: DATA_SCOPE, epoch, expiresMs });
}

/** What a client says of itself. */
interface Asked {
  /** Versions that it speaks. */
  readonly versions: readonly unknown[];
  /** Whether it is the own client and wants to know where the link is. */
  readonly link: boolean;
}

/** The newest version that both sides speak. */
function versionOf(versions: readonly unknown[]): 2 | 3 {
  if (versions.includes(3)) return 3;
  if (versions.includes(2)) return 2;
  throw new KvError(
    "bad_request",
    "Cannot agree on a version of KV Connect: this node speaks 2 and 3, and the client neither; " +
      "use a newer client",
  );
}

function askedIn(body: Uint8Array): Asked {
  // The protocol's first version sent no body.
  if (body.length === 0) return { versions: [1], link: false };
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(body));
  } catch (cause) {
    throw new KvError("bad_request", "Cannot read body: it is no JSON", { cause });
  }
  if (value !== null && typeof value === "object" && "supportedVersions" in value) {
    const { supportedVersions: versions } = value;
    const link = "weir" in value && value.weir === true;
    if (Array.isArray(versions)) return { versions, link };
  }
  throw new KvError(
    "bad_request",
    'Cannot read body: send {"supportedVersions":[2,3]}, the versions of KV Connect you speak',
  );
}
