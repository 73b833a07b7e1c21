/**
 * Takes greetings, thanks and "please" off both ends of a text, and the
 * punctuation that closes it.
 *
 * The hard part is a courtesy that is spoken of instead of said ("how do you say
 * thank you", "hello kitty", "do as you please"): where no punctuation sets it
 * apart, it is only taken off next to words that show that it does not belong to
 * the sentence.
 *
 * @module
 */
import {
  ABOUT_WORDS,
  BEGINNINGS,
  DANGLING,
  ERRANDS,
  GREETINGS,
  LANGUAGES,
  LEAD_INS,
  type Phrase,
  PLEASE,
  PLEASE_SPOKEN_OF,
  PLEASED,
  REPORTED,
  THANKS,
} from "./courtesy_words.ts";
import { isBreak } from "./line_break.ts";

/** Nobody thanks more often; a text made of courtesies must not cost a pass for each. */
const PASSES_MAX = 3;

/** Courtesies that close a text, by their last word. */
const BY_LAST_WORD = Map.groupBy([...THANKS, ...PLEASE], (phrase) => phrase.at(-1) ?? "");

/** Phrases that open a text, by their first word. */
const BY_FIRST_WORD = Map.groupBy(
  [...GREETINGS, ...LEAD_INS, ...PLEASE],
  (phrase) => phrase[0] ?? "",
);

/**
 * Trims a folded text.
 *
 * @param words Its words, in small letters, with their punctuation; they are changed in place.
 */
export function trimCourtesies(words: string[]): void {
  let length = -1;
  for (let pass = 0; pass < PASSES_MAX && length !== words.length; pass++) {
    length = words.length;
    trimClosing(words);
    trimEnd(words);
    trimStart(words);
  }
}

/** Takes off the mark that ends the text, unless it may be part of what is said. */
function trimClosing(words: string[]): void {
  while (words.length > 1 && isBreak(words.at(-1))) words.pop();
  const last = words.at(-1) ?? "";
  const word = last.replace(/[.?!,]+$/, "");
  // Alone it may be what is asked about; three dots ask to be carried on; 5! is 120.
  if (word === last || word === "") return;
  const mark = last.slice(word.length);
  if (mark.includes("..")) return;
  if (mark.includes("!") && (/[\d)]$/.test(word) || /^[a-hj-z]$/i.test(word))) return;
  words[words.length - 1] = word;
}

function trimEnd(words: string[]): void {
  for (const phrase of BY_LAST_WORD.get(words.at(-1) ?? "") ?? []) {
    const rest = words.length - phrase.length;
    if (rest < 1 || !phrase.every((word, index) => words[rest + index] === word)) continue;
    if (endsFreely(words, rest, PLEASE.includes(phrase))) words.length = rest;
    return;
  }
}

/** Whether the courtesy behind `rest` words is said to whoever reads, not spoken of. */
function endsFreely(words: readonly string[], rest: number, please: boolean): boolean {
  const before = words[rest - 1] ?? "";
  // A thanked word is an answer in a conversation, not a question.
  if (!please && rest < 2) return false;
  if (/[:]$/.test(before) || (isBreak(before) && /:$/.test(words[rest - 2] ?? ""))) return false;
  if (isAboutWords(words, rest)) return false;
  if (isBreak(before) || /[.?!]$/.test(before)) return rest > 1 || before.length > 1;
  if (words.slice(sentenceStart(words, rest), rest).some(isReported)) return false;
  if (/[,;-]$/.test(before)) return true;
  if (DANGLING.has(before)) return false;
  return please ? !PLEASED.has(before) : !isErrand(words, rest);
}

/** "translate thanks"; but not "how do you say dog in french please", which has its object. */
function isAboutWords(words: readonly string[], rest: number): boolean {
  let about = false;
  for (let index = 0; index < rest && !about; index++) {
    about = ABOUT_WORDS.has(bare(words[index] ?? ""));
  }
  if (!about) return false;
  const preposition = words[rest - 2];
  if (preposition !== "in" && preposition !== "into" && preposition !== "to") return true;
  return !LANGUAGES.has(bare(words[rest - 1] ?? "")) ||
    ABOUT_WORDS.has(bare(words[rest - 3] ?? "say"));
}

function sentenceStart(words: readonly string[], end: number): number {
  let start = end - 1;
  while (start > 0 && !/[.?!\n]$/.test(words[start - 1] ?? "")) start -= 1;
  return Math.max(start, 0);
}

function isReported(word: string): boolean {
  return REPORTED.has(bare(word));
}

/** Whether a verb close before it could have the courtesy for its object: "text mom thanks". */
function isErrand(words: readonly string[], rest: number): boolean {
  for (let index = Math.max(0, rest - 4); index < rest; index++) {
    const next = words[index + 1];
    if (ERRANDS.has(words[index] ?? "") && next !== "me" && next !== "us") return true;
  }
  return false;
}

function trimStart(words: string[]): void {
  const first = (words[0] ?? "").replace(/[.,!:;-]+$/, "");
  for (const phrase of BY_FIRST_WORD.get(first) ?? []) {
    if (!startsWith(words, phrase)) continue;
    if (PLEASE.includes(phrase)) return dropPlease(words);
    if (GREETINGS.includes(phrase)) return dropGreeting(words, phrase.length);
    if (/[,:]$/.test(words[phrase.length - 1] ?? "")) {
      words.splice(0, phrase.length);
      return;
    }
  }
}

function dropPlease(words: string[]): void {
  const next = words[1] ?? "";
  if (/^[a-z]/i.test(next) && !PLEASE_SPOKEN_OF.has(bare(next))) words.splice(0, 1);
}

/** At least two words must follow: "hello, dolly" is no question of Dolly's. */
function dropGreeting(words: string[], length: number): void {
  let rest = length;
  while (isBreak(words[rest]) || /^[,.!-]$/.test(words[rest] ?? "")) rest += 1;
  const apart = rest > length || /[.,!:;-]$/.test(words[length - 1] ?? "");
  if (words.length - rest < 2) return;
  // "hello, how are you in french" greets nobody.
  const intoLanguage = LANGUAGES.has(words.at(-1) ?? "") && words.at(-2) === "in";
  if (intoLanguage && !words.some((word) => ABOUT_WORDS.has(word))) return;
  if (apart || BEGINNINGS.has(bare(words[rest] ?? ""))) words.splice(0, rest);
}

/** Whether the words begin with a phrase, whatever punctuation follows it. */
function startsWith(words: readonly string[], phrase: Phrase): boolean {
  if (words.length <= phrase.length) return false;
  return phrase.every((word, index) => {
    const given = words[index] ?? "";
    return given === word ||
      (index === phrase.length - 1 && given.replace(/[.,!:;-]+$/, "") === word);
  });
}

function bare(word: string): string {
  // Most words have nothing around them, and two patterns cost more than a look.
  if (/^[a-z]+$/.test(word)) return word;
  return word.replace(/^[(]+/, "").replace(/[.,?!:;)]+$/, "");
}
