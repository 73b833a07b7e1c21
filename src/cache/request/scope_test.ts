/**
 * The hard partition, against a naive model: two requests have equal keys only
 * if everything that can bear on the answer is equal, and they do have them then.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { CacheRequest, CacheRules, JsonObject } from "../types.ts";
import { readControls } from "./controls.ts";
import { examine } from "./examination.ts";

const RULES: CacheRules = {
  flight: true,
  exact: true,
  canonical: true,
  semantic: "static",
  threshold: null,
  errorBound: 0.05,
  messagesMax: 9,
  turnCharactersMax: 2_000,
  temperatureMax: 2,
  deterministicOnly: false,
  ttlMs: 1,
  ttlMaxMs: 1,
  relativeTimeTtlMs: 1,
  staleIfErrorMs: 0,
  bodyCharactersMax: 262_144,
};

interface Asked {
  tenant: string;
  namespace: string;
  route: string;
  fields: Record<string, unknown>;
  history: { role: string; content: unknown }[];
  turn: unknown;
  idle: Record<string, unknown>;
}

type Draw = (below: number) => number;

function drawFrom(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Few values, near each other where texts run together, so that pairs are often equal. */
const NAMES = ["", "a", "b", "ab", 'a","b', "a\n"];
const TEXTS = ["a", "bc", "ab", "c", 'a","b', "[null]", "null", "\ud800", "\ud801", "A."];
const FIELDS: readonly (readonly [string, readonly unknown[]])[] = [
  ["temperature", [0, -0, 1, null, 0.5]],
  ["top_p", [1, 0.9]],
  ["max_tokens", [1, 10, "10"]],
  ["stop", ["a", ["a"], ["a", "b"], ["ab"]]],
  ["tools", [[{ type: "function", function: { name: "f" } }], [{
    type: "function",
    function: {},
  }]]],
  ["response_format", [{ type: "text" }, { type: "json_object" }, { a: { b: 1, c: 2 } }]],
  ["seed", [0, 1]],
  ["new_parameter_of_a_provider", [true, false, {}, []]],
  ["tool_choice", ["auto", "none"]],
];

function pick<T>(draw: Draw, list: readonly T[]): T {
  return list[draw(list.length)] as T;
}

function content(draw: Draw): unknown {
  const part = (type = "text") => ({ type, text: pick(draw, TEXTS) });
  const marked = { ...part(), cache_control: { type: "ephemeral" } };
  switch (draw(5)) {
    case 0:
      return [part()];
    case 1:
      return [part(), part()];
    case 2:
      return [
        draw(2) === 0 ? marked : { type: "image_url", image_url: { url: "data:a" + draw(2) } },
      ];
  }
  return pick(draw, TEXTS);
}

function ask(draw: Draw): Asked {
  const fields: Record<string, unknown> = {};
  for (let left = draw(3); left > 0; left--) {
    const [name, values] = pick(draw, FIELDS);
    fields[name] = pick(draw, values);
  }
  const roles = ["system", "user", "assistant"];
  return {
    tenant: pick(draw, NAMES),
    namespace: pick(draw, NAMES.slice(0, 5)),
    route: pick(draw, NAMES),
    fields,
    history: Array.from({ length: draw(3) }, () => ({
      role: pick(draw, roles),
      content: content(draw),
    })),
    turn: content(draw),
    idle: {},
  };
}

/** Another request that differs in one respect, or in none that matters. */
function vary(one: Asked, draw: Draw): Asked {
  const other = structuredClone(one);
  const fresh = ask(draw);
  switch (draw(9)) {
    case 0:
      return { ...other, tenant: fresh.tenant };
    case 1:
      return { ...other, namespace: fresh.namespace };
    case 2:
      return { ...other, route: fresh.route };
    case 3:
      return { ...other, fields: fresh.fields };
    case 4:
      return { ...other, history: fresh.history };
    case 5:
      return { ...other, turn: fresh.turn };
    case 6:
      return { ...other, tenant: other.namespace, namespace: other.tenant };
    case 7:
      return { ...other, history: other.history.toReversed() };
  }
  const idle = { stream: draw(2) === 0, user: pick(draw, NAMES), metadata: { a: draw(3) } };
  const fields = Object.fromEntries(Object.entries(other.fields).toReversed());
  return { ...other, fields, idle: { ...idle, stream_options: { include_usage: true } } };
}

function keysOf(asked: Asked): CacheRequest {
  const body: JsonObject = {
    ...asked.idle,
    model: "fast",
    ...asked.fields,
    messages: [...asked.history, { role: "user", content: asked.turn }],
  };
  const namespace = asked.namespace;
  const examination = examine({
    surface: "chat",
    body,
    characters: 100,
    tenant: asked.tenant,
    route: asked.route,
    pool: "",
    headers: [],
    controls: { ...readControls(() => null), namespace },
  }, RULES);
  return examination.type === "cacheable" ? examination.request : assert.fail(examination.reason);
}

/** What the scope is meant to hold. */
function partition({ fields, history, namespace, route, tenant }: Asked): unknown {
  return { fields, history, namespace, route, tenant };
}

Deno.test("examine gives two requests one exact key if and only if they ask the same", () => {
  const draw = drawFrom(1);
  let same = 0;
  for (let pair = 0; pair < 100_000; pair++) {
    const one = ask(draw);
    const other = vary(one, draw);
    const [first, second] = [keysOf(one), keysOf(other)];
    const inOnePartition = isDeepStrictEqual(partition(one), partition(other));
    const equal = inOnePartition && isDeepStrictEqual(one.turn, other.turn);
    if (equal) same += 1;
    const kept = (first.exactKey === second.exactKey) === equal &&
      (inOnePartition ||
        (first.scope !== second.scope &&
          (first.canonicalKey === null || first.canonicalKey !== second.canonicalKey))) &&
      (!equal || (first.scope === second.scope && first.canonicalKey === second.canonicalKey));
    // Told only when it fails: this runs many times.
    if (!kept) assert.fail(JSON.stringify([equal, one, other]));
  }
  assert.ok(same > 20_000 && same < 80_000, `${same} pairs were the same`);
});

Deno.test("examine tells owners apart whose names run together", () => {
  const names = ["", "a", "b", ",", "a,b", "b,a", 'a","b', "[]"];
  const scopes = new Set<string>();
  for (const tenant of names) {
    for (const namespace of names) {
      for (const route of names) {
        const asked = { tenant, namespace, route, fields: {}, history: [], turn: "a", idle: {} };
        scopes.add(keysOf(asked).scope);
      }
    }
  }
  assert.equal(scopes.size, names.length ** 3);
});

Deno.test("examine partitions by API, role and name of the last message, and the model", () => {
  const scopes = new Set<string>();
  const message = { role: "user", content: "a" };
  const requests: readonly (readonly [string, JsonObject])[] = [
    ["chat", { model: "m", messages: [message] }],
    ["messages", { model: "m", messages: [message] }],
    ["chat", { model: "n", messages: [message] }],
    ["chat", { model: "m", messages: [{ ...message, name: "x" }] }],
    ["chat", { model: "m", messages: [message, message] }],
    ["chat", { model: "m", messages: [{ ...message, role: "developer" }, message] }],
    ["chat", { model: "m", messages: [{ ...message, role: "system" }, message] }],
    ["chat", { model: "m", messages: [message], input: null }],
  ];
  for (const [surface, body] of requests) {
    const examination = examine({
      surface,
      body,
      characters: 100,
      tenant: "t",
      route: "r",
      pool: "",
      headers: [],
      controls: readControls(() => null),
    }, RULES);
    scopes.add(examination.type === "cacheable" ? examination.request.scope : assert.fail());
  }
  assert.equal(scopes.size, requests.length);
});

Deno.test("examine() keeps another pool, and headers that are passed on, apart", () => {
  const key = (pool: string, headers: ReadonlyArray<readonly [string, string]>): string => {
    const examined = examine({
      surface: "chat",
      body: { model: "m", messages: [{ role: "user", content: "Hi" }] },
      characters: 60,
      tenant: "",
      route: "m",
      pool,
      headers,
      controls: readControls(() => null),
    }, RULES);
    assert.equal(examined.type, "cacheable");
    return examined.type === "cacheable" ? examined.request.exactKey : "";
  };
  const keys = [
    key("a", []),
    key("b", []),
    key("a", [["openai-beta", "x"]]),
    key("a", [["openai-beta", "y"]]),
    key("a", [["anthropic-beta", "x"]]),
  ];
  assert.equal(new Set(keys).size, keys.length);
  const [one, other] = [["a-1", "x"], ["b-1", "y"]] as const;
  assert.equal(key("a", [one, other]), key("a", [other, one]));
});
