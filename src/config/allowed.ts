/**
 * What may stand at a place of the configuration, in words.
 *
 * Read off the JSON Schema that zod derives, so that an error message, the
 * documentation and the check itself cannot disagree.
 *
 * @module
 */
import * as z from "zod";
import type { SettingPath } from "./problems.ts";
import { Config } from "./schema.ts";

/** The part of a JSON Schema that is read here. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly anyOf?: readonly SchemaNode[];
  /** Own annotation: what may be written, where the keywords above do not say it. */
  readonly allowed?: string;
  /** Own annotation: unit of a number. */
  readonly unit?: string;
}

/** The configuration's JSON Schema, of what a person writes. */
export function configSchema(): SchemaNode {
  return z.toJSONSchema(Config, { io: "input" }) as SchemaNode;
}

/** The schema of the setting at `path`, or `undefined` where none is known. */
export function schemaAt(root: SchemaNode, path: SettingPath): SchemaNode | undefined {
  let node: SchemaNode | undefined = root;
  for (const step of path) {
    if (typeof step === "number") node = node?.items;
    else node = node?.properties?.[step] ?? record(node?.additionalProperties);
  }
  return node;
}

function record(additional: SchemaNode | boolean | undefined): SchemaNode | undefined {
  return typeof additional === "object" ? additional : undefined;
}

/** What may be written there: "a whole number from 0 to 65535". */
export function allowedText(node: SchemaNode): string {
  if (node.allowed !== undefined) return node.allowed;
  if (node.enum !== undefined) return `one of ${node.enum.join(", ")}`;
  if (node.anyOf !== undefined) return node.anyOf.map(allowedText).join(" or ");
  switch (node.type) {
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "integer":
      return `a whole number${unitText(node)}${rangeText(node)}`;
    case "number":
      return `a number${unitText(node)}${rangeText(node)}`;
    case "string":
      return node.maxLength === undefined ? "text" : `text of up to ${node.maxLength} characters`;
    case "array":
      return listText(node);
    default:
      return "a mapping of settings";
  }
}

function unitText(node: SchemaNode): string {
  return node.unit === undefined ? "" : ` of ${node.unit}`;
}

function rangeText(node: SchemaNode): string {
  if (node.minimum === undefined || node.maximum === undefined) return "";
  return ` from ${node.minimum} to ${node.maximum}`;
}

function listText(node: SchemaNode): string {
  const least = node.minItems === undefined ? "" : ` with at least ${node.minItems} entry`;
  const most = node.maxItems === undefined ? "" : `, at most ${node.maxItems}`;
  return `a list${least}${most}`;
}
