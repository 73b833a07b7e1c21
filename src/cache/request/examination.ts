/**
 * Decides what of a request may be cached, and computes its keys.
 *
 * Keys are SHA-256 over canonical JSON. The scope takes in everything but the
 * turn: key version, tenant, namespace, API, route, pool, headers that are passed
 * on, and every field of the body that can bear on the answer, known or not. The exact key is the scope with the
 * turn in full, the canonical key the scope with its text folded.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type {
  BypassReason,
  CacheControls,
  CachedSurface,
  CacheRequest,
  CacheRules,
  JsonObject,
} from "../types.ts";
import { barrierOf } from "./barriers.ts";
import { canonicalJson } from "./canonical_json.ts";
import { foldText } from "./fold.ts";
import { speaksOfPresent } from "./relative_time.ts";
import { clientTag, prefixTag } from "./tags.ts";
import { findTurn, type Turn } from "./turn.ts";

/** A request as it came in. */
export interface PromptRequest {
  /** The API by which it came. */
  readonly surface: string;
  /** Its body, as the client sent it. */
  readonly body: JsonObject;
  /** Length of the body's text, in characters. */
  readonly characters: number;
  /** Who asks: an access key's name, empty where no keys are set. */
  readonly tenant: string;
  /** The model alias. */
  readonly route: string;
  /** What the alias stands for: another pool gives other answers. */
  readonly pool: string;
  /** Headers that are passed on and may change the answer, names in lower case. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** What its headers say. */
  readonly controls: CacheControls;
}

/** What the cache may do with a request. */
export type Examination =
  | { readonly type: "cacheable"; readonly request: CacheRequest }
  | { readonly type: "bypass"; readonly reason: BypassReason };

/** How freely a request may be answered, by what it says of chance. */
interface Sampling {
  /** Whether variety is wanted: then only the same request is answered, and none is shared. */
  readonly varied: boolean;
  /** Whether one certain answer is wanted. */
  readonly seeded: boolean;
}

/** Changed with whatever changes the meaning of keys, so that old entries are left alone. */
const KEY_VERSION = "weir-cache-1";

/** Fields that do not bear on the answer's words. */
const IDLE_FIELDS: ReadonlySet<string> = new Set([
  "stream",
  "stream_options",
  "user",
  "metadata",
]);

/**
 * Examines a request.
 *
 * @param prompt The request as the client sent it, before anything is rewritten.
 * @param rules What the configuration says about its model.
 */
export function examine(prompt: PromptRequest, rules: CacheRules): Examination {
  const { body, controls, surface } = prompt;
  if (controls.mode === "off") return bypass("off");
  if (!isCached(surface)) return bypass("surface");
  if (!rules.flight && !rules.exact && !rules.canonical && rules.semantic === "off") {
    return bypass("no_layer");
  }
  if (prompt.characters > rules.bodyCharactersMax) return bypass("too_large");
  const barrier = barrierOf(surface, body);
  if (barrier !== null) return bypass(barrier);
  const turn = findTurn(surface, body);
  if (typeof turn === "string") return bypass(turn);
  const temperature = body["temperature"] ?? null;
  if (rules.deterministicOnly && temperature !== 0) return bypass("sampling");
  return answerable(prompt, surface, turn, rules);
}

function answerable(
  prompt: PromptRequest,
  surface: CachedSurface,
  turn: Turn,
  rules: CacheRules,
): Examination {
  const { tenant, route } = prompt;
  const sampling = samplingOf(prompt.body, rules);
  const fleeting = turn.remote || speaksOfPresent(turn.prose);
  const similar = !fleeting && !sampling.seeded && !sampling.varied
    ? similarTurn(prompt, turn, rules)
    : null;
  const folded = rules.canonical && !sampling.seeded && !sampling.varied && turn.spellable &&
      turn.text !== null
    ? foldText(turn.text)
    : null;
  const joinable = rules.flight && !sampling.varied;
  if (!joinable && !rules.exact && folded === null && similar === null) return bypass("no_layer");
  const scope = scopeOf(prompt, surface, turn);
  const ttlMs = Math.min(prompt.controls.ttlMs ?? rules.ttlMs, rules.ttlMaxMs);
  return {
    type: "cacheable",
    request: {
      surface,
      scope,
      exactKey: digest(`exact\n${scope}\n${canonicalJson(turn.content)}`),
      canonicalKey: folded === null ? null : digest(`folded\n${scope}\n${JSON.stringify(folded)}`),
      turn: similar,
      joinable,
      tenant,
      route,
      tags: tagsOf(prompt, turn),
      ttlMs: fleeting ? Math.min(ttlMs, rules.relativeTimeTtlMs) : ttlMs,
      staleIfErrorMs: rules.staleIfErrorMs,
    },
  };
}

/** The text that the semantic layer may compare, if it may. */
function similarTurn(prompt: PromptRequest, turn: Turn, rules: CacheRules): string | null {
  if (rules.semantic === "off" || prompt.controls.mode === "exact" || !turn.spellable) return null;
  if (turn.text === null || turn.text.length > rules.turnCharactersMax) return null;
  if (turn.messages > rules.messagesMax || turn.text.trim() === "") return null;
  return turn.text;
}

function samplingOf(body: JsonObject, rules: CacheRules): Sampling {
  const temperature = body["temperature"] ?? 0;
  return {
    varied: typeof temperature !== "number" || !(temperature <= rules.temperatureMax),
    seeded: (body["seed"] ?? null) !== null,
  };
}

function scopeOf(prompt: PromptRequest, surface: CachedSurface, turn: Turn): string {
  const { body, controls, route, tenant, pool, headers } = prompt;
  const sent = headers.map(([name, value]) => `${name}: ${value}`).toSorted();
  const owner = canonicalJson([
    ...[KEY_VERSION, tenant, controls.namespace, surface, route, pool],
    sent,
  ]);
  const rest: Record<string, unknown> = Object.create(null);
  for (const field of Object.keys(body)) {
    if (!IDLE_FIELDS.has(field)) rest[field] = body[field];
  }
  rest[turn.field] = turn.frame;
  return digest(owner + canonicalJson(rest));
}

function tagsOf(prompt: PromptRequest, turn: Turn): readonly string[] {
  const { controls, route, tenant } = prompt;
  const tags = [`tenant:${tenant}`, `model:${String(prompt.body["model"])}`, `route:${route}`];
  if (turn.system !== "") tags.push(prefixTag(turn.system));
  for (const tag of controls.tags) tags.push(clientTag(tenant, tag));
  return tags;
}

function isCached(surface: string): surface is CachedSurface {
  return surface === "chat" || surface === "completions" || surface === "responses" ||
    surface === "messages";
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

function bypass(reason: BypassReason): Examination {
  return { type: "bypass", reason };
}
