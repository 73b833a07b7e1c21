/**
 * Folds what does not change a question: letter case, spaces, closing
 * punctuation, contractions, and courtesies at its ends.
 *
 * It would rather miss than be wrong. A text in which spelling may matter (code,
 * an address, a path, something quoted, an identifier) is not folded at all; in
 * the others every number, sign, inner punctuation mark and word stays in its
 * place. Rules go by form and closed lists, so the result is the same for every
 * text and needs no language model. Folding is repeated until nothing changes,
 * which makes it idempotent: what is folded folds to itself.
 *
 * @module
 */
import { writeOut } from "./folding/contractions.ts";
import { trimCourtesies } from "./folding/courtesies.ts";
import { foldCase } from "./folding/letter_case.ts";
import { BLANK_LINE, isBreak, LINE_BREAK } from "./folding/line_break.ts";

/** Longest text that is folded: longer ones seldom differ in spelling alone. */
const CHARACTERS_MAX = 8_192;

/** Longest word of a text that is folded: longer ones are data. */
const WORD_CHARACTERS_MAX = 128;

/** More rounds than any text that is not made to defeat it takes. */
const ROUNDS_MAX = 5;

/**
 * Signs of code, markup, mathematics, quotes, addresses and paths.
 *
 * In this order: characters that prose does without; a quote that opens with an
 * apostrophe; dots inside words, as in `main.ts`, `v1.beta`, `.env`; slashes, as in
 * `a/b`, `/etc`, `../x`, `//`; flags such as `-v` and `--all`; `f(x)`, `%s`, `$HOME`,
 * `a::b`; a line that ends in a semicolon; an indented line. Each begins with the
 * rare character and looks back from there, which makes it six times as fast.
 */
const SPELLED_FOR_A_REASON = new RegExp(
  [
    '["`{}[\\]<>=\\\\|^~*_@\\t“”„‟‘‚‛«»‹›「」『』]',
    "'(?<=(?:^|[\\s(])')\\S",
    "\\.(?:(?<=(?:[a-z]{2}|\\d|^|[\\s(])\\.)[a-z]|(?<=[a-z]\\.)[a-z]{2})",
    "\\/(?:(?<=[a-z]\\/)[a-z]|(?<=(?:^|[\\s(])\\.{0,2}\\/)\\S|\\/)",
    "-(?<=(?:^|\\s)--?)[a-z]",
    "\\((?<=[a-z\\d]\\()|%[a-z]|\\$[a-z]|:(?<=[a-z]::?)[a-z]",
    ";\\s*(?:\\n|$)",
    "\\n[ \\u3000]+\\S",
  ].join("|"),
  "i",
);

// deno-lint-ignore no-control-regex -- ASCII has its control characters.
const ASCII = /^[\x00-\x7f]*$/;

/**
 * Compatibility characters that stand for the same text in another width or
 * ligature: all else that NFKC would change (x², ½, ①) means something by its form.
 */
const SAME_IN_OTHER_FORM =
  /[\u00a0\u2000-\u200a\u2011\u2026\u202f\u205f\u3000\ufb00-\ufb06\uff01-\uffee]/g;

/**
 * The folded text.
 *
 * @param text The user's text as it came.
 * @returns `null` where no other spelling may stand for it, or nothing would be left.
 */
export function foldText(text: string): string | null {
  if (text.length > CHARACTERS_MAX) return null;
  let folded: string | null = text;
  for (let round = 0; round < ROUNDS_MAX && folded !== null; round++) {
    const before: string = folded;
    folded = foldOnce(before);
    if (folded === before) return folded;
  }
  return null;
}

function foldOnce(text: string): string | null {
  const plain = (ASCII.test(text) ? text : plainForm(text))?.trim() ?? "";
  if (plain === "" || SPELLED_FOR_A_REASON.test(plain)) return null;
  const words = wordsOf(plain);
  if (words.some(isData) || !foldCase(plain, words)) {
    return null;
  }
  if (plain.includes("'")) {
    for (let index = 0; index < words.length; index++) {
      words[index] = writeOut(words[index] ?? "");
    }
  }
  trimCourtesies(words);
  return joined(words);
}

function isData(word: string): boolean {
  return word.length > WORD_CHARACTERS_MAX;
}

/** Compatibility forms, apostrophes and hyphens as most people type them. */
function plainForm(text: string): string | null {
  const plain = text.replace(SAME_IN_OTHER_FORM, (form) => form.normalize("NFKC"))
    .normalize("NFC");
  if (plain.normalize("NFKC") !== plain) return null;
  return plain.replace(/(?<=\p{L})[\u2019\u02bc](?=\p{L})/gu, "'").replace(/[\u2010\u2212]/g, "-");
}

/** Words with what is attached to them; a line break, and a blank line, are words of their own. */
function wordsOf(text: string): string[] {
  // Splitting at a string is ten times as fast as at a pattern.
  if (!/[^\S ]| {2}/.test(text)) return text.split(" ");
  if (!/[\r\n]/.test(text)) return text.split(/\s+/);
  const words: string[] = [];
  for (const line of text.split(/\r\n?|\n/)) {
    const inside = line.trim();
    if (inside === "") {
      words[words.length - 1] = BLANK_LINE;
    } else {
      words.push(...inside.split(/\s+/), LINE_BREAK);
    }
  }
  words.pop();
  return words;
}

function joined(words: readonly string[]): string {
  const [first = ""] = words;
  let text = first;
  for (let index = 1; index < words.length; index++) {
    const word = words[index] ?? "";
    text += isBreak(word) || isBreak(words[index - 1]) ? word : " " + word;
  }
  return text;
}
