/**
 * What stands in one of two texts only, and whether that changes the answer.
 *
 * @module
 */
import { CLASSES, type ClassReason, LOOSE } from "./english_grammar.ts";
import { areOpposites } from "./english_opposites.ts";
import { unitOf } from "./english_units.ts";
import type { GuardFeatures } from "./features.ts";
import { isPrefixed, isSameWord } from "./likeness.ts";
import type { Token } from "./tokens.ts";

/** Two texts side by side. */
export interface Difference {
  /** What the question has and the stored text lacks. */
  readonly onlyAsked: readonly Token[];
  /** What the stored text has and the question lacks. */
  readonly onlyStored: readonly Token[];
  /** What both have, in the question's order. */
  readonly keptAsked: readonly Token[];
  /** What both have, in the stored text's order. */
  readonly keptStored: readonly Token[];
}

/** Why a difference is refused. */
export type DifferenceReason = ClassReason | "sign" | "unit" | "name" | "words";

/** More words than that are not paired with one another. */
const PAIRED_WORDS_MAX = 8;
/** More words than that are not searched for opposites. */
const OPPOSITE_WORDS_MAX = 32;

/** Question words that ask for something else even where the other text has none. */
const TELLING: ReadonlySet<string> = new Set("who whose when where".split(" "));

const READ_CLASSES = CLASSES.map(({ reason, groups }) => {
  const groupsOf = new Map<string, number[]>();
  groups.split("|").forEach((group, at) => {
    for (const word of group.split(" ")) groupsOf.set(word, [...groupsOf.get(word) ?? [], at]);
  });
  return { reason, groupsOf };
});

/** Lays two texts side by side; repeated words count as often as they stand. */
export function differenceOf(asked: readonly Token[], stored: readonly Token[]): Difference {
  if (areEqual(asked, stored)) {
    return { onlyAsked: [], onlyStored: [], keptAsked: asked, keptStored: stored };
  }
  const [onlyAsked, keptAsked] = divide(asked, stored);
  const [onlyStored, keptStored] = divide(stored, asked);
  return { onlyAsked, onlyStored, keptAsked, keptStored };
}

function areEqual(asked: readonly Token[], stored: readonly Token[]): boolean {
  return asked.length === stored.length &&
    asked.every((word, at) => word.text === stored[at]?.text);
}

function divide(words: readonly Token[], other: readonly Token[]): readonly [Token[], Token[]] {
  const counts = new Map<string, number>();
  for (const { text } of other) counts.set(text, (counts.get(text) ?? 0) + 1);
  const only: Token[] = [];
  const kept: Token[] = [];
  for (const word of words) {
    const count = counts.get(word.text) ?? 0;
    if (count > 0) counts.set(word.text, count - 1);
    (count > 0 ? kept : only).push(word);
  }
  return [only, kept];
}

/**
 * Whether a word was exchanged for its opposite, or a sign, unit or name stands in one
 * text only: what matters however differently the rest is worded.
 */
export function oppositionIn(difference: Difference): DifferenceReason | null {
  const ones = difference.onlyAsked.slice(0, OPPOSITE_WORDS_MAX);
  const others = difference.onlyStored.slice(0, OPPOSITE_WORDS_MAX);
  if (haveOpposites(ones, others)) return "opposite";
  const all = [...ones, ...others];
  if (all.some(({ kind }) => kind === "sign")) return "sign";
  if (all.some(({ text }) => unitOf(text) !== undefined)) return "unit";
  return all.some(({ text, isName }) => isName && !LOOSE.has(text)) ? "name" : null;
}

/**
 * Whether anything differs but inflection, slips of the pen, and small words that
 * may come and go.
 */
export function wordingIn(
  difference: Difference,
  asked: GuardFeatures,
  stored: GuardFeatures,
): DifferenceReason | null {
  const { onlyAsked, onlyStored } = difference;
  if (onlyAsked.length > PAIRED_WORDS_MAX || onlyStored.length > PAIRED_WORDS_MAX) {
    return oppositionIn(difference) ?? "words";
  }
  if (joined(onlyAsked) === joined(onlyStored)) return null;
  const ones = onlyAsked.filter((word) => !onlyStored.some((other) => areOne(word, other)));
  const others = onlyStored.filter((word) => !onlyAsked.some((other) => areOne(word, other)));
  const opposition = oppositionIn({ ...difference, onlyAsked: ones, onlyStored: others });
  if (opposition !== null) return opposition;
  if (!asked.isEnglish && !stored.isEnglish) {
    return ones.length + others.length > 0 ? "words" : null;
  }
  const exchange = exchangeIn(ones, others);
  if (exchange !== null) return exchange;
  if (asksMore(ones, stored) || asksMore(others, asked)) return "question";
  return [...ones, ...others].some(({ text }) => !LOOSE.has(text)) ? "words" : null;
}

/** The same letters, though cut otherwise: "top up", "topup". */
function joined(words: readonly Token[]): string {
  return words.map(({ text }) => text).join("");
}

function areOne(one: Token, other: Token): boolean {
  return isSameWord(one.text, other.text) || isSameWord(one.written, other.written);
}

function haveOpposites(ones: readonly Token[], others: readonly Token[]): boolean {
  return ones.some((one) =>
    others.some((other) => areOpposites(one.text, other.text) || isPrefixed(one.text, other.text))
  );
}

function exchangeIn(ones: readonly Token[], others: readonly Token[]): ClassReason | null {
  for (const { reason, groupsOf } of READ_CLASSES) {
    const left = memberships(ones, groupsOf);
    const right = memberships(others, groupsOf);
    if (left.length === 0 || right.length === 0) continue;
    if (!haveCounterparts(left, right) || !haveCounterparts(right, left)) return reason;
  }
  return null;
}

function memberships(
  words: readonly Token[],
  groupsOf: ReadonlyMap<string, readonly number[]>,
): readonly (readonly number[])[] {
  return words.flatMap(({ text }) => {
    const groups = groupsOf.get(text);
    return groups === undefined ? [] : [groups];
  });
}

function haveCounterparts(
  words: readonly (readonly number[])[],
  others: readonly (readonly number[])[],
): boolean {
  return words.every((groups) =>
    others.some((there) => groups.some((group) => there.includes(group)))
  );
}

/** "My card is blocked" may be answered as "why is my card blocked", "is my card blocked" not. */
function asksMore(words: readonly Token[], other: GuardFeatures): boolean {
  return words.some(({ text }) => TELLING.has(text) || (text === "why" && other.asksWhether));
}
