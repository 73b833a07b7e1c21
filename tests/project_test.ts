/**
 * What no single file can keep true: the two import maps agree, versions are
 * exact, and the README's commands exist.
 */
import assert from "node:assert/strict";
import { serveFlags } from "../src/cli/permissions.ts";
import { parseConfig } from "../src/config/load.ts";

const ROOT = new URL("../", import.meta.url);

interface Configuration {
  readonly imports: Readonly<Record<string, string>>;
  readonly compilerOptions: unknown;
  readonly nodeModulesDir: string;
  readonly unstable: unknown;
  readonly fmt: { readonly lineWidth: number };
  readonly lint: { readonly rules: unknown };
  readonly lock: { readonly frozen: boolean };
  readonly tasks: Readonly<Record<string, string | { readonly command: string }>>;
}

function read(name: string): string {
  return Deno.readTextFileSync(new URL(name, ROOT));
}

const PRODUCT = JSON.parse(read("deno.json")) as Configuration;
const TESTS = JSON.parse(read("tests/deno.json")) as Configuration;

/** The packages of an import map; its other entries are modules of the project. */
function packages(imports: Readonly<Record<string, string>>): string[] {
  return Object.values(imports).filter((target) => target.startsWith("npm:")).toSorted();
}

Deno.test("tests/deno.json agrees with deno.json in all that both say", () => {
  for (const [name, target] of Object.entries(PRODUCT.imports)) {
    assert.equal(TESTS.imports[name], target.replace(/^\.\//, "../"));
  }
  assert.deepEqual(TESTS.compilerOptions, PRODUCT.compilerOptions);
  assert.deepEqual(TESTS.unstable, PRODUCT.unstable);
  assert.deepEqual(TESTS.lint.rules, PRODUCT.lint.rules);
  assert.equal(TESTS.fmt.lineWidth, PRODUCT.fmt.lineWidth);
  for (const { nodeModulesDir, lock } of [PRODUCT, TESTS]) {
    assert.equal(nodeModulesDir, "none");
    assert.equal(lock.frozen, true);
  }
});

Deno.test("every dependency has one exact version", () => {
  for (const [name, target] of Object.entries({ ...PRODUCT.imports, ...TESTS.imports })) {
    if (!target.startsWith("npm:")) continue;
    assert.match(target, new RegExp(`^npm:${name}@\\d+\\.\\d+\\.\\d+$`));
  }
});

Deno.test("deno.lock holds what the product imports, and nothing that only tests need", () => {
  const lock = JSON.parse(read("deno.lock"));
  assert.deepEqual(Object.keys(lock.specifiers), packages(PRODUCT.imports));
  assert.ok(Object.keys(lock.npm).length < 20, "what starts Weir has grown");
});

Deno.test("no task may do everything, and the demo may reach 127.0.0.1 and its own modules", () => {
  for (const [name, task] of Object.entries(PRODUCT.tasks)) {
    const command = typeof task === "string" ? task : task.command;
    assert.ok(!/ (-A|--allow-all)\b/.test(command), name);
  }
  const demo = PRODUCT.tasks["demo"];
  const flags = JSON.stringify(demo).match(/--allow-\S+/g);
  assert.deepEqual(flags, ["--allow-net=127.0.0.1", "--allow-read=src"]);
});

Deno.test("every task that documents and CI name exists", () => {
  for (const file of ["README.md", "CONTRIBUTING.md", ".ci/run"]) {
    for (
      const [, name = ""] of read(file).matchAll(/(?:deno@[\d.]+|deno|"\$DENO") task ([a-z:]+)/g)
    ) {
      assert.ok(name in PRODUCT.tasks, `${file}: ${name}`);
    }
  }
});

Deno.test("README.md stays short, and serves its smallest configuration with exact permissions", () => {
  const readme = read("README.md");
  assert.ok(readme.split("\n").length <= 121, "more than 120 lines");
  const [, yaml = ""] = /```yaml\n(.*?)```/s.exec(readme) ?? [];
  const flags = serveFlags(parseConfig(yaml, "weir.yaml"), "weir.yaml");
  const [, command = ""] = /^(deno run (?:(?!\n\n).)* serve --config weir\.yaml)$/ms.exec(readme) ??
    [];
  assert.deepEqual(command.match(/--(?:allow|no-prompt)\S*/g)?.toSorted(), flags.toSorted());
});
