/**
 * Addresses of Weir nodes: `weir://HOST[:PORT][,HOST[:PORT]…][/NAME]`.
 *
 * @module
 */
import { StoreOpenError } from "./open_error.ts";

/** Where a node listens if its address names no port. */
export const DEFAULT_PORT = 4512;

/** Nodes of one cluster, and one of its databases. */
export interface WeirAddress {
  /** `HOST:PORT` of each node, at least one. */
  readonly nodes: readonly string[];
  /** Name of the database. */
  readonly database: string;
}

const NODES_MAX = 32;
const DEFAULT_DATABASE = "default";
const NODE = /^([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/**
 * Reads an address.
 *
 * @throws {StoreOpenError} `scheme` if it is none; it may hold a password, so it is not shown.
 */
export function parseWeirAddress(url: string): WeirAddress {
  const [nodes = "", name = "", ...rest] = url.replace(/^weir:\/\//i, "").split("/");
  const parsed = /^weir:\/\//i.test(url) && rest.length === 0 ? nodes.split(",").map(nodeOf) : [];
  const known = parsed.filter((node) => node !== null);
  const database = name === "" ? DEFAULT_DATABASE : name;
  const isGood = known.length === parsed.length && known.length > 0 && known.length <= NODES_MAX;
  if (isGood && NAME.test(database)) return { nodes: known, database };
  throw new StoreOpenError(
    "scheme",
    'Cannot open the store "weir:": its address has to be weir://HOST:PORT,…/NAME, without user ' +
      "and query; known addresses are memory:, file:PATH, http://…, https://… and weir://…",
  );
}

/** Host and port of `HOST:PORT`, the brackets of an IPv6 address taken off. */
export function hostAndPort(node: string): {
  readonly hostname: string;
  readonly port: number;
} {
  const colon = node.lastIndexOf(":");
  return {
    hostname: node.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(node.slice(colon + 1)),
  };
}

function nodeOf(text: string): string | null {
  const [, host, port = String(DEFAULT_PORT)] = NODE.exec(text) ?? [];
  const isGood = host !== undefined && Number(port) > 0 && Number(port) < 65_536;
  return isGood ? `${host}:${Number(port)}` : null;
}
