/**
 * What no single setting can tell: names that must exist, be unique, or differ.
 *
 * Works on the file as it was written, before it is known to fit the schema, so
 * that one run shows all that is wrong. Parts of the wrong shape are passed over
 * here: the schema reports them.
 *
 * @module
 */
import type { Problem, SettingPath } from "./problems.ts";
import { didYouMean } from "./suggestion.ts";
import { REFERENCE } from "./values.ts";

/** Headers that Weir or the transport sets; a second one would contradict it. */
const OWN_HEADERS = new Set([
  "connection",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Headers whose values are secrets, so only a reference may stand there. */
const SECRET_HEADER =
  /^(authorization|proxy-authorization|cookie)$|api-?key|token|secret|password/i;

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Every problem that needs more than one setting to see. */
export function crossCheck(config: unknown): Problem[] {
  const problems: Problem[] = [];
  const backends = list(field(config, "backends"));
  const models = list(field(config, "models"));
  const names = backends.map((backend) => field(backend, "name"));

  problems.push(...duplicates(names, (index) => ["backends", index, "name"]));
  problems.push(...duplicates(
    models.map((model) => field(model, "name")),
    (index) => ["models", index, "name"],
  ));
  problems.push(...duplicates(
    list(field(field(config, "access"), "keys")).map((key) => field(key, "name")),
    (index) => ["access", "keys", index, "name"],
  ));
  backends.forEach((backend, index) => {
    problems.push(...checkHeaders(backend, index), ...checkVersion(backend, index));
  });
  models.forEach((model, index) => problems.push(...checkTargets(model, index, names)));
  problems.push(...checkListeners(config), ...checkBreaker(config));
  problems.push(...checkCache(config, names, models));
  return problems;
}

function checkTargets(model: unknown, modelIndex: number, names: readonly unknown[]): Problem[] {
  const known = [...new Set(names.filter((name) => typeof name === "string"))];
  const problems: Problem[] = [];
  const seen = new Set<string>();
  list(field(model, "targets")).forEach((target, index) => {
    const backend = field(target, "backend");
    const path = ["models", modelIndex, "targets", index];
    if (typeof backend !== "string") return;
    if (!known.includes(backend)) {
      const choice = known.length === 0 ? "none is defined" : `known are ${known.join(", ")}`;
      problems.push({
        path: [...path, "backend"],
        message: `no backend has this name; ${choice}${didYouMean(backend, known)}`,
      });
    }
    const identity = JSON.stringify([backend, field(target, "model")]);
    if (seen.has(identity)) {
      problems.push({
        path,
        message: "names the same backend and model as an earlier target; give that one more weight",
      });
    }
    seen.add(identity);
  });
  return problems;
}

function checkHeaders(backend: unknown, index: number): Problem[] {
  const headers = field(backend, "headers");
  if (typeof headers !== "object" || headers === null) return [];
  return Object.entries(headers).flatMap(([name, value]) => {
    const path = ["backends", index, "headers", name];
    if (!HEADER_NAME.test(name)) return [{ path, message: "is not a valid header name" }];
    if (OWN_HEADERS.has(name.toLowerCase())) {
      return [{ path, message: "is a header that Weir sets itself; remove it" }];
    }
    if (typeof value !== "string") return [];
    if (SECRET_HEADER.test(name) && !REFERENCE.test(value)) {
      return [{ path, message: "holds a secret: write a reference, env:NAME or file:PATH" }];
    }
    // deno-lint-ignore no-control-regex -- a line break here would smuggle in another header
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) {
      return [{ path, message: "must not hold control characters" }];
    }
    return [];
  });
}

function checkVersion(backend: unknown, index: number): Problem[] {
  const hasEffect = field(backend, "protocol") === "azure";
  if (hasEffect || field(backend, "apiVersion") === undefined) return [];
  return [{
    path: ["backends", index, "apiVersion"],
    message: "has no effect: only the protocol azure asks for a version; remove it",
  }];
}

function checkListeners(config: unknown): Problem[] {
  const listenPort = field(field(config, "listen"), "port") ?? 8_080;
  const admin = field(config, "admin");
  const adminPort = field(admin, "port") ?? 8_081;
  if (field(admin, "enabled") === false || listenPort !== adminPort || listenPort === 0) return [];
  return [{ path: ["admin", "port"], message: "is the same as listen.port; choose another" }];
}

function checkBreaker(config: unknown): Problem[] {
  const breaker = field(field(config, "balancing"), "breaker");
  const least = field(breaker, "openSeconds") ?? 2;
  const most = field(breaker, "openSecondsMax") ?? 15;
  if (typeof least !== "number" || typeof most !== "number" || least <= most) return [];
  return [{
    path: ["balancing", "breaker", "openSecondsMax"],
    message: "must be at least as long as openSeconds",
  }];
}

/** What each kind of embedder needs, and what means nothing to it. */
const EMBEDDER_SETTINGS: Readonly<Record<string, readonly string[]>> = {
  builtin: [],
  backend: ["backend", "model", "dimensions"],
  local: ["directory"],
};

function checkCache(
  config: unknown,
  backendNames: readonly unknown[],
  models: readonly unknown[],
): Problem[] {
  const cache = field(config, "cache");
  const path = ["cache", "embedder"];
  const embedder = field(cache, "embedder");
  const type = field(embedder, "type") ?? "builtin";
  const problems: Problem[] = [];
  for (const [kind, names] of Object.entries(EMBEDDER_SETTINGS)) {
    for (const name of names) {
      const given = field(embedder, name) !== undefined;
      if (kind === type && !given) {
        problems.push({ path, message: `needs ${name}, since its type is ${type}` });
      } else if (kind !== type && given) {
        problems.push({
          path: [...path, name],
          message: `has no effect: the type is ${type}; remove it or set type: ${kind}`,
        });
      }
    }
  }
  const backend = field(embedder, "backend");
  const known = backendNames.filter((name) => typeof name === "string");
  if (type === "backend" && typeof backend === "string" && !known.includes(backend)) {
    problems.push({
      path: [...path, "backend"],
      message: `no backend has this name${didYouMean(backend, known)}`,
    });
  }
  problems.push(...checkJudge(cache, models));
  models.forEach((model, index) => problems.push(...checkModelCache(model, index, type)));
  return problems;
}

function checkJudge(cache: unknown, models: readonly unknown[]): Problem[] {
  const judge = field(cache, "judge");
  const asked = field(judge, "model");
  const path = ["cache", "judge", "model"];
  if (field(judge, "type") !== "model") {
    return asked === undefined
      ? []
      : [{ path, message: "has no effect: the judge's type is not model; remove it" }];
  }
  const names = models.map((model) => field(model, "name")).filter((name) =>
    typeof name === "string"
  );
  if (typeof asked === "string" && names.includes(asked)) return [];
  return [{
    path,
    message: typeof asked === "string"
      ? `no model has this name${didYouMean(asked, names)}`
      : "is missing: name the model that compares answers",
  }];
}

function checkModelCache(model: unknown, index: number, embedder: unknown): Problem[] {
  const cache = field(model, "cache");
  const semantic = field(cache, "semantic");
  const problems: Problem[] = [];
  if (
    field(cache, "enabled") === true && field(semantic, "mode") === "static" &&
    field(semantic, "threshold") === undefined && embedder !== "builtin"
  ) {
    problems.push({
      path: ["models", index, "cache", "semantic"],
      message: "needs a threshold: only the built-in embedder has a default; run `calibrate`",
    });
  }
  const ttl = field(cache, "ttlSeconds") ?? 3_600;
  const most = field(cache, "ttlSecondsMax") ?? 86_400;
  if (typeof ttl === "number" && typeof most === "number" && ttl > most) {
    problems.push({
      path: ["models", index, "cache", "ttlSecondsMax"],
      message: "must be at least as long as ttlSeconds",
    });
  }
  return problems;
}

function duplicates(
  names: readonly unknown[],
  pathOf: (index: number) => SettingPath,
): Problem[] {
  const seen = new Set<unknown>();
  return names.flatMap((name, index) => {
    if (typeof name !== "string" || !seen.has(name)) {
      seen.add(name);
      return [];
    }
    return [{ path: pathOf(index), message: "is used already by an earlier entry" }];
  });
}

/** An own property of an object, or `undefined`. */
function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
