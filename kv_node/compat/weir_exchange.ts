/**
 * The metadata exchange with a Weir node: shows the access token, learns where
 * its link listens and by which token.
 *
 * @module
 */
import { StoreOpenError } from "./open_error.ts";

/** What a node says of a database. */
export interface LinkMetadata {
  /** `HOST:PORT` of its link. */
  readonly link: string;
  /** Token for it. */
  readonly token: string;
}

const BODY_BYTES_MAX = 64 * 1024;
const LINK = /^([A-Za-z0-9._-]{0,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})$/;

/**
 * Asks one node.
 *
 * @throws {StoreOpenError} `token` if it does not count there, `failed` for a server without a
 * link or database, and for one that does not answer properly.
 * @throws {TypeError} If the node cannot be reached; a `DOMException` if it took too long.
 */
export async function exchange(
  node: string,
  database: string,
  accessToken: string | null,
  signal: AbortSignal,
): Promise<LinkMetadata> {
  // A client of its own: a connection that is kept for later would outlive the store.
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const url = `http://${node}/${database === "default" ? "" : database}`;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(accessToken === null ? {} : { authorization: `Bearer ${accessToken}` }),
    },
    body: '{"supportedVersions":[3],"weir":true}',
    redirect: "manual",
    signal,
    client,
  });
  const text = await textOf(response);
  if (!response.ok) throw refusalOf(node, response.status, text);
  return metadataOf(url, node, text);
}

function refusalOf(node: string, status: number, text: string): StoreOpenError {
  const what = `Cannot open the store weir://${node}`;
  if (status === 401) {
    return new StoreOpenError("token", `${what}: the server refused the access token`);
  }
  // A node says in plain text why; others may send a page.
  const said = text.length <= 500 && !text.includes("<") ? `, ${text.trim()}` : "";
  return new StoreOpenError("failed", `${what}: the server answered ${status}${said}`);
}

function metadataOf(url: string, node: string, text: string): LinkMetadata {
  const what = `Cannot open the store weir://${node}`;
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (cause) {
    throw new StoreOpenError("failed", `${what}: the server does not speak KV Connect`, { cause });
  }
  const token = memberOf(fields, "token");
  if (typeof token !== "string") {
    throw new StoreOpenError("failed", `${what}: the server does not speak KV Connect`);
  }
  const link = memberOf(memberOf(fields, "weir"), "link");
  const [, host, port] = LINK.exec(typeof link === "string" ? link : "") ?? [];
  if (host === undefined || port === undefined) {
    throw new StoreOpenError(
      "failed",
      `${what}: the server has no link for this client; its address for KV Connect is ${url}`,
    );
  }
  // Without a host it is the one that was asked.
  return { link: `${host === "" ? node.slice(0, node.lastIndexOf(":")) : host}:${port}`, token };
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return new Map<string, unknown>(Object.entries(value)).get(name);
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length;
    // Leaving the loop ends the response.
    if (sizeBytes > BODY_BYTES_MAX) break;
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
