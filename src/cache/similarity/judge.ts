/**
 * Is a stored answer as good as a fresh one? The judge is a port: what `verified`
 * promises is worth as much as its judge.
 *
 * @module
 */
import type { AnswerRecord } from "../types.ts";

/** The two questions that were answered. */
export interface JudgedQuestion {
  /** The one that was asked. */
  readonly asked: string;
  /** The one the stored answer was given to. */
  readonly stored: string;
}

/** Compares answers. */
export interface Judge {
  /** Name for logs and metrics. */
  readonly id: string;
  /**
   * Whether either answer could be given in place of the other.
   *
   * @returns `null` if it cannot tell: that is not counted.
   */
  same(one: AnswerRecord, other: AnswerRecord, question: JudgedQuestion): Promise<boolean | null>;
}

/**
 * Equal but for white space, case and punctuation; where both are JSON, equal but
 * for the order of keys. Right for labels and short facts; prose that differs in a
 * word is "not the same", so that `verified` opens late there, or never.
 */
export const equalJudge: Judge = {
  id: "equal",
  same: (one, other) => Promise.resolve(areEqual(one.text, other.text)),
};

/**
 * Equal, or similar enough by `similarity`, which settles to `null` if it cannot tell.
 * Answers that differ in their numbers are not the same, however near they look.
 *
 * @param threshold From which on two answers are the same, −1 to 1.
 */
export function similarJudge(
  similarity: (one: string, other: string) => Promise<number | null>,
  threshold: number,
): Judge {
  return {
    id: "similar",
    async same(one, other) {
      if (areEqual(one.text, other.text)) return true;
      if (numbersOf(one.text) !== numbersOf(other.text)) return false;
      const measured = await similarity(one.text, other.text);
      return measured === null || !Number.isFinite(measured) ? null : measured >= threshold;
    },
  };
}

function areEqual(one: string, other: string): boolean {
  if (one === other) return true;
  const json = parseContainer(one);
  const otherJson = parseContainer(other);
  if (json !== null && otherJson !== null) return isDeepEqual(json.value, otherJson.value);
  const folded = foldAnswer(one);
  return folded !== "" && folded === foldAnswer(other);
}

/**
 * Letters, digits and signs, with single spaces. Marks between two digits stay
 * ("1.5", "10:30"), and so do a point or minus before one.
 */
function foldAnswer(text: string): string {
  return text.normalize("NFKC").toLowerCase()
    .replace(/['’‘]/gu, "")
    .replace(/[.,:](?!\d)|(?<!\d)[,:]/gu, " ")
    .replace(/[;!?…"“”«»()[\]{}*_`~–—]/gu, " ")
    .replace(/\s+/gu, " ").trim();
}

function numbersOf(text: string): string {
  return (text.normalize("NFKC").match(/\d+(?:[.,:]\d+)*/gu) ?? []).toSorted().join(" ");
}

/** An object or array, be it in a code fence; anything else is text. */
function parseContainer(text: string): { readonly value: object } | null {
  const bare = text.trim().replace(/^```(?:json)?\s*\n([\s\S]*)\n\s*```$/u, "$1").trim();
  if (!/^[[{]/u.test(bare)) return null;
  try {
    const value: unknown = JSON.parse(bare);
    return typeof value === "object" && value !== null ? { value } : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Answers are bounded in size, and so is the depth to which `JSON.parse` gets. */
function isDeepEqual(one: unknown, other: unknown): boolean {
  const pending: Array<readonly [unknown, unknown]> = [[one, other]];
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [left, right] = pair;
    if (left === right) continue;
    if (typeof left !== "object" || typeof right !== "object") return false;
    if (left === null || right === null) return false;
    if (Array.isArray(left) !== Array.isArray(right)) return false;
    const entries = Object.entries(left);
    const values = new Map(Object.entries(right));
    if (entries.length !== values.size) return false;
    for (const [key, value] of entries) {
      if (!values.has(key)) return false;
      pending.push([value, values.get(key)]);
    }
  }
  return true;
}
