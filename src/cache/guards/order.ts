/**
 * Whether the same words stand in another order that means something else.
 *
 * @module
 */
import { LOOSE } from "./english_grammar.ts";

/** Words that govern what follows them: "from X" is not "to X". */
const GOVERNING: ReadonlySet<string> = new Set(
  "from to into onto than before after until since over under above below with without for".split(
    " ",
  ),
);

/** Words around which two things may change places. */
const EVEN: ReadonlySet<string> = new Set(["and", "or", "&", "plus", "+", "*"]);

/** The longest stretch that is looked at for things which have changed places. */
const STRETCH_MAX = 40;

/**
 * Whether a word stands behind one preposition here and behind another there:
 * "to A from B" and "from A to B".
 */
export function isGovernedOtherwise(asked: readonly string[], stored: readonly string[]): boolean {
  const governors = governorsIn(asked);
  if (governors.size === 0) return false;
  for (const [word, governor] of governorsIn(stored)) {
    const other = governors.get(word);
    if (other !== undefined && other !== governor) return true;
  }
  return false;
}

/** For each word right behind a governing one, which that is; the first time counts. */
function governorsIn(words: readonly string[]): ReadonlyMap<string, string> {
  const governors = new Map<string, string>();
  let governor: string | null = null;
  for (const word of words) {
    if (GOVERNING.has(word)) governor = word;
    else if (governor !== null && !LOOSE.has(word)) {
      if (!governors.has(word)) governors.set(word, governor);
      governor = null;
    }
  }
  return governors;
}

/**
 * Whether two things have changed places around something that stays between
 * them ("dollars to euros", "the dog bit the man"). A clause that was moved to the
 * other end of its sentence has nothing between, and passes.
 */
export function haveChangedPlaces(asked: readonly string[], stored: readonly string[]): boolean {
  if (asked.length !== stored.length) return false;
  let start = 0;
  while (start < asked.length && asked[start] === stored[start]) start++;
  let end = asked.length;
  while (end > start && asked[end - 1] === stored[end - 1]) end--;
  const length = end - start;
  if (length < 3 || length > STRETCH_MAX) return false;
  return isTurnedAround(asked.slice(start, end), stored.slice(start, end));
}

function isTurnedAround(asked: readonly string[], stored: readonly string[]): boolean {
  const length = asked.length;
  for (let first = 1; first < length - 1; first++) {
    for (let second = 1; first + second < length; second++) {
      const between = length - first - second;
      const pivot = asked.slice(first, first + between);
      if (between === 1 && EVEN.has(pivot[0] ?? "")) continue;
      if (
        isRun(asked, 0, stored, length - first, first) &&
        isRun(asked, length - second, stored, 0, second) &&
        isRun(asked, first, stored, second, between)
      ) return true;
    }
  }
  return false;
}

function isRun(
  asked: readonly string[],
  askedAt: number,
  stored: readonly string[],
  storedAt: number,
  length: number,
): boolean {
  for (let at = 0; at < length; at++) {
    if (asked[askedAt + at] !== stored[storedAt + at]) return false;
  }
  return true;
}
