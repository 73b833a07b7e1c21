/**
 * Letter case, where it says nothing.
 *
 * @module
 */

import { isBreak } from "./line_break.ts";

/** Acronyms that are another word in small letters. */
const ACRONYMS: ReadonlySet<string> = new Set(
  ("IT US WHO AIDS AID ACT SAT ACE AL ALS APT ART BAR BART BIT CAD CAN CAP CAR CAT CHIP CO COP " +
    "DARE DART DE DOS DOT EAR EAT ERA FAR FAST GAP GAS GET GO HAIL HIT ICE IN IRA IS LA LAB LAMP " +
    "LED LIFT MA MAC MAP MARS MASH ME MICE MOB NO NOW OH OR OUT PA PACE PAN PAR PAT PET POP PORT " +
    "POST PRO PUT RAM RAP RAW RED REST RIP ROM SAD SAFE SAG SAGE SALT SAP SCUBA SET SIN SIP SOAP " +
    "STEM SUM SWAT TEN TIP TOP WAS WEB WIN").split(" "),
);

/** Names that are another word in small letters. */
const NAMES: ReadonlySet<string> = new Set(
  ("Polish Turkey China Swift Rust Go Nice Reading Mobile Bath Job March August Word Access " +
    "Teams Target Gap Shell Cancer").split(" "),
);

/** Names that are written with a capital inside, and mean the same without. */
const INNER_CAPITALS: ReadonlySet<string> = new Set(
  ("airbnb airpods airtag bitcoin chatgpt deepmind doordash ebay etoro facebook fedex github gitlab " +
    "homepod icloud imac imessage instagram ios ipad ipados iphone ipod itunes javascript jetblue " +
    "linkedin macbook macos mastercard mcdonald moneygram mysql netflix nodejs onedrive openai " +
    "openvpn paypal phd playstation postgresql powerpoint pytorch revolut sharepoint snapchat " +
    "soundcloud spacex tensorflow tiktok transferwise tripadvisor typescript ubereats venmo wechat " +
    "whatsapp wifi wordpress youtube").split(" "),
);

/** Units that are others in small letters: a megabyte is no megabit, 5 m are not 5 M. */
const UNITS = /^(?:[KMGTPkmgt]i?[bB](?:ps)?|[mM][WVAm]?|[gG])$/;

/**
 * Folds letter case word by word.
 *
 * Kept are single capitals (the language C, hepatitis A, X and x), acronyms and names
 * that would become other words, and units behind a number. A text without any small
 * letter is shouted, not spelled: there only units are kept.
 *
 * @param text The text.
 * @param words Its words with their punctuation; they are changed in place.
 * @returns Whether all could be folded: `false` if one looks like an identifier.
 */
export function foldCase(text: string, words: string[]): boolean {
  if (text.toLowerCase() === text) return true;
  const shouted = isShouted(words);
  let before = ".";
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const lower = word.toLowerCase();
    if (lower !== word) {
      const core = coreOf(word);
      if (looksSpelled(core)) return false;
      const opening = isBreak(before) || /[.?!:]$/.test(before);
      const counted = /\d$/.test(before);
      if (!isKept(core, { shouted, opening, counted })) words[index] = lower;
    }
    before = word;
  }
  return true;
}

function isKept(
  core: string,
  at: { readonly shouted: boolean; readonly opening: boolean; readonly counted: boolean },
): boolean {
  if (at.counted && UNITS.test(core)) return true;
  if (isAmount(core) && UNITS.test(core.replace(/^[\d.,]+/, ""))) return true;
  if (at.shouted || core === "I") return false;
  if (core.length === 1) return core !== "A" || !at.opening;
  return ACRONYMS.has(core) || (!at.opening && NAMES.has(core));
}

/** A number with letters behind it, such as `5G` or `1.5mb`. */
function isAmount(core: string): boolean {
  return /^[\d.,]+[a-z]+$/i.test(core);
}

/** Whether capitals inside a word seem to be there on purpose: fooBar, HTTPServer, aB3. */
function looksSpelled(core: string): boolean {
  for (const piece of core.split(/[-'/&+]/)) {
    if (!/\p{Ll}/u.test(piece) || !/\p{Lu}/u.test(piece)) continue;
    if (/\d/.test(piece)) return true;
    // ATMs, McDonald.
    if (/^\p{Lu}?\p{Ll}*$/u.test(piece) || /^\p{Lu}+s$/u.test(piece)) continue;
    if (/^Ma?c\p{Lu}\p{Ll}+$/u.test(piece)) continue;
    if (!INNER_CAPITALS.has(piece.toLowerCase().replace(/s$/, ""))) return true;
  }
  return false;
}

/** No small letter, and one word at least that cannot be an acronym on the list. */
function isShouted(words: readonly string[]): boolean {
  let lettered = 0;
  let plain = false;
  for (const word of words) {
    const core = coreOf(word);
    if (/\p{Ll}/u.test(core)) return false;
    if (!/\p{Lu}/u.test(core)) continue;
    lettered += 1;
    if (core.length > 2 && !ACRONYMS.has(core)) plain = true;
  }
  return lettered > 1 && plain;
}

/** A word without the punctuation around it and a possessive ending. */
function coreOf(word: string): string {
  return word.replace(/^[("]+/, "").replace(/[.,?!:;)]+$/, "").replace(/'s$/i, "");
}
