/**
 * The header fields that every HPACK peer knows.
 *
 * Source: RFC 7541, appendix A.
 *
 * @module
 */

import { HeaderField } from "./header_field.ts";

const NAMES_WITH_VALUES: readonly (readonly [string, string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
];

const NAMES: readonly string[] = [
  "accept-language",
  "accept-ranges",
  "accept",
  "access-control-allow-origin",
  "age",
  "allow",
  "authorization",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "etag",
  "expect",
  "expires",
  "from",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "link",
  "location",
  "max-forwards",
  "proxy-authenticate",
  "proxy-authorization",
  "range",
  "referer",
  "refresh",
  "retry-after",
  "server",
  "set-cookie",
  "strict-transport-security",
  "transfer-encoding",
  "user-agent",
  "vary",
  "via",
  "www-authenticate",
];

/** The table; its first entry has the index 1. */
export const STATIC_TABLE: readonly HeaderField[] = [
  ...NAMES_WITH_VALUES.map(([name, value]) => new HeaderField(name, value)),
  ...NAMES.map((name) => new HeaderField(name, "")),
];

/** The first index of a name in the static table, or 0. */
export function staticIndexOf(name: string): number {
  return STATIC_TABLE.findIndex((field) => field.name === name) + 1;
}
