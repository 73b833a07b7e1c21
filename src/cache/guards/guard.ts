/**
 * The guards: may the answer to one text be served for another that is near it?
 *
 * Vectors find texts that are alike; whether a small difference turns the answer
 * round is decided here, on the words. Numbers, quoted strings, signs, units and
 * names must be equal and negations even in number; no word may be exchanged for
 * its opposite, and the ends of "from … to …" not for one another. An embedder that
 * knows words only, no meaning, needs more: content words equal but for inflection
 * and slips of the pen, and small words not exchanged for others of their class.
 * English has lists; in other languages every word counts as content.
 *
 * @module
 */
import { differenceOf, oppositionIn, wordingIn } from "./difference.ts";
import { type GuardFeatures, guardFeatures } from "./features.ts";
import { haveChangedPlaces, isGovernedOtherwise } from "./order.ts";

export { type GuardFeatures, guardFeatures };

/** Every reason for a refusal. */
export const GUARD_NAMES = [
  "number",
  "quote",
  "negation",
  "opposite",
  "sign",
  "unit",
  "name",
  "question",
  "modal",
  "person",
  "words",
  "tense",
  "direction",
  "order",
] as const;

/** Why one text's answer may not be served for the other. */
export type GuardName = typeof GUARD_NAMES[number];

/**
 * How much is left to the embedder: `words` for those that know words only, such as the
 * built-in one; `meaning` for models, which may find the same said in other words.
 */
export type GuardLevel = "words" | "meaning";

/** Why the answer to `stored` may not be served for `asked`, or `null` if it may. */
export function guardRefusal(
  asked: string,
  stored: string,
  level: GuardLevel = "words",
): GuardName | null {
  return compareFeatures(guardFeatures(asked), guardFeatures(stored), level);
}

/** The same as {@linkcode guardRefusal} on features that were read before. */
export function compareFeatures(
  asked: GuardFeatures,
  stored: GuardFeatures,
  level: GuardLevel = "words",
): GuardName | null {
  if (asked.numbers !== stored.numbers) return "number";
  if (asked.quotes !== stored.quotes) return "quote";
  if ((asked.negated.length - stored.negated.length) % 2 !== 0) return "negation";
  if (isTurnedRoute(asked, stored)) return "direction";
  const difference = differenceOf(asked.words, stored.words);
  if (level === "meaning") return oppositionIn(difference);
  const wording = wordingIn(difference, asked, stored);
  if (wording !== null) return wording;
  if (isOtherTense(asked, stored) || isOtherTense(stored, asked)) return "tense";
  if (asked.negated.join(" ") !== stored.negated.join(" ")) return "negation";
  const askedWords = difference.keptAsked.map(({ text }) => text);
  const storedWords = difference.keptStored.map(({ text }) => text);
  if (isGovernedOtherwise(askedWords, storedWords)) return "direction";
  return haveChangedPlaces(askedWords, storedWords) ? "order" : null;
}

function isTurnedRoute(asked: GuardFeatures, stored: GuardFeatures): boolean {
  return asked.routes.some(([start, end]) =>
    start !== end && stored.routes.some((other) => other[0] === end && other[1] === start)
  );
}

/** Whether a verb is in the past in the one text and not in the other. */
function isOtherTense(asked: GuardFeatures, stored: GuardFeatures): boolean {
  if (asked.time === "past" && stored.time === "future") return true;
  for (const word of asked.past) {
    if (!stored.past.has(word) && stored.words.some(({ text }) => text === word)) return true;
  }
  return false;
}
