/**
 * The closed lists behind the trimming of courtesies. English.
 *
 * @module
 */

/** A courtesy, word by word. */
export type Phrase = readonly string[];

/** Thanks that close a text, the longest first. */
export const THANKS: readonly Phrase[] = phrases(
  "thank you very much in advance|please and thank you|thank you so much|thank you very much|" +
    "thank you in advance|thanks in advance|thanks very much|thanks so much|thanks a lot|" +
    "many thanks|thank you|thanks|thx",
);

/** Requests that open or close a text. */
export const PLEASE: readonly Phrase[] = phrases("please|pls|plz");

/** Greetings that open a text, the longest first. */
export const GREETINGS: readonly Phrase[] = phrases(
  "good morning|good afternoon|good evening|hello there|hey there|hi there|greetings|hello|" +
    "hiya|hey|hi",
);

/** Phrases that announce a question, where a comma or a colon sets them apart from it. */
export const LEAD_INS: readonly Phrase[] = phrases(
  "can you please tell me|could you please tell me|can you tell me|could you tell me|" +
    "please tell me|tell me|i was wondering|just wondering|quick question|one question|excuse me",
);

/** Words that begin a request, and hardly a name such as "hello kitty" or "hey jude". */
export const BEGINNINGS: ReadonlySet<string> = words(
  "i my we our the a an this these what where how when why which who can could would will do " +
    "does did is are was were am has have may should please if it there some someone somebody " +
    "need want tell show give help explain turn set find check cancel book make send put add " +
    "remind pay order schedule play start stop open close change update reset transfer move " +
    "delete remove look let call read",
);

/** Words in front of which "please" is spoken of ("please in french") or is a verb. */
export const PLEASE_SPOKEN_OF: ReadonlySet<string> = words(
  "please me in is means meaning mean vs or and from as by to for of with have",
);

/** Words that need something behind them, so that a courtesy there belongs to the sentence. */
export const DANGLING: ReadonlySet<string> = words(
  "is are was were be am a an the my your his her our their this that of for with about by and " +
    "or than as from between like vs versus no not give giving gave gives got get many letter",
);

/** Words behind which "please" is a verb: "as you please". */
export const PLEASED: ReadonlySet<string> = words("you they we i he she it to who ever");

/** Words that bring in other people's words. */
export const REPORTED: ReadonlySet<string> = words("said says saying meant called wrote written");

/** Words that make words the matter: what stands like a courtesy may be the object. */
export const ABOUT_WORDS: ReadonlySet<string> = words(
  "say spell spelled spelling word words phrase sentence mean means meaning translate translated " +
    "translates translation pronounce pronounced pronunciation define definition synonym synonyms " +
    "antonym antonyms rhyme rhymes sing write type expression rewrite rephrase paraphrase " +
    "proofread classify sentiment",
);

/** Words by which thanks go to somebody else, unless "me" or "us" follows. */
export const ERRANDS: ReadonlySet<string> = words(
  "tell tells text message email mail send reply respond answer give wish",
);

/** Languages into which a text may be asked to be put: "hello, how are you in french". */
export const LANGUAGES: ReadonlySet<string> = words(
  "arabic bengali chinese croatian czech danish dutch english finnish french german greek hebrew " +
    "hindi hungarian indonesian irish italian japanese korean latin mandarin norwegian persian " +
    "polish portuguese punjabi romanian russian serbian spanish swahili swedish tagalog tamil " +
    "telugu thai turkish ukrainian urdu vietnamese welsh",
);

function phrases(list: string): readonly Phrase[] {
  return list.split("|").map((phrase) => phrase.split(" "));
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(" "));
}
