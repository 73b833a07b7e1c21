/**
 * Plausible prose from a seed: sentences of a small grammar about machines.
 *
 * The first sentence always names a place spelt with characters outside ASCII,
 * so that every answer of five words or more exercises multi-byte decoding.
 *
 * @module
 */

import type { Random } from "../../ports.ts";
import { seededRandom } from "../chance.ts";

const PLACES = ["Zürich", "Málaga", "Kraków", "Tromsø", "Besançon", "東京", "Αθήνα", "Göteborg"];
const OPENERS = ["In general", "Most days", "At night", "Under load", "By design", "As a rule"];
const ADJECTIVES = [
  "quiet",
  "patient",
  "distant",
  "crowded",
  "careful",
  "second",
  "nearest",
  "oldest",
  "narrow",
  "steady",
  "sleepy",
  "honest",
];
const NOUNS = [
  "server",
  "river",
  "clock",
  "queue",
  "reader",
  "signal",
  "engine",
  "harbour",
  "ledger",
  "bridge",
  "window",
  "timer",
  "packet",
  "operator",
  "lantern",
  "cable",
];
const VERBS = [
  "follows",
  "carries",
  "measures",
  "repeats",
  "crosses",
  "answers",
  "forgets",
  "balances",
  "shelters",
  "counts",
  "outlasts",
  "warms",
];
const ENDINGS = [
  "before the next one starts",
  "while everybody waits",
  "without being asked",
  "as long as it can",
  "and nobody notices",
  "in the usual order",
  "unless the day is short",
  "for a good reason",
];

/**
 * A text of exactly `wordCount` words (runs of non-blanks), ended by a full stop.
 *
 * @param seed The same seed gives the same text.
 * @param wordCount At least 1.
 */
export function prose(seed: number, wordCount: number): string {
  const random = seededRandom(seed);
  const words: string[] = [];
  let sentence = `The ${pick(ADJECTIVES, random)} ${pick(NOUNS, random)} in ` +
    `${pick(PLACES, random)} ${pick(VERBS, random)} the ${pick(NOUNS, random)}.`;
  while (words.length < wordCount) {
    for (const word of sentence.split(" ")) words.push(word);
    sentence = nextSentence(random);
  }
  const text = words.slice(0, wordCount).join(" ");
  return text.endsWith(".") ? text : `${text.replace(/,$/, "")}.`;
}

function nextSentence(random: Random): string {
  const subject = `${pick(ADJECTIVES, random)} ${pick(NOUNS, random)}`;
  const object = `${pick(ADJECTIVES, random)} ${pick(NOUNS, random)}`;
  const clause = `${subject} ${pick(VERBS, random)} the ${object}`;
  const shape = Math.floor(random() * 3);
  if (shape === 0) return `The ${clause}.`;
  if (shape === 1) return `${pick(OPENERS, random)}, the ${clause}.`;
  return `Each ${clause} ${pick(ENDINGS, random)}.`;
}

function pick(list: readonly string[], random: Random): string {
  return list[Math.floor(random() * list.length)] ?? "";
}
