import assert from "node:assert/strict";
import { configSchema, type SchemaNode } from "./allowed.ts";
import { configurationPage, jsonSchemaText } from "./json_schema.ts";

function docs(name: string): string {
  return Deno.readTextFileSync(new URL(`../../docs/${name}`, import.meta.url));
}

/** Every setting below a node, by path. */
function* settings(node: SchemaNode, path: string): Generator<[string, SchemaNode]> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const inner = `${path}.${name}`;
    yield [inner, child];
    yield* settings(child.type === "array" ? child.items ?? {} : child, inner);
  }
}

Deno.test("docs/configuration.md and docs/weir.schema.json are up to date", () => {
  const hint = "run deno task docs:config";
  assert.equal(docs("configuration.md"), configurationPage(), hint);
  assert.equal(docs("weir.schema.json"), jsonSchemaText(), hint);
});

Deno.test("every setting has a meaning, and every number a range", () => {
  const all = [...settings(configSchema(), "")];
  assert.ok(all.length > 70, `only ${all.length} settings found`);
  for (const [path, node] of all) {
    assert.match(node.description ?? "", /\.$/, `${path} has no meaning`);
    const numbers = [node, ...(node.anyOf ?? [])].filter(({ type }) =>
      /^(integer|number)$/.test(type ?? "")
    );
    for (const number of numbers) {
      assert.ok(
        number.minimum !== undefined && number.maximum !== undefined,
        `${path} has no range`,
      );
    }
    if (/Seconds(Max)?$/.test(path) && path !== ".balancing") {
      assert.equal(node.unit, "seconds", `${path} has no unit`);
    }
    if (path.endsWith("Bytes")) assert.equal(node.unit, "bytes", `${path} has no unit`);
  }
});

Deno.test("configurationPage() has a row for every setting", () => {
  const page = configurationPage();
  for (const [path] of settings(configSchema(), "")) {
    assert.ok(page.includes(`| \`${path.split(".").at(-1)}\` |`), `${path} is not on the page`);
  }
});
