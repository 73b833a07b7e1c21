/**
 * What the guards see of a text: its words in base form, numbers, signs, quoted strings.
 *
 * @module
 */
import { FILLERS, LOOSE, NEGATIONS } from "./english_grammar.ts";
import { NUMBER_WORDS, numberScale, unitOf } from "./english_units.ts";
import { baseForm, swappedSpellings } from "./likeness.ts";
import { plainRequest } from "./phrases.ts";

/** What a token is. */
export type TokenKind = "word" | "number" | "sign";

/** One token of a text. */
export interface Token {
  /** Words in base form, numbers in digits, signs as they are. */
  readonly text: string;
  /** Words in lower case, as written. */
  readonly written: string;
  /** What it is. */
  readonly kind: TokenKind;
  /** Whether it is written with a capital where the sentence asks for none. */
  readonly isName: boolean;
}

/** A text taken apart. */
export interface Reading {
  /** Tokens in order, quoted strings left out. */
  readonly tokens: readonly Token[];
  /** Quoted strings, code, addresses; sorted. */
  readonly quotes: readonly string[];
  /** Whether a sentence opens with a verb: "is it …", "can I …". */
  readonly asksWhether: boolean;
}

const QUOTED = new RegExp(
  [
    "```[\\s\\S]*?(?:```|$)",
    "`[^`]+`",
    '"[^"]+"',
    "“[^”]+”",
    "«[^»]+»",
    "„[^“”]+[“”]",
    "\\b(?:https?:\\/\\/|www\\.)\\S+",
    "(?<![\\w.+-])[\\w.+-]+@[\\w-]+\\.[\\w.-]+",
  ].join("|"),
  "gu",
);
/** Numbers, letters that are words, words, ends of sentences, signs, minus signs. */
const TOKEN = new RegExp(
  [
    "\\p{Nd}+(?:[.,:/]\\p{Nd}+)*",
    "[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}]",
    "[\\p{L}\\p{M}]+(?:'[\\p{L}\\p{M}]+)*",
    "[.!?\\n]",
    "[+*/=<>%$€£¥₹₩₽₺₪₿°#@&^~|\\\\{}[\\]±×÷√∞≤≥≠→←↑↓]",
    "\\p{Extended_Pictographic}",
    "(?<=\\p{Nd}\\s?)[-−–](?=\\s?\\p{Nd})",
    "(?<=^|\\s)[-−](?=\\p{Nd})",
  ].join("|"),
  "gu",
);
const ENDS_SENTENCE = /^[.!?\n]$/;
const LETTER = /^[\p{L}\p{M}\p{N}]/u;

const CONTRACTED: ReadonlyMap<string, readonly string[]> = new Map([
  ["can't", ["can", "not"]],
  ["won't", ["will", "not"]],
  ["shan't", ["shall", "not"]],
  ["cannot", ["can", "not"]],
  ["unable", ["not", "able"]],
  ["cant", ["can", "not"]],
  ["wont", ["will", "not"]],
  ["im", ["i", "am"]],
  ["ive", ["i", "have"]],
  ["whats", ["what", "is"]],
  ["hows", ["how", "is"]],
  ["wheres", ["where", "is"]],
  ["let's", ["let", "we"]],
  ...("do does did is are was were has have had could would should must".split(" ").map(
    (verb): [string, readonly string[]] => [`${verb}nt`, [verb, "not"]],
  )),
]);

const ENDINGS: readonly (readonly [string, string])[] = [
  ["n't", "not"],
  ["'re", "are"],
  ["'ve", "have"],
  ["'ll", "will"],
  ["'d", "would"],
  ["'m", "am"],
  ["'s", ""],
];

const SMALL_WORDS: ReadonlySet<string> = new Set([...FILLERS, ...LOOSE, ...NEGATIONS]);

/** Verbs that open a question to be answered by yes or no. */
const OPENERS: ReadonlySet<string> = new Set(
  ("is are am was were do does did can could may might should must will would shall have has had")
    .split(" "),
);

/** Small words and number words with two neighbouring letters swapped. */
const SLIPS: ReadonlyMap<string, string> = new Map(
  [...SMALL_WORDS, ...NUMBER_WORDS.keys()].flatMap((word) =>
    swappedSpellings(word).map((spelling): [string, string] => [spelling, word])
  ),
);

/** Takes a text apart. */
export function readTokens(text: string): Reading {
  const quotes: string[] = [];
  const bare = text.normalize("NFKC").replaceAll("’", "'").replace(QUOTED, (quote) => {
    quotes.push(inside(quote));
    return " ";
  });
  const plain = plainRequest(bare);
  const reader = new TokenReader(plain);
  for (const [found] of plain.matchAll(TOKEN)) reader.take(found);
  return { tokens: reader.tokens, quotes: quotes.sort(), asksWhether: reader.asksWhether };
}

function inside(quote: string): string {
  if (quote.startsWith("```")) return quote;
  return /^["“«„`]/.test(quote) ? quote.slice(1, -1).trim() : quote.replace(/[.,;:!?)]+$/, "");
}

/** Collects tokens, joining number words and following where sentences begin. */
class TokenReader {
  /** What was collected. */
  readonly tokens: Token[] = [];
  /** Whether a sentence opened with a verb. */
  asksWhether = false;
  readonly #hasCase: boolean;
  #startsSentence = true;
  #wasNumberWord = false;

  /** @param text The whole text: without small letters, capitals say nothing. */
  constructor(text: string) {
    this.#hasCase = /\p{Ll}/u.test(text);
  }

  /** Takes the next token as it was found. */
  take(found: string): void {
    if (ENDS_SENTENCE.test(found)) {
      this.#startsSentence = true;
      return;
    }
    const unit = unitOf(found);
    if (!LETTER.test(found)) this.#push(unit ?? found, found, unit ? "word" : "sign", false);
    else if (/^\p{Nd}/u.test(found)) this.#push(plainNumber(found), found, "number", false);
    else this.#takeWord(found);
    this.#startsSentence = false;
  }

  #takeWord(found: string): void {
    const isName = this.#hasCase && !this.#startsSentence && /^\p{Lu}/u.test(found) &&
      !/^I(?:$|')/.test(found);
    const typed = found.toLowerCase();
    const lower = SLIPS.get(typed) ?? typed;
    if (this.#startsSentence && OPENERS.has(lower)) this.asksWhether = true;
    const last = this.tokens.at(-1);
    if (last?.kind === "number" && this.#isNumberEnding(lower)) return;
    const value = NUMBER_WORDS.get(lower) ?? numberScale(lower);
    if (value !== undefined) return this.#takeNumberWord(value);
    const isCounted = last?.kind === "number";
    for (const part of partsOf(lower)) {
      const base = SMALL_WORDS.has(part) ? part : baseForm(part);
      this.#push(unitIn(base, isCounted) ?? base, part, "word", isName);
    }
  }

  /** "1st", "5k", "two hundred": what changes the number before it. */
  #isNumberEnding(lower: string): boolean {
    const last = this.tokens.at(-1);
    const scale = lower === "k" ? 1000 : numberScale(lower);
    if (scale !== undefined && last !== undefined) {
      const value = Number(last.text) * scale;
      if (!Number.isFinite(value)) return false;
      this.tokens[this.tokens.length - 1] = { ...last, text: String(value) };
      return true;
    }
    return /^(?:st|nd|rd|th)$/.test(lower);
  }

  #takeNumberWord(value: number): void {
    const last = this.tokens.at(-1);
    const before = last?.kind === "number" && this.#wasNumberWord ? Number(last.text) : 0;
    const joins = last !== undefined && value >= 1 && value < 10 && before >= 20 &&
      before < 100 && before % 10 === 0;
    if (joins) this.tokens[this.tokens.length - 1] = { ...last, text: String(before + value) };
    else this.#push(String(value), "", "number", false);
    this.#wasNumberWord = true;
  }

  #push(text: string, written: string, kind: TokenKind, isName: boolean): void {
    this.tokens.push({ text, written, kind, isName });
    this.#wasNumberWord = false;
  }
}

/** "1,000" as "1000", "5:00" as "5", "007" as "7". */
function plainNumber(digits: string): string {
  const joined = digits.replace(/,(?=\p{Nd}{3}(?:\D|$))/gu, "");
  const whole = joined.replace(/(?:\.0+|:00)$/, "");
  return whole.replace(/^0+(?=\p{Nd})/u, "");
}

/** A word's parts: contractions written out, possessives gone. */
function partsOf(lower: string): readonly string[] {
  const known = CONTRACTED.get(lower);
  if (known !== undefined) return known;
  if (lower.includes("'")) {
    for (const [ending, word] of ENDINGS) {
      if (!lower.endsWith(ending)) continue;
      const stem = lower.slice(0, -ending.length);
      return word === "" ? [stem] : [stem, word];
    }
  }
  return [lower];
}

/** A unit's name; short spellings ("m", "kg") are units after a number only. */
function unitIn(word: string, isCounted: boolean): string | undefined {
  return isCounted || word.length > 2 ? unitOf(word) : undefined;
}
