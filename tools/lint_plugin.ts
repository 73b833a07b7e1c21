/**
 * The rules of this project that no built-in lint rule knows.
 *
 * - `house/imports`: dependencies point one way, along the table in `layers.ts`.
 * - `house/no-ambient-effects`: only `src/runtime/` and the shells touch the
 *   real world.
 * - `house/error-message`: "Cannot read config: file is empty", no full stop.
 * - `house/strict-assert`: Deno 2.9 exports the loose `equal` and `deepEqual`
 *   under their names from `node:assert/strict`; only the default is strict.
 * - `house/docstring`: a header with `@module`, and a docstring on every export.
 * - `house/file-length`, `house/function-length`: 500 and 70 lines.
 *
 * They look at names, not at types: what hides behind a variable slips through.
 *
 * @module
 */
import { isShell, layerOf, MAY_IMPORT, packageOf, PACKAGES, roleOf } from "./layers.ts";

const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;

const ROOT = new URL("..", import.meta.url).pathname;

/** Objects of which every member is an effect. */
const AMBIENT_OBJECTS = new Set(["Deno", "localStorage", "sessionStorage", "performance"]);

/** Members of otherwise pure objects through which time and chance leak in. */
const AMBIENT_MEMBERS = new Set([
  "AbortSignal.timeout",
  "Date.now",
  "Math.random",
  "Temporal.Now",
  "crypto.getRandomValues",
  "crypto.randomUUID",
]);

/** Functions and classes that are effects wherever they are mentioned. */
const AMBIENT_NAMES = new Set([
  "EventSource",
  "WebSocket",
  "Worker",
  "fetch",
  "queueMicrotask",
  "setInterval",
  "setTimeout",
]);

/** Built-in modules without effects; every other one belongs into a shell. */
const PURE_BUILT_INS = new Set([
  "node:assert",
  "node:assert/strict",
  "node:buffer",
  "node:crypto", // Hashes and comparisons; what is random in it is listed below.
  "node:path",
  "node:querystring",
  "node:string_decoder",
  "node:url",
  "node:util",
  "node:v8", // Serialization.
  "node:zlib", // Checksums.
]);

const RANDOM_IMPORT = /^(random|generate|webcrypto)/;

const LOOSE_ASSERTS = new Set([
  "deepEqual",
  "equal",
  "notDeepEqual",
  "notEqual",
]);

const CONTRACTION = /n't\b|\w'(re|ve|ll|m|d)\b|\b(it|that|there|what|let|he|she|who)'s\b/i;

type Context = Deno.lint.RuleContext;
type Visitor = Deno.lint.LintVisitor;

const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "imports": { create: imports },
    "no-ambient-effects": { create: noAmbientEffects },
    "error-message": { create: errorMessage },
    "strict-assert": { create: strictAssert },
    "docstring": { create: docstring },
    "file-length": { create: fileLength },
    "function-length": { create: functionLength },
  },
};
export default plugin;

function imports(context: Context): Visitor {
  const path = pathInProject(context.filename);
  if (roleOf(path) === "workshop") return {};
  const from = layerOf(path);
  if (from === undefined) {
    return {
      Program(node) {
        context.report({
          node,
          message: `${path} is in no layer`,
          hint: "Give its folder a row in tools/layers.ts and in ARCHITECTURE.md.",
        });
      },
    };
  }
  const isTest = roleOf(path) === "test";
  return importSources((node, specifier) => {
    const complaint = specifier.startsWith(".")
      ? relativeComplaint(from, resolve(path, specifier), isTest)
      : bareComplaint(from, specifier, isTest);
    if (complaint === null) return;
    context.report({
      node,
      message: complaint,
      hint: "See the table in tools/layers.ts; pass the value in instead.",
    });
  });
}

function relativeComplaint(from: string, target: string, isTest: boolean): string | null {
  const to = layerOf(target);
  // A unit test may put together what its subject must not know.
  if (isTest) return null;
  if (to === undefined) return `${from} must not import ${target}, which is in no layer`;
  if (to === from || MAY_IMPORT[from]?.includes(to)) return null;
  return `${from} must not import ${to}`;
}

function bareComplaint(from: string, specifier: string, isTest: boolean): string | null {
  if (specifier.startsWith("node:")) return null;
  if (/^[a-z]+:/.test(specifier)) {
    return `${specifier} must be imported by the name that deno.json gives it`;
  }
  if (isTest) return null;
  const name = packageOf(specifier);
  return PACKAGES[name]?.includes(from) ? null : `${from} must not import the package ${name}`;
}

function noAmbientEffects(context: Context): Visitor {
  if (isShell(pathInProject(context.filename))) return {};

  function report(node: Deno.lint.Node, name: string): void {
    context.report({
      node,
      message: `${name} is an ambient effect`,
      hint: "Take a port from src/ports.ts as an argument; src/runtime/ implements it.",
    });
  }

  /** An expression that is used as a value, so that a bare name is a mention of it. */
  function checkValue(node: Deno.lint.Node | null | undefined): void {
    if (node?.type === "Identifier" && AMBIENT_NAMES.has(node.name)) report(node, node.name);
  }

  return {
    ...importSources((node, specifier) => {
      if (specifier.startsWith("node:") && !PURE_BUILT_INS.has(specifier)) report(node, specifier);
    }),
    ImportSpecifier(node) {
      const isCrypto = node.parent.type === "ImportDeclaration" &&
        node.parent.source.value === "node:crypto";
      if (isCrypto && RANDOM_IMPORT.test(importedName(node))) report(node, importedName(node));
    },
    MemberExpression(node) {
      if (node.object.type !== "Identifier") return;
      const owner = node.object.name;
      const member = memberName(node);
      const name = `${owner}.${member}`;
      const isAmbient = AMBIENT_OBJECTS.has(owner) || AMBIENT_MEMBERS.has(name) ||
        (owner === "globalThis" && (AMBIENT_NAMES.has(member) || AMBIENT_OBJECTS.has(member)));
      if (isAmbient) report(node, name);
    },
    CallExpression(node) {
      checkValue(node.callee);
      node.arguments.forEach(checkValue);
      if (node.callee.type === "Identifier" && node.callee.name === "Date") report(node, "Date()");
    },
    NewExpression(node) {
      checkValue(node.callee);
      node.arguments.forEach(checkValue);
      if (node.callee.type !== "Identifier" || node.callee.name !== "Date") return;
      if (node.arguments.length === 0) report(node, "new Date()");
    },
    VariableDeclarator(node) {
      checkValue(node.init);
      if (node.id.type !== "ObjectPattern" || node.init?.type !== "Identifier") return;
      const owner = node.init.name;
      for (const property of node.id.properties) {
        if (property.type !== "Property" || property.key.type !== "Identifier") continue;
        const name = `${owner}.${property.key.name}`;
        if (AMBIENT_OBJECTS.has(owner) || AMBIENT_MEMBERS.has(name)) report(property, name);
      }
    },
    AssignmentExpression: (node) => checkValue(node.right),
    AssignmentPattern: (node) => checkValue(node.right),
    Property: (node) => checkValue(node.value),
    ReturnStatement: (node) => checkValue(node.argument),
  };
}

function errorMessage(context: Context): Visitor {
  if (roleOf(pathInProject(context.filename)) === "test") return {};
  return {
    NewExpression(node) {
      if (node.callee.type !== "Identifier" || !node.callee.name.endsWith("Error")) return;
      for (const argument of node.arguments) {
        const pieces = textPieces(argument);
        if (!pieces.some((piece) => piece?.includes(" "))) continue;
        if (isGoodMessage(pieces)) return;
        return context.report({
          node: argument,
          message: "Error messages start with a capital, end without a stop, use no contraction",
          hint: 'Say what could not be done, a colon, then why: "Cannot read config: no file".',
        });
      }
    },
  };
}

/** The pieces of a text in order; `null` for those only known when it runs. */
function textPieces(node: Deno.lint.Node): (string | null)[] {
  switch (node.type) {
    case "Literal":
      return [typeof node.value === "string" ? node.value : null];
    case "TemplateLiteral":
      return node.quasis.flatMap((quasi, index) => {
        const isLast = index === node.quasis.length - 1;
        const text = quasi.cooked === "" ? [] : [quasi.cooked];
        return isLast ? text : [...text, null];
      });
    case "BinaryExpression":
      return [...textPieces(node.left), ...textPieces(node.right)];
    default:
      return [null];
  }
}

function isGoodMessage(pieces: readonly (string | null)[]): boolean {
  const first = pieces[0] ?? null;
  const last = pieces.at(-1) ?? null;
  return (first === null || /^[A-Z]/.test(first)) && (last === null || !/[.!]\s*$/.test(last)) &&
    !pieces.some((piece) => piece !== null && CONTRACTION.test(piece));
}

function strictAssert(context: Context): Visitor {
  const hint = 'import assert from "node:assert/strict"';
  return {
    ImportDeclaration(node) {
      if (node.source.value === "node:assert") {
        return context.report({ node, message: "node:assert is loose", hint });
      }
      if (node.source.value !== "node:assert/strict") return;
      for (const specifier of node.specifiers) {
        if (specifier.type === "ImportDefaultSpecifier") continue;
        const name = specifier.type === "ImportSpecifier" ? importedName(specifier) : "*";
        if (name !== "*" && !LOOSE_ASSERTS.has(name)) continue;
        context.report({
          node: specifier,
          message: `${name} is loose when imported by name`,
          hint,
        });
      }
    },
  };
}

function importedName(specifier: Deno.lint.ImportSpecifier): string {
  const { imported } = specifier;
  return imported.type === "Identifier" ? imported.name : String(imported.value);
}

function docstring(context: Context): Visitor {
  if (roleOf(pathInProject(context.filename)) !== "product") return {};
  const { text } = context.sourceCode;
  const hint = "Say purpose, units and errors; why rather than what.";

  function check(node: Deno.lint.Node): void {
    const before = text.slice(0, node.range[0]).trimEnd();
    const isDocumented = before.endsWith("*/") &&
      before.slice(before.lastIndexOf("/*")).startsWith("/**");
    if (!isDocumented) context.report({ node, message: "An export has no docstring", hint });
  }

  return {
    Program(node) {
      const header = text.slice(0, text.indexOf("*/"));
      if (header.startsWith("/**") && header.includes("@module")) return;
      context.report({ node, message: "The file has no header with @module", hint });
    },
    ExportNamedDeclaration: (node) => node.declaration && check(node),
    ExportDefaultDeclaration: check,
  };
}

function fileLength(context: Context): Visitor {
  return {
    Program(node) {
      const lines = linesIn(context.sourceCode.text.trimEnd());
      if (lines <= FILE_LINES_MAX) return;
      context.report({
        node,
        message: `The file has ${lines} lines, more than ${FILE_LINES_MAX}`,
        hint: "Look for the second noun in it.",
      });
    },
  };
}

function functionLength(context: Context): Visitor {
  function check(
    node:
      | Deno.lint.FunctionDeclaration
      | Deno.lint.FunctionExpression
      | Deno.lint.ArrowFunctionExpression,
  ): void {
    const lines = linesIn(context.sourceCode.text.slice(...node.range));
    if (lines <= FUNCTION_LINES_MAX) return;
    context.report({
      node,
      message: `The function has ${lines} lines, more than ${FUNCTION_LINES_MAX}`,
      hint: "Give its parts names.",
    });
  }
  return { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check };
}

/** Calls `visit` with every import source of a file, static and dynamic, types included. */
function importSources(visit: (node: Deno.lint.Node, specifier: string) => void): Visitor {
  function check(node: Deno.lint.Node | null): void {
    if (node?.type === "Literal" && typeof node.value === "string") visit(node, node.value);
  }
  return {
    ImportDeclaration: (node) => check(node.source),
    ExportAllDeclaration: (node) => check(node.source),
    ExportNamedDeclaration: (node) => check(node.source),
    ImportExpression: (node) => check(node.source),
  };
}

function memberName(node: Deno.lint.MemberExpression): string {
  if (node.property.type === "Identifier" && !node.computed) return node.property.name;
  return node.property.type === "Literal" ? String(node.property.value) : "?";
}

function linesIn(text: string): number {
  return text.split("\n").length;
}

function pathInProject(filename: string): string {
  const path = filename.replace(/^file:\/\//, "");
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : path;
}

function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}
