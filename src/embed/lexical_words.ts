/**
 * How the lexical embedder cuts a text into weighted words.
 *
 * Words are runs of letters, marks and digits of any script. Han, Hiragana,
 * Katakana and Hangul syllables stand alone, since nothing separates words there.
 * English contractions are written out, so that "what's" and "what is" are one.
 *
 * @module
 */

/** A word and what it counts for, 0 to 1. */
export interface WeightedWord {
  /** The word: lower case, compatibility forms folded. */
  readonly text: string;
  /** 1 for words that carry meaning by themselves, less for those that hardly do. */
  readonly weight: number;
}

const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]|[\p{L}\p{M}\p{N}]+(?:'[\p{L}\p{M}]+)*/gu;
const CONTRACTED = /^(.+?)(n't|'(?:s|re|ve|ll|d|m))$/;
// deno-lint-ignore no-control-regex -- ASCII has its control characters.
const PLAIN = /^[\x00-\x7f]*$/;

/** What a contraction's second half stands for; "'s" is "is" at the end of a question word only. */
const ENDINGS: ReadonlyMap<string, string> = new Map([
  ["n't", "not"],
  ["'re", "are"],
  ["'ve", "have"],
  ["'ll", "will"],
  ["'d", "would"],
  ["'m", "am"],
]);

const BEFORE_IS: ReadonlySet<string> = new Set(
  "what who where when why how which that there here it he she this let".split(" "),
);

/** Words written without the apostrophe, and those with an odd first half. */
const WHOLE: ReadonlyMap<string, readonly string[]> = new Map([
  ["can't", ["can", "not"]],
  ["won't", ["will", "not"]],
  ["shan't", ["shall", "not"]],
  ["cannot", ["can", "not"]],
  ["cant", ["can", "not"]],
  ["wont", ["will", "not"]],
  ["dont", ["do", "not"]],
  ["doesnt", ["does", "not"]],
  ["didnt", ["did", "not"]],
  ["isnt", ["is", "not"]],
  ["arent", ["are", "not"]],
  ["wasnt", ["was", "not"]],
  ["werent", ["were", "not"]],
  ["hasnt", ["has", "not"]],
  ["havent", ["have", "not"]],
  ["hadnt", ["had", "not"]],
  ["couldnt", ["could", "not"]],
  ["wouldnt", ["would", "not"]],
  ["shouldnt", ["should", "not"]],
  ["im", ["i", "am"]],
  ["ive", ["i", "have"]],
  ["whats", ["what", "is"]],
  ["hows", ["how", "is"]],
  ["wheres", ["where", "is"]],
  ["thats", ["that", "is"]],
]);

const WEAK_WEIGHT = 0.25;

const QUESTION = "(?=,? (?:what|which|who|whose|when|where|why|how|if|whether)\\b)";
const YOU = "(?:please )?(?:can|could|would|will) you (?:please )?";

/** Phrases of courtesy, left out unless nothing else is there. */
const PHRASES = new RegExp(
  `(?<![\\p{L}\\p{N}'])(?:${
    [
      "(?:just )?(?:a )?quick question",
      "thanks? (?:you )?(?:so much|very much|a lot|in advance)",
      "many thanks",
      "thank you",
      "much appreciated",
      "(?:best|kind) regards",
      "excuse me",
      "good (?:morning|afternoon|evening)(?=\\s*[,.!])",
      `${YOU}(?:tell me|let me know)${QUESTION}`,
      `${YOU}tell me,`,
      `(?:please )?tell me${QUESTION}`,
      `do you know${QUESTION}`,
      "i(?:'d| would) (?:like|want) to know",
      "i(?:'m| am| was) (?:just )?wondering",
    ].join("|").replaceAll(" ", "\\s+")
  })(?![\\p{L}\\p{N}'])`,
  "gu",
);

/** Words that say little about what a text is about. */
const WEAK: ReadonlySet<string> = new Set(
  ("a an the this that these those there here i me my mine myself you your yours we us our " +
    "he him his she her it its they them their who whom whose which what when where why how " +
    "is are am was were be been being do does did done have has had having can could may might " +
    "must shall should will would to of in on at by for from with as into onto about and or but " +
    "if so than then too also just very really some any each every all both not no yes " +
    "get got go going want need like know tell let").split(" "),
);

/** Words that change nothing in what is asked. */
const COURTESY: ReadonlySet<string> = new Set(
  ("please pls plz kindly thanks thank thx cheers hi hello hey hiya greetings dear sir madam ok " +
    "okay oh um uh well").split(" "),
);

/** Words of a text in order, each with its weight; courtesies only where nothing else is there. */
export function weightedWords(text: string): WeightedWord[] {
  const folded = PLAIN.test(text)
    ? text.toLowerCase()
    : text.normalize("NFKC").toLowerCase().replaceAll("’", "'");
  const words = wordsIn(folded.replace(PHRASES, " ")).filter((word) => !COURTESY.has(word));
  if (words.length === 0) return wordsIn(folded).map((word) => ({ text: word, weight: 1 }));
  return words.map((word) => ({ text: word, weight: WEAK.has(word) ? WEAK_WEIGHT : 1 }));
}

function wordsIn(folded: string): string[] {
  const words: string[] = [];
  for (const [found] of folded.matchAll(WORD)) words.push(...writtenOut(found));
  return words;
}

function writtenOut(word: string): readonly string[] {
  const whole = WHOLE.get(word);
  if (whole !== undefined) return whole;
  if (!word.includes("'")) return [word];
  const parts = CONTRACTED.exec(word);
  if (parts === null) return word.split("'");
  const [, stem = "", ending = ""] = parts;
  const second = ENDINGS.get(ending);
  if (second !== undefined) return [stem, second];
  return BEFORE_IS.has(stem) ? [stem, "is"] : [stem];
}
