/**
 * Whether a text speaks of the present, so that its answer ages fast.
 *
 * @module
 */

const UNIT = "(?:second|minute|hour|night|morning|afternoon|evening|day|week|weekend|fortnight|" +
  "month|quarter|season|year|decade|monday|tuesday|wednesday|thursday|friday|saturday|sunday|" +
  "mon|tue|wed|thu|fri|sat|sun|january|february|march|april|may|june|july|august|september|" +
  "october|november|december|spring|summer|autumn|fall|winter)s?";

/** English, in whole words; the last two lines speak of the present without naming it. */
const ENGLISH = new RegExp(
  "\\b(?:" + [
    "to-?(?:day|night|morrow)|yesterday|now|nowadays|current|currently|presently|so far",
    "latest|newest|recent|recently|lately|upcoming|ongoing|up[- ]to[- ]date|these days|as of|ago",
    "at (?:the moment|present|this (?:time|moment|point))",
    `(?:this|last|next|past|previous|coming) (?:few |couple of |\\d+ )?${UNIT}`,
    "what (?:time|day|date|month|year)|what(?:['’]?s| is) the (?:time|day|date|month|year)",
    "weather|forecast|news|headlines|(?:stock|share) price|(?:tell|have|got|know) the time",
  ].join("|") + ")\\b",
  "i",
);

/** The commonest such words of other languages that set words apart. */
const OTHER_WORDS = new RegExp(
  "(?<![\\p{L}\\p{N}])(?:" + [
    "heute|jetzt|gestern|morgen|aktuell\\p{L}*|derzeit|momentan|neueste\\p{L}*|wetter",
    "aujourd['’]hui|maintenant|hier|demain|actuelle\\p{L}*|actuels?|dernière?s?|météo",
    "hoy|ahora|ayer|mañana|actualmente|recientes?|recientemente",
    "oggi|adesso|ieri|domani|attual\\p{L}*|hoje|agora|ontem|amanhã|atualmente",
    "vandaag|gisteren|huidige|сегодня|сейчас|вчера|завтра|dziś|dzisiaj|teraz|bugün|şimdi",
  ].join("|") + ")(?![\\p{L}\\p{N}])",
  "iu",
);

/** The same for languages that write without spaces, or put endings on these words. */
const OTHER_SIGNS =
  /今[天日年月周週]|现在|現在|昨[天日]|明[天日]|最新|最近|目前|[当當]前|오늘|지금|현재|내일|어제/;

/**
 * Whether a text has words such as "today", "latest" or "this week".
 *
 * It rather says yes too often: that only shortens an answer's life. A text in a
 * language that is not listed is taken for timeless.
 */
export function speaksOfPresent(text: string): boolean {
  return ENGLISH.test(text) || OTHER_WORDS.test(text) || OTHER_SIGNS.test(text);
}
