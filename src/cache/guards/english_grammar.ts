/**
 * English closed classes: the small words that build a sentence, sorted by what
 * happens to the answer when one is exchanged for another.
 *
 * Made from general knowledge of the language. Content words are not listed here:
 * the guard demands those to be equal without knowing them.
 *
 * @module
 */

function setOf(words: string): ReadonlySet<string> {
  return new Set(words.split(/\s+/));
}

/** Words whose coming and going changes no answer; they are left out altogether. */
export const FILLERS: ReadonlySet<string> = setOf(
  "the please pls plz kindly thanks thank thx cheers hi hello hey hiya greetings oh ok okay " +
    "um uh well so just really very quite actually basically simply dear sir madam " +
    "is are am was were be been being do does did doing done " +
    "that this these those there it its as also too then such",
);

/** Words that may come and go, though they may not be exchanged for others of their class. */
export const LOOSE: ReadonlySet<string> = setOf(
  "a an to from in on up at by for of with into onto about via through and or but if than because " +
    "while what which how why i you we my your our can could may might should must will would shall " +
    "any some want need like have yet still already get go let know",
);

/** What turns a statement round; counted, not compared. */
export const NEGATIONS: ReadonlySet<string> = setOf(
  "not no never neither nor none nothing nobody nowhere without unable",
);

/** Why an exchange within a class is refused. */
export type ClassReason = "question" | "modal" | "person" | "opposite" | "direction";

/**
 * Classes of which two texts may not use different members: one reason each. Members
 * of one group, separated by a bar, are taken for the same; a word may be in several.
 */
export const CLASSES: readonly { readonly reason: ClassReason; readonly groups: string }[] = [
  { reason: "question", groups: "who|whose|when|where|why|how|what which" },
  { reason: "modal", groups: "can could able|may might|should ought|must|will would shall" },
  {
    reason: "person",
    groups: "i my mine myself we our|you your yourself|" +
      "he his himself|she her herself|they their",
  },
  { reason: "person", groups: "a an any some|my our|your|his|her|their" },
  { reason: "opposite", groups: "have get|want need wish like" },
  { reason: "opposite", groups: "and|or" },
  { reason: "opposite", groups: "if when|unless" },
  {
    reason: "opposite",
    groups: "all every each everything everyone|some somebody something|" +
      "only|most|few",
  },
  { reason: "opposite", groups: "this current|last previous|next following" },
  {
    reason: "direction",
    groups: "with by via through using|in at on within inside|to into onto in|of for about|" +
      "from of|up|down|off out|over|under|after|before|until|since|between|among|against|near|" +
      "towards|across|along|around|behind|beyond|during|per",
  },
];

/** Base forms of irregular verbs in the past. */
export const PAST_FORMS: ReadonlyMap<string, string> = pairsOf(
  "went=go gone=go bought=buy brought=bring thought=think got=get gotten=get gave=give given=give " +
    "made=make took=take taken=take paid=pay said=say sent=send spent=spend lost=lose stole=steal " +
    "stolen=steal broke=break broken=break chose=choose chosen=choose came=come found=find " +
    "forgot=forget forgotten=forget held=hold kept=keep knew=know known=know met=meet " +
    "ran=run saw=see seen=see sold=sell spoke=speak spoken=speak told=tell wrote=write " +
    "written=write ate=eat eaten=eat drove=drive driven=drive flew=fly flown=fly grew=grow " +
    "grown=grow began=begin begun=begin built=build caught=catch felt=feel heard=hear meant=mean " +
    "taught=teach wore=wear worn=wear won=win withdrew=withdraw withdrawn=withdraw shown=show " +
    "died=die slept=sleep drank=drink drunk=drink sang=sing sung=sing swam=swim threw=throw " +
    "thrown=throw froze=freeze frozen=freeze understood=understand stood=stand fell=fall " +
    "fallen=fall risen=rise hid=hide hidden=hide bitten=bite shook=shake " +
    "shaken=shake lent=lend dealt=deal shot=shoot hung=hang " +
    "fought=fight sought=seek swore=swear tore=tear torn=tear woke=wake woken=wake",
);

/** One form for other words that differ by grammar, spelling or register alone. */
export const SAME_WORD: ReadonlyMap<string, string> = pairsOf(
  "me=i us=we him=he them=they whom=who mine=my yours=your ours=our theirs=their hers=her " +
    "has=have had=have having=have goes=go dying=die lying=lie tying=tie " +
    "men=man women=woman children=child people=person feet=foot teeth=tooth mice=mouse geese=goose " +
    "wives=wife knives=knife halves=half shelves=shelf wolves=wolf " +
    "cheque=check colour=color centre=center favourite=favorite theatre=theater grey=gray " +
    "tyre=tire programme=program neighbour=neighbor behaviour=behavior organise=organize " +
    "recognise=recognize apologise=apologize catalogue=catalog licence=license " +
    "obtain=get acquire=get purchase=buy assist=help assistance=help require=need desire=want " +
    "cellphone=phone smartphone=phone telephone=phone tv=television photo=picture " +
    "photograph=picture automobile=car bike=bicycle fridge=refrigerator kid=child kids=child " +
    "movie=film couch=sofa attorney=lawyer physician=doctor garbage=trash repair=fix begin=start " +
    "commence=start mistake=error large=big rapidly=quickly",
);

function pairsOf(pairs: string): ReadonlyMap<string, string> {
  return new Map(
    pairs.split(" ").map((pair): [string, string] => {
      const [form = "", base = ""] = pair.split("=");
      return [form, base];
    }),
  );
}
