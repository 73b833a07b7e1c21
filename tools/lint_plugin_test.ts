import assert from "node:assert/strict";
import { isShell, layerOf, MAY_IMPORT, packageOf, PACKAGES } from "./layers.ts";
import plugin from "./lint_plugin.ts";

/** What the plugin says about `source` as the file at `path`, as `rule: message`. */
function lintAll(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, path, source).map(({ id, message }) =>
    `${id.replace("house/", "")}: ${message}`
  );
}

/** The same without docstrings, which short samples do not have. */
function lint(path: string, source: string): string[] {
  return lintAll(path, source).filter((finding) => !finding.startsWith("docstring: "));
}

Deno.test("house/imports lets a layer import what its row lists, and itself", () => {
  const source = `import type { Clock } from "../ports.ts";
import { step } from "./breaker.ts";
export { type Attempt } from "./types.ts";`;
  assert.deepEqual(lint("src/balance/pool.ts", source), []);
});

Deno.test("house/imports refuses every other way to import", () => {
  const expected = ["imports: src/balance must not import src/stream"];
  for (
    const source of [
      `import { parse } from "../stream/sse.ts";`,
      `import type { Event } from "../stream/sse.ts";`,
      `export { parse } from "../stream/sse.ts";`,
      `export * from "../stream/sse.ts";`,
      `await import("../stream/sse.ts");`,
    ]
  ) {
    assert.deepEqual(lint("src/balance/pool.ts", source), expected, source);
  }
});

Deno.test("house/imports tells balance/types.ts from the rest of its folder", () => {
  assert.deepEqual(lint("src/backends/a.ts", `import "../balance/types.ts";`), []);
  assert.deepEqual(lint("src/backends/a.ts", `import "../balance/breaker.ts";`), [
    "imports: src/backends must not import src/balance",
  ]);
  assert.deepEqual(lint("src/balance/types.ts", `import "./breaker.ts";`), [
    "imports: src/balance/types.ts must not import src/balance",
  ]);
});

Deno.test("house/imports makes an unlisted folder an error, as importer and as imported", () => {
  assert.deepEqual(lint("src/helpers/a.ts", `export {};`), [
    "imports: src/helpers/a.ts is in no layer",
  ]);
  assert.deepEqual(lint("src/cli/a.ts", `import "../helpers/a.ts";`), [
    "imports: src/cli must not import src/helpers/a.ts, which is in no layer",
  ]);
});

Deno.test("house/imports keeps packages to their layers and inline versions out", () => {
  assert.deepEqual(lint("src/http/app.ts", `import { Hono } from "hono/tiny";`), []);
  assert.deepEqual(lint("src/balance/a.ts", `import { Hono } from "hono";`), [
    "imports: src/balance must not import the package hono",
  ]);
  assert.deepEqual(lint("src/http/app.ts", `import "npm:hono@4";`), [
    "imports: npm:hono@4 must be imported by the name that deno.json gives it",
  ]);
});

Deno.test("house/imports lets tests and workshops import anything of ours", () => {
  const source = `import "../stream/sse.ts";\nimport fc from "fast-check";`;
  assert.deepEqual(lint("src/balance/pool_test.ts", source), []);
  assert.deepEqual(lint("tests/e2e/a.ts", source), []);
});

Deno.test("house/no-ambient-effects finds effects however they are written", () => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["Date.now();", "Date.now"],
    [`Date["now"]();`, "Date.now"],
    ["const { now } = Date;", "Date.now"],
    ["new Date();", "new Date()"],
    ["Date();", "Date()"],
    ["Math.random();", "Math.random"],
    ["const { random: chance } = Math;", "Math.random"],
    ["performance.now();", "performance.now"],
    ["crypto.randomUUID();", "crypto.randomUUID"],
    ["AbortSignal.timeout(5);", "AbortSignal.timeout"],
    ["Temporal.Now.instant();", "Temporal.Now"],
    [`Deno.readTextFileSync("a");`, "Deno.readTextFileSync"],
    ["const { env } = Deno;", "Deno.env"],
    ["fetch(url);", "fetch"],
    ["globalThis.fetch(url);", "globalThis.fetch"],
    ["setTimeout(run, 5);", "setTimeout"],
    ["start(setTimeout);", "setTimeout"],
    ["const send = fetch;", "fetch"],
    ["const ports = { send: fetch };", "fetch"],
    ["new WebSocket(url);", "WebSocket"],
    [`import { readFileSync } from "node:fs";`, "node:fs"],
    [`import process from "node:process";`, "node:process"],
    [`import { createHash, randomBytes } from "node:crypto";`, "randomBytes"],
  ];
  for (const [source, name] of cases) {
    const expected = [`no-ambient-effects: ${name} is an ambient effect`];
    assert.deepEqual(lint("src/balance/a.ts", source), expected, source);
  }
});

Deno.test("house/no-ambient-effects leaves pure code, types and shells alone", () => {
  const pure = `import { inspect } from "node:util";
import { timingSafeEqual } from "node:crypto";
new Date(0); Math.max(1, 2); crypto.subtle; clock.now(); ports.fetch(url); Date.UTC(2026);
function f(info: Deno.ServeHandlerInfo, fetch: string): void {}`;
  assert.deepEqual(lint("src/balance/a.ts", pure), []);
  const effects = `Date.now(); setTimeout(run); Deno.exit();`;
  const shells = ["src/runtime/a.ts", "src/cli/a.ts", "mod.ts", "src/balance/a_test.ts"];
  for (const path of [...shells, "tests/a.ts", "bench/a.ts", "tools/a.ts"]) {
    assert.deepEqual(lint(path, effects), [], path);
  }
});

Deno.test("house/error-message reads literals, templates and sums", () => {
  const bad = [
    `"cannot read it: no file"`,
    `"Cannot read it: no file."`,
    `"Cannot read it: it doesn't exist"`,
    `"Cannot read it: it's gone"`,
    "`cannot read ${name}: no file`",
    "`Cannot read ${name}: no file.`",
    "`Cannot read ${name}: you can't`",
    `"cannot read " + name + " now"`,
    `"Cannot read " + name + " now."`,
  ];
  const good = [
    `"Cannot read it: no file"`,
    `"Cannot read the caller's file: gone"`,
    "`Cannot read ${name}`",
    "`${what} is missing`",
    `"Cannot read " + name`,
    `"oops"`,
    `message`,
  ];
  for (const argument of bad) {
    const found = lint("src/balance/a.ts", `throw new RangeError(${argument});`);
    assert.equal(found.length, 1, `accepted: ${argument}`);
    assert.match(found[0] ?? "", /^error-message: /);
  }
  for (const argument of good) {
    assert.deepEqual(lint("src/balance/a.ts", `throw new RangeError(${argument});`), [], argument);
  }
});

Deno.test("house/error-message looks past an error's code", () => {
  assert.equal(lint("src/http/a.ts", `new GatewayError("not_found", "no such page");`).length, 1);
  assert.equal(lint("src/http/a.ts", `new GatewayError("not_found", "No such page");`).length, 0);
});

Deno.test("house/strict-assert lets only the default import of the strict module pass", () => {
  const path = "src/balance/a_test.ts";
  assert.deepEqual(lint(path, `import assert from "node:assert/strict";`), []);
  assert.deepEqual(lint(path, `import assert, { AssertionError } from "node:assert/strict";`), []);
  assert.deepEqual(lint(path, `import assert from "node:assert";`), [
    "strict-assert: node:assert is loose",
  ]);
  assert.deepEqual(lint(path, `import { equal as same } from "node:assert/strict";`), [
    "strict-assert: equal is loose when imported by name",
  ]);
  assert.deepEqual(lint(path, `import * as assert from "node:assert/strict";`), [
    "strict-assert: * is loose when imported by name",
  ]);
});

Deno.test("house/docstring wants a header, and a docstring on every export", () => {
  const header = "/**\n * What for.\n *\n * @module\n */\n";
  const missing = ["docstring: An export has no docstring"];
  const path = "src/balance/a.ts";
  assert.deepEqual(
    lintAll(path, `${header}/** One. */\nexport const one = 1;\nconst two = 2;`),
    [],
  );
  assert.deepEqual(lintAll(path, `${header}export { one } from "./b.ts";`), []);
  for (
    const source of [
      "export const one = 1;",
      "// One.\nexport function one() {}",
      "/* One. */\nexport interface One {}",
      "/** Zero. */\nconst zero = 0;\nexport type One = 1;",
      "export default {};",
    ]
  ) {
    assert.deepEqual(lintAll(path, `${header}const a = 0;\n${source}`), missing, source);
  }
  assert.deepEqual(lintAll(path, "/** One. */\nexport const one = 1;"), [
    "docstring: The file has no header with @module",
  ]);
  assert.deepEqual(lintAll("src/balance/a_test.ts", "export const one = 1;"), []);
});

Deno.test("house/file-length and house/function-length count lines", () => {
  const lines = (count: number) => "f();\n".repeat(count);
  assert.deepEqual(lint("tools/a.ts", lines(500)), []);
  assert.deepEqual(lint("tools/a.ts", lines(501)), [
    "file-length: The file has 501 lines, more than 500",
  ]);
  for (const head of ["function f() {", "const f = () => {", "class A { f() {"]) {
    const tail = head.startsWith("class") ? "} }" : "}";
    assert.deepEqual(lint("tools/a.ts", `${head}\n${lines(68)}${tail}`), [], head);
    assert.deepEqual(lint("tools/a.ts", `${head}\n${lines(69)}${tail}`), [
      "function-length: The function has 71 lines, more than 70",
    ], head);
  }
});

Deno.test("every folder and file directly under src/ and kv_node/ is in the table, and no other is", () => {
  const root = new URL("..", import.meta.url);
  const found = ["src", "kv_node"].flatMap((folder) =>
    [...Deno.readDirSync(new URL(`${folder}/`, root))].map(({ name }) => `${folder}/${name}`)
  );
  for (const path of found.filter((path) => !/(_test\.ts|\.md)$/.test(path))) {
    assert.ok(layerOf(path) !== undefined, `${path} has no row in tools/layers.ts`);
  }
  for (const layer of Object.keys(MAY_IMPORT)) {
    assert.doesNotThrow(() => Deno.statSync(new URL(layer, root)), layer);
  }
});

Deno.test("every package of deno.json has a row, and no two features may import each other", () => {
  const config = JSON.parse(Deno.readTextFileSync(new URL("../deno.json", import.meta.url)));
  assert.deepEqual(Object.keys(config.imports).toSorted(), Object.keys(PACKAGES).toSorted());
  const features = ["balance", "stream", "backends", "config", "runtime"].map((name) =>
    `src/${name}`
  );
  for (const feature of features) {
    for (const other of features) {
      assert.ok(!MAY_IMPORT[feature]?.includes(other), `${feature} may import ${other}`);
    }
  }
});

Deno.test("the table has no cycle", () => {
  function reaches(from: string, to: string, seen: Set<string>): boolean {
    return (MAY_IMPORT[from] ?? []).some((next) => {
      if (next === to) return true;
      if (seen.has(next)) return false;
      seen.add(next);
      return reaches(next, to, seen);
    });
  }
  for (const layer of Object.keys(MAY_IMPORT)) {
    assert.ok(!reaches(layer, layer, new Set()), `${layer} reaches itself`);
  }
});

Deno.test("isShell() and packageOf() read paths", () => {
  assert.equal(isShell("src/simulate/server.ts"), true);
  assert.equal(isShell("src/simulate/faults.ts"), false);
  assert.equal(packageOf("hono/streaming"), "hono");
  assert.equal(packageOf("@ai-sdk/openai-compatible/x"), "@ai-sdk/openai-compatible");
});
