/**
 * What is generated from the schema: a JSON Schema for editors and the page
 * `docs/configuration.md`.
 *
 * @module
 */
import { allowedText, configSchema, type SchemaNode } from "./allowed.ts";

/** The JSON Schema of a configuration file, as text. */
export function jsonSchemaText(): string {
  const schema = { title: "Weir configuration", ...configSchema() };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

const INTRODUCTION = `# Configuration

One YAML or JSON file. Only \`backends\` and \`models\` are required; \`weir.example.yaml\` is a
commented example, and \`weir.schema.json\` beside this page teaches an editor every setting
(\`# yaml-language-server: $schema=docs/weir.schema.json\`). Unknown settings are refused. Secrets
are only referred to, as \`env:NAME\` or \`file:PATH\`. Check a file with \`mod.ts check --config FILE\`.

This page is generated from \`src/config/schema.ts\`: change that, then run \`deno task docs:config\`.
`;

/** The documentation page: one section for each group of settings. */
export function configurationPage(): string {
  const root = configSchema();
  return [INTRODUCTION, ...sections(root, "", root.description ?? "")].join("\n");
}

/** One table for a mapping, then those of the mappings inside it. */
function sections(node: SchemaNode, path: string, description: string): string[] {
  const entries = Object.entries(node.properties ?? {});
  const rows = entries.map(([name, child]) => {
    const fallback = fallbackText(child, node.required?.includes(name) ?? false);
    const nested = mappingIn(child) === undefined ? "" : ` See ${link(join(path, name, child))}.`;
    return `| \`${name}\` | ${allowedText(child)} | ${fallback} | ${
      child.description ?? ""
    }${nested} |`;
  });
  const title = path === "" ? "## The file" : `## \`${path}\``;
  const text = [title, description, table(rows)].filter((part) => part !== "").join("\n\n");
  const inner = entries.flatMap(([name, child]) => {
    const mapping = mappingIn(child);
    if (mapping === undefined) return [];
    return sections(mapping, join(path, name, child), child.description ?? "");
  });
  return [`${text}\n`, ...inner];
}

/** The mapping that a setting is or is a list of, if it has named settings of its own. */
function mappingIn(node: SchemaNode): SchemaNode | undefined {
  const mapping = node.type === "array" ? node.items : node;
  return mapping?.properties === undefined ? undefined : mapping;
}

function join(path: string, name: string, node: SchemaNode): string {
  const own = node.type === "array" ? `${name}[]` : name;
  return path === "" ? own : `${path}.${own}`;
}

function link(path: string): string {
  return `[\`${path}\`](#${path.toLowerCase().replaceAll(/[^a-z0-9-]/g, "")})`;
}

function fallbackText(node: SchemaNode, isRequired: boolean): string {
  if (isRequired) return "required";
  if (node.default === undefined) return "none";
  if (mappingIn(node) !== undefined && node.type !== "array") return "see there";
  return `\`${JSON.stringify(node.default)}\``;
}

function table(rows: readonly string[]): string {
  return ["| setting | allowed | default | meaning |", "| --- | --- | --- | --- |", ...rows]
    .join("\n");
}
