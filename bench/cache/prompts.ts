/**
 * Questions by number, and the same questions spelt and worded otherwise. Pure.
 *
 * They look like a help desk's: few phrases, some nouns, and names that tell them
 * apart, so that every question has neighbours and no two are taken for the same.
 *
 * @module
 */

/** How a question is put. */
export type Wording =
  /** As it was stored. */
  | "stored"
  /** The same after folding. */
  | "respelt"
  /** The same in other words, for an embedder that knows no synonyms. */
  | "reworded";

const SYLLABLES = [
  ..."ba be bi bo bu da de di do du fa fe fi fo fu ga go gu ka ke ki ko ku".split(" "),
  ..."la le li lo lu ma me mi mo mu na ne ni no nu pa pe pi po pu ra re ri ro ru".split(" "),
  ..."sa se si so su ta te ti to tu va ve vi vo za ze zi zo".split(" "),
];

const NOUNS = [
  ..."account address backup battery bill calendar camera card charger contact".split(" "),
  ..."delivery device document driver filter folder gateway invoice keyboard licence".split(" "),
  ..."location mailbox manual meter modem monitor network order package password".split(" "),
  ..."payment photo playlist port printer profile receipt record refund reminder".split(" "),
  ..."report router scanner schedule screen sensor server session signal speaker".split(" "),
  ..."statement storage subscription switch tablet ticket timer token voucher wallet".split(" "),
];

/** The wording that is stored, and another one; A and B are nouns, N and M names. */
const PHRASES: ReadonlyArray<readonly [stored: string, reworded: string]> = [
  [
    "How do I move the A of the N B to the M B?",
    "How can I move the N B's A to the M B?",
  ],
  [
    "Where do I find the A for a N B that came with M?",
    "Where can I find the A for the N B that came with M?",
  ],
  [
    "Why does the A of my N B show M instead of the B?",
    "Why does my N B's A show M instead of the B?",
  ],
  [
    "What is the A that N needs for the B called M?",
    "What is that A which N needs for the B called M?",
  ],
];

/** A question by its number, from 0 on; the first 274,625 are all different. */
export function prompt(number: number, wording: Wording): string {
  const [stored, reworded] = PHRASES[number % PHRASES.length] ?? ["", ""];
  const mixed = scattered(number);
  const text = filled(wording === "reworded" ? reworded : stored, {
    A: NOUNS[mixed % NOUNS.length] ?? "",
    B: NOUNS[Math.floor(mixed / NOUNS.length) % NOUNS.length] ?? "",
    N: nameOf(number, 3),
    M: nameOf(scattered(number + 1), 3),
  });
  return wording === "respelt" ? respelt(text) : text;
}

function filled(phrase: string, words: Readonly<Record<string, string>>): string {
  return phrase.replace(/\b[ABMN]\b/g, (letter) => words[letter] ?? letter);
}

function respelt(text: string): string {
  return `${text.toLowerCase().replace("?", "")}  `.replace(" the ", "  the ");
}

/** A name of so many syllables; with three, 274,625 numbers have names of their own. */
function nameOf(number: number, syllables: number): string {
  let name = "";
  let rest = number;
  for (let i = 0; i < syllables; i++) {
    name += SYLLABLES[rest % SYLLABLES.length] ?? "";
    rest = Math.floor(rest / SYLLABLES.length);
  }
  return name;
}

/** Neighbouring numbers far apart: a bijection on 32 bits. */
function scattered(number: number): number {
  let mixed = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
