/**
 * Text or plain values in, a checked {@linkcode Config} or all problems out.
 *
 * @module
 */
import type * as z from "zod";
import { allowedText, configSchema, schemaAt, type SchemaNode } from "./allowed.ts";
import { parseDocument } from "./document.ts";
import { ConfigError, type Position, type Problem, problemText } from "./problems.ts";
import type { SettingPath } from "./problems.ts";
import { crossCheck } from "./rules.ts";
import { Config } from "./schema.ts";
import { didYouMean } from "./suggestion.ts";

/**
 * Reads a configuration file's text.
 *
 * @param text YAML or JSON.
 * @param file What to call it in errors.
 * @throws {ConfigError} With every problem, each with its line.
 */
export function parseConfig(text: string, file: string): Config {
  const document = parseDocument(text, file);
  return check(document.value, file, (path) => document.positionOf(path));
}

/**
 * Checks a configuration that a program has built.
 *
 * @param value Plain objects as they would come out of a file.
 * @throws {ConfigError} With every problem.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const config = checkConfig({
 *   backends: [{ name: "local", protocol: "openai", baseUrl: "http://127.0.0.1:8000/v1" }],
 *   models: [{ name: "chat", targets: [{ backend: "local", model: "llama-3.1-8b" }] }],
 * });
 * assert.equal(config.listen.port, 8080);
 * ```
 */
export function checkConfig(value: unknown): Config {
  return check(value, "the configuration", () => null);
}

function check(
  value: unknown,
  file: string,
  positionOf: (path: SettingPath) => Position | null,
): Config {
  const result = Config.safeParse(value);
  const root = configSchema();
  const problems = [
    ...(result.success ? [] : result.error.issues.flatMap((issue) => explain(issue, value, root))),
    ...crossCheck(value),
  ];
  if (result.success && problems.length === 0) return result.data;

  const placed = problems.map((problem) => ({ problem, position: positionOf(problem.path) }));
  placed.sort(({ position: one }, { position: other }) =>
    one === null || other === null ? 0 : one.line - other.line || one.column - other.column
  );
  const lines = placed.map(({ problem, position }) => problemText(file, problem, position));
  throw new ConfigError(file, lines);
}

/** Puts one of zod's issues into our words, which never hold a value. */
function explain(issue: z.core.$ZodIssue, value: unknown, root: SchemaNode): Problem[] {
  const path = issue.path.map((step) => typeof step === "symbol" ? String(step) : step);
  const node = schemaAt(root, path);
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(node?.properties ?? {});
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `there is no such setting${didYouMean(key, known)}; known here are ${
        known.join(", ")
      }`,
    }));
  }
  const allowed = node === undefined ? "something else" : allowedText(node);
  return [{
    path,
    message: isPresent(value, path) ? `must be ${allowed}` : `is missing: ${allowed}`,
  }];
}

function isPresent(value: unknown, path: SettingPath): boolean {
  let inner: unknown = value;
  for (const step of path) {
    if (typeof inner !== "object" || inner === null || !Object.hasOwn(inner, step)) return false;
    inner = (inner as Readonly<Record<string | number, unknown>>)[step];
  }
  return true;
}
