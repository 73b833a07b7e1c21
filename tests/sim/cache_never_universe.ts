/**
 * Random requests from a small world, so that they meet again and again: few
 * tenants, namespaces, models, system prompts, tools, parameters, histories and
 * questions, each mostly the usual one. Two of them are mostly alike, or differ in
 * one thing.
 *
 * What the cache must tell apart is written down beside each request, by other
 * means than the cache's own keys.
 *
 * @module
 */
import { clientTag, prefixTag } from "../../src/cache/request/tags.ts";
import type { CachedSurface } from "../../src/cache/types.ts";
import type { HeaderFields, Random } from "../../src/ports.ts";
import { type Inbound, readInbound } from "../../src/relay/inbound.ts";

/** A question in one of its wordings. */
export interface Wording {
  /** The text. */
  readonly text: string;
  /** Which questions it means the same as. */
  readonly meaning: string;
}

/** One request, and what is known of it. */
export interface Ask {
  /** Its name. */
  readonly id: string;
  /** Who asks. */
  readonly tenant: string | null;
  /** The API. */
  readonly surface: CachedSurface;
  /** The model. */
  readonly model: string;
  /** All that must be equal for an answer to be shared. */
  readonly partition: string;
  /** The question. */
  readonly wording: Wording;
  /** Tags that follow from the partition. */
  readonly ownTags: readonly string[];
  /** Tags that the client chose. */
  readonly clientTags: readonly string[];
  /** Why it passes the cache by; `null` if it does not. */
  readonly bypass: string | null;
  /** `Cache-Control: no-store`. */
  readonly noStore: boolean;
  /** `Cache-Control: no-cache`. */
  readonly refresh: boolean;
  /** `Cache-Control: only-if-cached`. */
  readonly onlyIfCached: boolean;
  /** `Weir-Cache-Mode: exact`. */
  readonly exactOnly: boolean;
  /** `Cache-Control: max-age`, in milliseconds. */
  readonly maxAgeMs: number | null;
  /** `Weir-Cache-TTL`, in milliseconds. */
  readonly ttlMs: number | null;
  /** `Weir-Cache-Threshold`. */
  readonly threshold: number | null;
  /** Whether only the very same request may answer it. */
  readonly varied: boolean;
  /** Its headers. */
  readonly headers: HeaderFields;
  /** Headers that are passed on. */
  readonly passed: readonly (readonly [string, string])[];
  /** Its body. */
  readonly inbound: Inbound;
}

/** Models of the simulation. */
export const MODELS = ["static", "verified", "plain"] as const;

/** Who asks. */
export const TENANTS: readonly (string | null)[] = ["ann", "ben", "a/b"];

/** System prompts. */
export const SYSTEMS = ["", "You are terse.", "You are kind."] as const;

/** Tags that clients choose from. */
export const CLIENT_TAGS = ["faq", "b/faq"] as const;

const NAMESPACES = ["", "blue", "red"] as const;
const TOOLS = ["", "clock", "map"] as const;
const HISTORIES: readonly (readonly string[])[] = [[], ["Hello?", "Yes."], ["Hello?", "No."]];

/** Questions: all wordings on a line mean the same. */
const QUESTIONS: readonly (readonly [meaning: string, ...wordings: readonly string[]])[] = [
  [
    "password",
    "How do I reset my password?",
    "how do i reset  my password",
    "Please, how do I reset my password?",
    "HOW DO I RESET MY PASSWORD!",
    "How do I reset my passwrod?",
  ],
  [
    "dark on",
    "How do I enable dark mode?",
    "How do I enable the dark mode?",
    "How do I enabel dark mode?",
  ],
  ["dark off", "How do I disable dark mode?", "how do i disable the dark mode"],
  [
    "5 km",
    "Convert 5 kilometres to miles.",
    "convert 5 kilometres to miles",
    "Convert 5 kilometers to miles.",
  ],
  ["6 km", "Convert 6 kilometres to miles.", "convert 6 kilometers to miles."],
  [
    "train",
    "Where can I buy cheap train tickets for a trip along the coast in the summer holidays?",
    "Where can I buy cheap train tikcets for a trip along the coast in the summer holidays?",
  ],
  ["bus", "Where can I buy cheap bus tickets for a trip along the coast in the summer holidays?"],
  ["largest", "Which planet is the largest of all?", "Which planet is the largets of all?"],
  ["smallest", "Which planet is the smallest of all?"],
  ["tea", "Is tea good for the heart?", "is tea good for the heart"],
  ["no tea", "Is tea not good for the heart?", "Is tea not good for the hearts?"],
  ["french", "Translate good night into French.", "translate good night into french"],
  ["german", "Translate good night into German.", "translate good night into german"],
  ["code", "What does `let x = 1` do?", "What does `let X = 1` do?"],
  ["weather", "What is the weather like today?", "what is the weather like today"],
];

const WORDINGS: readonly Wording[] = QUESTIONS.flatMap(([meaning, ...texts]) =>
  texts.map((text) => ({ text, meaning }))
);

/** One of several. */
export function pick<Item>(items: readonly Item[], random: Random): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError("Cannot pick: there is nothing to pick from");
  return item;
}

/** The first of several, mostly. */
function mostlyFirst<Item>(items: readonly [Item, ...Item[]] | readonly Item[], random: Random) {
  return random() < 0.88 ? pick(items.slice(0, 1), random) : pick(items, random);
}

/** Everything about a request but the question and how it is asked. */
export interface Setting {
  readonly tenant: string | null;
  readonly namespace: string;
  readonly surface: CachedSurface;
  readonly model: string;
  readonly system: string;
  readonly tools: string;
  readonly history: readonly string[];
  /** Whether the question stands in a list of parts. */
  readonly inParts: boolean;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Headers that are passed on. */
  readonly passed: Ask["passed"];
}

/** Draws a setting: in each respect mostly the usual. */
export function drawSetting(random: Random): Setting {
  const surface = pick(["chat", "chat", "messages", "responses", "completions"] as const, random);
  const isBare = surface === "completions";
  return {
    tenant: mostlyFirst(TENANTS, random),
    namespace: mostlyFirst(NAMESPACES, random),
    surface,
    model: pick(MODELS, random),
    system: isBare ? "" : mostlyFirst(SYSTEMS, random),
    tools: isBare ? "" : mostlyFirst(TOOLS, random),
    history: isBare ? [] : mostlyFirst(HISTORIES, random),
    inParts: !isBare && random() < 0.05,
    parameters: drawParameters(surface, random),
    passed: random() < 0.03 ? [["x-team", pick(["one", "two"], random)]] : [],
  };
}

/** The same setting but for one respect. */
function nearlySame(setting: Setting, random: Random): Setting {
  const other = drawSetting(random);
  if (setting.surface === "completions" || other.surface === "completions") {
    return { ...setting, tenant: pick(TENANTS, random), model: pick(MODELS, random) };
  }
  switch (pick(RESPECTS, random)) {
    case "tenant":
      return { ...setting, tenant: pick(TENANTS, random) };
    case "namespace":
      return { ...setting, namespace: pick(NAMESPACES, random) };
    case "model":
      return { ...setting, model: pick(MODELS, random) };
    case "system":
      return { ...setting, system: pick(SYSTEMS, random) };
    case "tools":
      return { ...setting, tools: pick(TOOLS, random) };
    case "history":
      return { ...setting, history: pick(HISTORIES, random) };
    case "inParts":
      return { ...setting, inParts: !setting.inParts };
    case "parameters":
      return { ...setting, parameters: drawParameters(setting.surface, random) };
    case "passed":
      return { ...setting, passed: other.passed };
  }
}

const RESPECTS = [
  "tenant",
  "namespace",
  "model",
  "system",
  "tools",
  "history",
  "inParts",
  "parameters",
  "passed",
] as const;

/** Draws a request in a setting, or in one that differs from it in one respect. */
export function drawAsk(number: number, usual: Setting, random: Random): Ask {
  const setting = random() < 0.2 ? nearlySame(usual, random) : usual;
  const { tenant, namespace, surface, model, system, parameters, passed } = setting;
  // Some questions are asked far more often than others.
  const wording = pick(WORDINGS.slice(0, 1 + Math.floor(random() * WORDINGS.length)), random);
  const barrier = drawBarrier(surface, wording.text, random);
  const stream = random() < 0.5;
  const wantsUsage = stream && (surface === "chat" || surface === "completions") && random() < 0.4;
  const body = {
    ...(random() < 0.2 ? { user: `user-${number}` } : {}),
    model,
    ...contentFields(setting, wording.text),
    ...parameters,
    ...barrier.fields,
    ...(stream ? { stream } : {}),
    ...(wantsUsage ? { stream_options: { include_usage: true } } : {}),
  };
  const controls = drawControls(namespace, random);
  return {
    id: `r${number}`,
    tenant,
    surface,
    model,
    partition: JSON.stringify(setting),
    wording,
    ownTags: [
      `tenant:${tenant ?? ""}`,
      `model:${model}`,
      `route:${model}`,
      ...(system === "" ? [] : [prefixTag(system)]),
    ],
    clientTags: controls.tags.map((tag) => clientTag(tenant ?? "", tag)),
    ...controls,
    bypass: controls.isOff ? "off" : barrier.reason,
    varied: parameters["temperature"] === 0.9 || parameters["seed"] === 7,
    passed,
    inbound: readInbound(surface, JSON.stringify(body), { jsonDepth: 16 }),
  };
}

function drawParameters(surface: CachedSurface, random: Random): Record<string, unknown> {
  const parameters: Record<string, unknown> = {};
  const chance = random();
  if (chance < 0.04) parameters["temperature"] = 0;
  else if (chance < 0.1) parameters["temperature"] = 0.9;
  if (random() < 0.05) parameters["seed"] = 7;
  if (surface === "messages" || random() < 0.05) {
    parameters[surface === "responses" ? "max_output_tokens" : "max_tokens"] = random() < 0.9
      ? 50
      : 60;
  }
  if (random() < 0.04) parameters["x_vendor_option"] = pick([1, "1", [1]], random);
  return parameters;
}

/** What keeps a request from the cache. */
interface Barrier {
  readonly reason: string | null;
  readonly fields: Readonly<Record<string, unknown>>;
}

function drawBarrier(surface: CachedSurface, text: string, random: Random): Barrier {
  const kept = surface === "responses" ? { store: false } : {};
  if (random() > 0.06) return { reason: null, fields: kept };
  switch (pick(["choices", "tools", "output", "turn"], random)) {
    case "choices":
      return { reason: "choices", fields: { ...kept, n: 2 } };
    case "tools":
      return { reason: "tools", fields: { ...kept, web_search_options: { size: "low" } } };
    case "output":
      return { reason: "output", fields: { ...kept, top_logprobs: 2 } };
  }
  if (surface === "completions") return { reason: "output", fields: { logprobs: 1 } };
  if (surface === "responses") return { reason: "server_state", fields: { store: true } };
  const messages = [{ role: "user", content: text }, { role: "assistant", content: "Well" }];
  return { reason: "not_a_user_turn", fields: { messages } };
}

function contentFields(setting: Setting, text: string): Record<string, unknown> {
  const { surface, system, tools, history, inParts } = setting;
  if (surface === "completions") return { prompt: text };
  const earlier = history.map((said, at) => ({
    role: at % 2 === 0 ? "user" : "assistant",
    content: said,
  }));
  const type = surface === "responses" ? "input_text" : "text";
  const last = { role: "user", content: inParts ? [{ type, text }] : text };
  const declared = tools === "" ? {} : { tools: [toolOf(surface, tools)] };
  switch (surface) {
    case "chat": {
      const instructions = system === "" ? [] : [{ role: "system", content: system }];
      return { messages: [...instructions, ...earlier, last], ...declared };
    }
    case "messages":
      return { ...(system === "" ? {} : { system }), messages: [...earlier, last], ...declared };
    case "responses": {
      const isText = earlier.length === 0 && !inParts;
      const instructions = system === "" ? {} : { instructions: system };
      return { ...instructions, input: isText ? text : [...earlier, last], ...declared };
    }
  }
}

function toolOf(surface: CachedSurface, name: string): Record<string, unknown> {
  const schema = { type: "object", properties: {} };
  if (surface === "messages") return { name, input_schema: schema };
  if (surface === "responses") return { type: "function", name, parameters: schema };
  return { type: "function", function: { name, parameters: schema } };
}

type Controls =
  & Pick<
    Ask,
    | "noStore"
    | "refresh"
    | "onlyIfCached"
    | "exactOnly"
    | "maxAgeMs"
    | "ttlMs"
    | "threshold"
    | "headers"
  >
  & { readonly isOff: boolean; readonly tags: readonly string[] };

function drawControls(namespace: string, random: Random): Controls {
  const fields = new Map<string, string>();
  const directives: string[] = [];
  const may = (chance: number): boolean => random() < chance;
  const noStore = may(0.03);
  const refresh = may(0.05);
  const onlyIfCached = !refresh && may(0.03);
  const maxAgeMs = may(0.04) ? pick([0, 5_000, 40_000], random) : null;
  if (noStore) directives.push("no-store");
  if (refresh) directives.push("no-cache");
  if (onlyIfCached) directives.push("only-if-cached");
  if (maxAgeMs !== null) directives.push(`max-age=${maxAgeMs / 1_000}`);
  if (directives.length > 0) fields.set("cache-control", directives.join(", "));
  const isOff = may(0.02);
  const exactOnly = !isOff && may(0.05);
  if (isOff || exactOnly) fields.set("weir-cache-mode", isOff ? "off" : "exact");
  const ttlMs = may(0.06) ? pick([2_000, 600_000], random) : null;
  if (ttlMs !== null) fields.set("weir-cache-ttl", String(ttlMs / 1_000));
  const threshold = may(0.1) ? pick([0.5, 0.99], random) : null;
  if (threshold !== null) fields.set("weir-cache-threshold", String(threshold));
  if (namespace !== "") fields.set("weir-cache-namespace", namespace);
  const tags = may(0.1) ? [pick(CLIENT_TAGS, random)] : [];
  if (tags.length > 0) fields.set("weir-cache-tags", tags.join(","));
  const headers: HeaderFields = {
    get: (name) => fields.get(name) ?? null,
    has: (name) => fields.has(name),
    sizeBytes: 0,
  };
  return {
    noStore,
    refresh,
    onlyIfCached,
    exactOnly,
    maxAgeMs,
    ttlMs,
    threshold,
    isOff,
    tags,
    headers,
  };
}
