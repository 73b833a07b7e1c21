/**
 * YAML or JSON text in, plain values and their places in the text out.
 *
 * JSON is read as the subset of YAML that it is, so both get line numbers.
 *
 * @module
 */
import {
  constructFromEvents,
  type Event,
  EVENT_ID,
  getScalarValue,
  parseEvents,
  YAMLException,
} from "js-yaml";
import { ConfigError, type Position, type SettingPath } from "./problems.ts";

/** Deepest nesting read; the schema needs less than ten. */
const DEPTH_MAX = 50;

/** A file's content before it is checked. */
export interface ParsedDocument {
  /** Plain objects, arrays, strings, numbers, booleans and nulls. */
  readonly value: unknown;
  /** Where a setting stands, or the nearest enclosing one that does; `null` in an empty file. */
  positionOf(path: SettingPath): Position | null;
}

/**
 * Reads one YAML or JSON document.
 *
 * @param text The whole file.
 * @param file What to call it in errors.
 * @throws {ConfigError} If it is not well-formed, is empty, or holds several documents.
 */
export function parseDocument(text: string, file: string): ParsedDocument {
  try {
    const events = parseEvents(text, { maxDepth: DEPTH_MAX });
    const documents = constructFromEvents(events, { source: text, maxAliases: 100 });
    if (documents.length > 1) {
      throw new ConfigError(file, [`${file}: holds ${documents.length} documents, not one`]);
    }
    const value = documents[0];
    if (value === undefined || value === null) {
      throw new ConfigError(file, [`${file}: is empty; it needs backends and models`]);
    }
    const offsets = offsetsByPath(events, text);
    return { value, positionOf: (path) => nearestPosition(offsets, path, text) };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    // Not `error.message`: it quotes the text around the place, secrets included.
    const place = error.mark === undefined
      ? file
      : `${file}:${error.mark.line + 1}:${error.mark.column + 1}`;
    // Nor the names of aliases and tags, which the reason repeats after its words.
    const reason = error.reason.replace(/ ["!<].*$/s, "");
    throw new ConfigError(file, [`${place}: is not well-formed YAML or JSON: ${reason}`]);
  }
}

/** A mapping or sequence that is being walked. */
interface OpenNode {
  readonly path: SettingPath;
  readonly isSequence: boolean;
  /** Entries seen, of a sequence. */
  count: number;
  /** The key whose value comes next, of a mapping; `null` when a key comes next. */
  key: string | null;
  /** Where that key stands. */
  keyOffset: number;
}

/** Where every setting begins, by path; a mapping's entries at their keys. */
function offsetsByPath(events: readonly Event[], text: string): ReadonlyMap<string, number> {
  const offsets = new Map<string, number>();
  const open: OpenNode[] = [];

  /** The path of the node that begins here; `null` if it is a key. */
  function enter(offset: number, keyText: string): SettingPath | null {
    const parent = open.at(-1);
    if (parent === undefined) return place([], offset);
    if (parent.isSequence) return place([...parent.path, parent.count++], offset);
    if (parent.key === null) {
      parent.key = keyText;
      parent.keyOffset = offset;
      return null;
    }
    const path = place([...parent.path, parent.key], parent.keyOffset);
    parent.key = null;
    return path;
  }

  function place(path: SettingPath, offset: number): SettingPath {
    offsets.set(JSON.stringify(path), offset);
    return path;
  }

  for (const event of events) {
    switch (event.type) {
      case EVENT_ID.SCALAR:
        enter(event.valueStart, getScalarValue(text, event));
        break;
      case EVENT_ID.ALIAS:
        enter(event.anchorStart - 1, "*"); // The name begins after its `*`.
        break;
      case EVENT_ID.SEQUENCE:
      case EVENT_ID.MAPPING: {
        const path = enter(event.start, "?") ?? ["?"];
        const isSequence = event.type === EVENT_ID.SEQUENCE;
        open.push({ path, isSequence, count: 0, key: null, keyOffset: 0 });
        break;
      }
      case EVENT_ID.POP:
        open.pop();
        break;
    }
  }
  return offsets;
}

function nearestPosition(
  offsets: ReadonlyMap<string, number>,
  path: SettingPath,
  text: string,
): Position | null {
  for (let length = path.length; length >= 0; length--) {
    const offset = offsets.get(JSON.stringify(path.slice(0, length)));
    if (offset !== undefined) return positionAt(text, offset);
  }
  return null;
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, Math.max(0, offset)).split(/\r\n|\r|\n/);
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}
