/**
 * English contractions, written out.
 *
 * Only those that a closed list of words can take, so that a possessive ("the
 * dog's") stays. What is ambiguous ("he's gone") always becomes the same form;
 * that costs a match at times and never makes a false one. Left alone are
 * "let's" (not the same as "let us"), "ain't" and forms without the apostrophe
 * ("were", "ill", "wont"), which are other words.
 *
 * @module
 */

const PRONOUNS = "i you he she it we they".split(" ");
const QUESTIONS = "what where who how when why".split(" ");
const POINTERS = "that there here".split(" ");

/** Verbs that take "n't" with nothing but "not" behind them. */
const VERBS = ("do does did is are was were has have had would could should might must need " +
  "ought").split(" ");

/** Every contraction with its long form. */
const LONG_FORMS: ReadonlyMap<string, string> = new Map([
  ["can't", "cannot"],
  ["won't", "will not"],
  ["shan't", "shall not"],
  ["i'm", "i am"],
  ...VERBS.map((verb) => [`${verb}n't`, `${verb} not`] as const),
  ...[...PRONOUNS.slice(2, 5), ...QUESTIONS, ...POINTERS].map((word) =>
    [`${word}'s`, `${word} is`] as const
  ),
  ...["you", "we", "they", ...QUESTIONS, "there"].map((word) =>
    [`${word}'re`, `${word} are`] as const
  ),
  ...["i", "you", "we", "they", "would", "could", "should", "might", "must", "what", "who", "where"]
    .map((word) => [`${word}'ve`, `${word} have`] as const),
  ...[...PRONOUNS, ...POINTERS.slice(0, 2), "what", "who", "where", "how", "when"].flatMap((word) =>
    [[`${word}'ll`, `${word} will`], [`${word}'d`, `${word} would`]] as const
  ),
]);

/** A word with its contraction written out, and with what follows it kept. */
export function writeOut(word: string): string {
  if (!word.includes("'")) return word;
  const found = /^([(]*)([a-z]+'[a-z]+)(.*)$/.exec(word);
  const long = LONG_FORMS.get(found?.[2] ?? "");
  return found === null || long === undefined ? word : `${found[1]}${long}${found[3]}`;
}
