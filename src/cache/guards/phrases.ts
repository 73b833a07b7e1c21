/**
 * English phrases of courtesy, which ask for nothing, and set phrases that ask for
 * the same thing in several ways.
 *
 * @module
 */

const QUESTION = "(?=,? (?:what|which|who|whose|when|where|why|how|if|whether)\\b)";
const YOU = "(?:please )?(?:can|could|would|will) (?:you|someone|somebody|anyone|anybody) " +
  "(?:please |kindly )?";

const COURTESIES: readonly string[] = [
  "(?:just )?(?:a )?quick question",
  "(?:i have|i've got) a (?:quick )?question",
  `${YOU}(?:tell me|let me know|explain(?: to me)?)${QUESTION}`,
  `${YOU}tell me,`,
  `(?:please )?(?:tell me|let me know)${QUESTION}`,
  `(?:do|would) you (?:happen to )?know${QUESTION}`,
  `(?:can|could|may) i (?:please )?ask${QUESTION}`,
  "(?:i'd|i would|i) (?:like|want|need) to (?:know|ask)",
  "i(?:'m| am| was) (?:just )?wondering(?: if)?",
  "excuse me",
  "sorry to bother you",
  "(?:hi|hello|hey) there",
  "good (?:morning|afternoon|evening|day)(?=\\s*[,.!])",
  "thanks? (?:you )?(?:so much|very much|a lot|a million|in advance|again)",
  "many thanks",
  "thank you",
  "much appreciated",
  "(?:best|kind|warm) regards",
  "(?:i would |i'd )(?:really |greatly )?appreciate (?:it|your help|any help)",
  "have a (?:nice|good|great|lovely) (?:day|evening|weekend|one)",
  "if (?:you please|possible|you can)(?=\\s*(?:[,.!?]|$))",
];

/** Ways to ask, each with the shortest of them; the order counts. */
const WAYS: readonly (readonly [string, string])[] = [
  ["is it (?:possible|ok|okay|permissible|allowed|all right) (?:for me )?(?:to|if i)", "can i"],
  ["(?:am i|would i be|will i be) (?:able|allowed) to", "can i"],
  ["(?:are|would|will) you (?:be )?able to", "can you"],
  ["may(?= (?:i|we)\\b)", "can"],
  ["how (?:can|could|do|would|should|might|may)(?= (?:i|we|you|one)\\b)", "how"],
  ["(?:i would|i'd) like to", "i want to"],
];

const COURTESY = patternOf(COURTESIES.join("|"));
const PATTERNS = WAYS.map(([source, way]) => ({ pattern: patternOf(source), way }));

function patternOf(source: string): RegExp {
  const spaced = source.replaceAll(" ", "\\s+");
  return new RegExp(`(?<![\\p{L}\\p{N}'])(?:${spaced})(?![\\p{L}\\p{N}'])`, "giu");
}

/** The text without courtesies, and with the commonest ways to ask made one. */
export function plainRequest(text: string): string {
  const rest = text.replace(COURTESY, " ");
  const plain = /[\p{L}\p{N}]/u.test(rest) ? rest : text;
  return PATTERNS.reduce((asked, { pattern, way }) => asked.replace(pattern, way), plain);
}
