/**
 * What a client's headers ask of the cache.
 *
 * `Cache-Control` is read as RFC 9111 section 5.2 has it: a directive that is
 * unknown or malformed is as if it were not there. The gateway's own headers are
 * read strictly: whoever sets one means it, and a namespace or a threshold that
 * was silently dropped would be worse than an error.
 *
 * @module
 */
import { GatewayError } from "../../errors.ts";
import type { CacheControls } from "../types.ts";

/** Longest namespace and tag, in characters. */
const NAME_CHARACTERS_MAX = 128;

/** Most tags on one request. */
const TAGS_MAX = 16;

/** RFC 9111 section 1.2.2: the number that stands for "very long", in seconds. */
const DELTA_SECONDS_MAX = 2_147_483_648;

const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;
const SECONDS = /^\d{1,9}(?:\.\d{1,9})?$/;
const SHARE = /^(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?)$/;

/** A directive: its name, and its argument as a token or quoted. */
const DIRECTIVE = /([^\s,;="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?\s*(?:,|$)/gy;

/** What a request without any of these headers asks: nothing. */
const NOTHING_ASKED: CacheControls = Object.freeze({
  mode: null,
  refresh: false,
  noStore: false,
  onlyIfCached: false,
  maxAgeMs: null,
  ttlMs: null,
  threshold: null,
  namespace: "",
  tags: Object.freeze([]),
});

/**
 * Reads the cache headers of a request.
 *
 * @param header Gives a header's value by its name in lower case, `null` if it is absent.
 * @throws {GatewayError} `invalid_request` for a malformed `Weir-Cache-*` header, which `param`
 * names.
 */
export function readControls(header: (name: string) => string | null): CacheControls {
  const cacheControl = header("cache-control");
  const mode = header("weir-cache-mode");
  const namespace = header("weir-cache-namespace");
  const tags = header("weir-cache-tags");
  const ttl = header("weir-cache-ttl");
  const threshold = header("weir-cache-threshold");
  if (
    cacheControl === null && mode === null && namespace === null && tags === null &&
    ttl === null && threshold === null
  ) return NOTHING_ASKED;
  return {
    ...readDirectives(cacheControl ?? ""),
    mode: mode === null ? null : readMode(mode.trim()),
    namespace: namespace === null ? "" : readNamespace(namespace.trim()),
    tags: tags === null ? [] : readTags(tags),
    ttlMs: ttl === null ? null : readTtlMs(ttl.trim()),
    threshold: threshold === null ? null : readThreshold(threshold.trim()),
  };
}

function readDirectives(
  value: string,
): Pick<CacheControls, "refresh" | "noStore" | "onlyIfCached" | "maxAgeMs"> {
  const asked = new Set<string>();
  let maxAgeMs: number | null = null;
  for (const [name, argument] of directivesOf(value)) {
    asked.add(name);
    if (name !== "max-age" || !/^\d+$/.test(argument)) continue;
    const ageMs = Math.min(Number(argument), DELTA_SECONDS_MAX) * 1_000;
    // Section 4.2.1: of several, the most restrictive.
    maxAgeMs = maxAgeMs === null ? ageMs : Math.min(maxAgeMs, ageMs);
  }
  return {
    refresh: asked.has("no-cache"),
    noStore: asked.has("no-store"),
    onlyIfCached: asked.has("only-if-cached"),
    maxAgeMs,
  };
}

/** Each directive's name in lower case with its argument; what cannot be read is skipped. */
function* directivesOf(value: string): Generator<readonly [string, string]> {
  let from = 0;
  while (from < value.length) {
    DIRECTIVE.lastIndex = from;
    const found = DIRECTIVE.exec(value);
    if (found !== null) {
      const argument = found[2]?.replace(/\\(.)/g, "$1") ?? found[3] ?? "";
      from = DIRECTIVE.lastIndex;
      yield [found[1]?.toLowerCase() ?? "", argument];
    } else if (/[\s,]/.test(value.charAt(from))) {
      from += 1;
    } else {
      const comma = value.indexOf(",", from);
      if (comma === -1) return;
      from = comma + 1;
    }
  }
}

function readMode(value: string): CacheControls["mode"] {
  const mode = value.toLowerCase();
  if (mode === "off" || mode === "exact" || mode === "semantic") return mode;
  throw unusable("mode", "it must be off, exact or semantic");
}

function readNamespace(value: string): string {
  // An empty one is a variable that somebody forgot to fill, and would share what
  // was meant to be apart.
  if (value === "") throw unusable("namespace", "it is empty");
  checkName("namespace", value);
  return value;
}

function readTags(value: string): readonly string[] {
  const tags = new Set<string>();
  for (const piece of value.split(",", TAGS_MAX * 4)) {
    const tag = piece.trim();
    if (tag === "") continue;
    checkName("tags", tag);
    tags.add(tag);
    if (tags.size > TAGS_MAX) throw unusable("tags", `there are more than ${TAGS_MAX}`);
  }
  return [...tags];
}

function checkName(header: string, value: string): void {
  if (value.length > NAME_CHARACTERS_MAX) {
    throw unusable(header, `a name may have ${NAME_CHARACTERS_MAX} characters at most`);
  }
  if (!PRINTABLE_ASCII.test(value)) {
    throw unusable(header, "only printable ASCII characters are allowed");
  }
}

function readTtlMs(value: string): number {
  if (!SECONDS.test(value)) {
    throw unusable("ttl", "it must be a number of seconds such as 60 or 0.5");
  }
  return Math.round(Number(value) * 1_000);
}

function readThreshold(value: string): number {
  if (!SHARE.test(value)) throw unusable("threshold", "it must be a number from 0 to 1");
  return Number(value);
}

function unusable(header: string, why: string): GatewayError {
  const param = `weir-cache-${header}`;
  return new GatewayError("invalid_request", `Cannot use header ${param}: ${why}`, { param });
}
