/**
 * The evaluation data of the semantic cache, which lies beside the project.
 *
 * @module
 */
const FOLDER = new URL("../../../shared/data/cache/", import.meta.url);

/** Two prompts, and whether one answer may serve both. */
export interface LabelledPair {
  /** Its name. */
  readonly id: string;
  /** How it was made, such as `surface-typo` or `near-miss-intent`. */
  readonly kind: string;
  /** 1: the answer may be shared; 0: it must not be. */
  readonly label: 0 | 1;
  /** One prompt. */
  readonly a: string;
  /** The other. */
  readonly b: string;
  /** The intent of `a`. */
  readonly group: string;
}

/** One prompt of the replay; prompts of one group may share an answer. */
export interface StreamStep {
  /** The prompt. */
  readonly text: string;
  /** Its intent. */
  readonly group: string;
}

/**
 * The pairs of a file, the development part unless another is named.
 *
 * @throws {Error} If the file is not there, or holds something else.
 */
export function readPairs(path: string | URL = new URL("pairs.dev.jsonl", FOLDER)): LabelledPair[] {
  return readLines(path, (line) => line as unknown as LabelledPair, "id kind label a b group");
}

/**
 * The replay of a file, the development part unless another is named, in order.
 *
 * @throws {Error} If the file is not there, or holds something else.
 */
export function readSteps(path: string | URL = new URL("stream.dev.jsonl", FOLDER)): StreamStep[] {
  return readLines(path, (line) => line as unknown as StreamStep, "text group");
}

function readLines<T>(
  path: string | URL,
  typed: (line: Readonly<Record<string, unknown>>) => T,
  fields: string,
): T[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    throw new Error(`Cannot read evaluation data: ${path} is missing`, { cause });
  }
  return text.trimEnd().split("\n").map((line, at) => {
    const value: unknown = JSON.parse(line);
    if (
      typeof value !== "object" || value === null || !fields.split(" ").every((f) => f in value)
    ) {
      throw new Error(`Cannot read evaluation data: line ${at + 1} of ${path} lacks a field`);
    }
    return typed(value as Readonly<Record<string, unknown>>);
  });
}
