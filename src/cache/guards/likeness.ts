/**
 * Whether two words are one: the same word inflected, or mistyped.
 *
 * There is no dictionary here, so only those slips are believed that seldom make
 * another word: two neighbouring letters swapped, and a consonant doubled or not.
 * Any other letter may be the whole difference ("sulfate", "sulfite").
 *
 * @module
 */
import { PAST_FORMS, SAME_WORD } from "./english_grammar.ts";
import { hasNeighbour } from "./english_neighbours.ts";
import { isListed } from "./english_opposites.ts";

const VOWELS = "aeiouy";
const SWAP_LETTERS_MIN = 4;
const DOUBLE_LETTERS_MIN = 6;
const PREFIXES: ReadonlySet<string> = new Set(
  "un in im il ir dis non de mis anti".split(" "),
);
const PREFIXED_LETTERS_MIN = 4;

/** The base form of a lower-case English word, roughly: plural, tense and irregular forms gone. */
export function baseForm(word: string): string {
  const irregular = PAST_FORMS.get(word) ?? SAME_WORD.get(word);
  if (irregular !== undefined) return irregular;
  if (word.length < 4 || isListed(word)) return word;
  if (word.endsWith("s")) return singularOf(word);
  if (word.endsWith("ing") && !word.endsWith("thing")) return verbOf(word, word.slice(0, -3));
  if (word.endsWith("ied") && word.length > 4) return `${word.slice(0, -3)}y`;
  if (word.endsWith("ed") && !word.endsWith("eed")) return verbOf(word, word.slice(0, -2));
  return word;
}

function singularOf(word: string): string {
  if (/(?:ss|us|is)$/.test(word)) return word;
  if (word.endsWith("ies") && word.length > 4) return `${word.slice(0, -3)}y`;
  return /(?:x|ch|sh|ss|zz)es$/.test(word) ? word.slice(0, -2) : word.slice(0, -1);
}

/** "stopped" to "stop", "charged" to "charge", "opened" to "open"; a word such as "thing" stays. */
function verbOf(word: string, stem: string): string {
  if (stem.length < 2 || !/[aeiouy]/.test(stem)) return word;
  if (/([bdfgkmnprt])\1$/.test(stem) || (stem.endsWith("ll") && stem.length > 5)) {
    return stem.length > 3 ? stem.slice(0, -1) : stem;
  }
  const lostItsE = /(?:[cvz]|[^s]s|[rnd]g|at|bl|iz|ur|ir|[^aeiou][aeiou]k)$/.test(stem) ||
    (stem.length <= 3 && /[aeiou][^aeiouwxy]$/.test(stem) && !/[aeiou]{2}/.test(stem));
  return lostItsE ? `${stem}e` : stem;
}

/** Whether two different lower-case words are one, written otherwise. */
export function isSameWord(one: string, other: string): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  if (short.length < SWAP_LETTERS_MIN || long.length - short.length > 1) return false;
  if (isListed(one) && isListed(other)) return false;
  if (hasNeighbour(one) && hasNeighbour(other)) return false;
  return long === `${short}e` || isSlip(short, long);
}

function isSlip(short: string, long: string): boolean {
  let start = 0;
  while (start < short.length && short[start] === long[start]) start++;
  let end = 0;
  while (end < short.length - start && short.at(-1 - end) === long.at(-1 - end)) end++;
  if (short.length === long.length) {
    const isInner = start > 0 && end > 0;
    return short.length - start - end === 2 && short[start] === long[start + 1] &&
      short[start + 1] === long[start] && (isInner || short.length > SWAP_LETTERS_MIN);
  }
  const extra = long[start] ?? "";
  return start + end === short.length && start > 0 && long.length >= DOUBLE_LETTERS_MIN &&
    extra === long[start - 1] && !VOWELS.includes(extra);
}

/** Spellings of a word with two neighbouring letters swapped, other words left out. */
export function swappedSpellings(word: string): readonly string[] {
  if (word.length < SWAP_LETTERS_MIN) return [];
  const spellings: string[] = [];
  for (let at = 0; at + 1 < word.length; at++) {
    const swapped = `${word.slice(0, at)}${word[at + 1]}${word[at]}${word.slice(at + 2)}`;
    if (swapped !== word && !hasNeighbour(swapped) && !isListed(swapped)) spellings.push(swapped);
  }
  return spellings;
}

/** Whether one word is the other with "un-", "dis-" or the like before it. */
export function isPrefixed(one: string, other: string): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  return short.length >= PREFIXED_LETTERS_MIN && long.endsWith(short) &&
    PREFIXES.has(long.slice(0, long.length - short.length));
}
