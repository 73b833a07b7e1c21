/**
 * What the guards keep of a text.
 *
 * @module
 */
import { FILLERS, LOOSE, NEGATIONS, PAST_FORMS } from "./english_grammar.ts";
import { readTokens, type Token } from "./tokens.ts";

/** What the guards keep of a text; a stored text needs it once. */
export interface GuardFeatures {
  /** Whether it looks English: only then do lists of small words apply. */
  readonly isEnglish: boolean;
  /** Whether a sentence opens with a verb: "is it …", "can I …". */
  readonly asksWhether: boolean;
  /** Numbers, sorted and joined. */
  readonly numbers: string;
  /** Quoted strings, code and addresses, sorted and joined. */
  readonly quotes: string;
  /** The word of weight after each negation, sorted. */
  readonly negated: readonly string[];
  /** Words, numbers and signs in order, without fillers and negations. */
  readonly words: readonly Token[];
  /** The two ends of each "from … to …". */
  readonly routes: readonly (readonly [string, string])[];
  /** When it speaks of, by its auxiliary verbs. */
  readonly time: "past" | "future" | null;
  /** Base forms of verbs in the past. */
  readonly past: ReadonlySet<string>;
}

/** One small word in so many makes a text English. */
const ENGLISH_SHARE = 5;
const ROUTE_WORDS_MAX = 6;
const AUXILIARY_WORDS_MAX = 4;

const SUBJECTS: ReadonlySet<string> = new Set("i you we he she they it".split(" "));
const PAST_AUXILIARIES: ReadonlySet<string> = new Set(["did", "was", "were"]);
const ADVERBS: ReadonlySet<string> = new Set("already yet still ever recently".split(" "));

/** Reads what the guards need of a text. */
export function guardFeatures(text: string): GuardFeatures {
  const { tokens, quotes, asksWhether } = readTokens(text);
  const isEnglish = looksEnglish(tokens);
  const words = isEnglish ? withoutFillers(tokens) : tokens;
  return {
    isEnglish,
    asksWhether,
    numbers: numbersIn(tokens),
    quotes: quotes.join("\n"),
    negated: negatedWords(words),
    words: words.filter(({ text }) => !NEGATIONS.has(text)),
    routes: routesIn(tokens),
    time: timeOf(tokens),
    past: new Set(words.filter(isPast).map((word) => word.text)),
  };
}

function looksEnglish(tokens: readonly Token[]): boolean {
  let small = 0;
  for (const { text } of tokens) {
    if (FILLERS.has(text) || LOOSE.has(text) || NEGATIONS.has(text)) small++;
  }
  return small * ENGLISH_SHARE >= tokens.length;
}

/** A text of nothing but fillers keeps them. */
function withoutFillers(tokens: readonly Token[]): readonly Token[] {
  const words = tokens.filter((token, at) => !isFiller(token, at, tokens));
  return words.length > 0 ? words : tokens;
}

function isFiller({ text, kind }: Token, at: number, tokens: readonly Token[]): boolean {
  if (kind !== "word") return false;
  return text === "have" ? isAuxiliary(at, tokens) : FILLERS.has(text);
}

/** Whether the "have" at this place only makes a tense: "have paid", "have you not paid". */
function isAuxiliary(at: number, tokens: readonly Token[]): boolean {
  for (const { text, written } of tokens.slice(at + 1, at + 1 + AUXILIARY_WORDS_MAX)) {
    if (written.endsWith("ed") || written.endsWith("en")) return true;
    if (SUBJECTS.has(text) || ADVERBS.has(text) || NEGATIONS.has(text)) continue;
    if (PAST_FORMS.has(written)) return true;
    if (!FILLERS.has(text)) return false;
  }
  return false;
}

function numbersIn(tokens: readonly Token[]): string {
  const numbers = tokens.filter(({ kind }) => kind === "number").map(({ text }) => text);
  return numbers.length > 1 ? numbers.sort().join(" ") : numbers[0] ?? "";
}

function negatedWords(words: readonly Token[]): readonly string[] {
  const negated: string[] = [];
  words.forEach(({ text }, at) => {
    if (!NEGATIONS.has(text)) return;
    const next = words.slice(at + 1).find((word) =>
      !LOOSE.has(word.text) && !NEGATIONS.has(word.text)
    );
    negated.push(next?.text ?? "");
  });
  return negated.sort();
}

/** The first word of each end, be it a filler. */
function routesIn(tokens: readonly Token[]): readonly (readonly [string, string])[] {
  const routes: (readonly [string, string])[] = [];
  tokens.forEach(({ text }, at) => {
    if (text !== "from") return;
    const start = tokens[at + 1];
    const length = tokens.slice(at + 1, at + 1 + ROUTE_WORDS_MAX)
      .findIndex((word) => word.text === "to");
    const end = tokens[at + length + 2];
    if (length > 0 && start !== undefined && end !== undefined) routes.push([start.text, end.text]);
  });
  return routes;
}

function timeOf(tokens: readonly Token[]): "past" | "future" | null {
  if (tokens.some(({ text }) => text === "will" || text === "shall")) return "future";
  return tokens.some(({ text }) => PAST_AUXILIARIES.has(text)) ? "past" : null;
}

function isPast({ text, written, kind }: Token): boolean {
  return kind === "word" && text !== written &&
    (written.endsWith("ed") || PAST_FORMS.has(written));
}
