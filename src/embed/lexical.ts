/**
 * The built-in embedder: a text as 512 numbers made of its words and letters.
 *
 * Every word adds itself, its letters in sorted order (so that two swapped
 * letters cost little), its character 3- and 4-grams, and its pair with the next
 * word. Each feature goes to one of the 512 places with a sign, both taken from its
 * hash, so that collisions cancel out on average (Weinberger et al., "Feature
 * Hashing for Large Scale Multitask Learning", 2009, section 2). The result has
 * length 1. It finds texts that say nearly the same in nearly the same words; it
 * knows no synonyms, in no language.
 *
 * @module
 */
import { type WeightedWord, weightedWords } from "./lexical_words.ts";

/** Length of a lexical vector. */
export const LEXICAL_DIMS = 512;

/** Identity of this way of embedding; it changes whenever any vector would. */
export const LEXICAL_ID = "weir-lexical-1";

/** Cosine from which two texts are answered alike, provided that the guards agree. */
export const LEXICAL_THRESHOLD = 0.8;

/** The same for those who would rather miss. */
export const LEXICAL_CAREFUL_THRESHOLD = 0.9;

const WORD_SHARE = 0.5;
const LETTERS_SHARE = 1;
const GRAMS_SHARE = 0.6;
const PAIR_SHARE = 0.4;
/** Letters of one ordinary word: longer runs count for several. */
const WORD_LETTERS = 12;

const WORD_SEED = 0x811c9dc5;
const LETTERS_SEED = 0x3c6ef372;
const GRAM_SEED = 0x1b873593;
const PAIR_SEED = 0x5bd1e995;

/**
 * The vector of a text, of length 1, or `null` if it holds neither letter nor
 * digit.
 */
export function lexicalVector(text: string): Float32Array | null {
  const words = weightedWords(text);
  if (words.length === 0) return null;
  const vector = new Float32Array(LEXICAL_DIMS);
  let previous: WeightedWord | null = null;
  let previousHash = 0;
  for (const word of words) {
    const wordHash = hashOf(word.text, WORD_SEED, 0, word.text.length);
    add(vector, wordHash, WORD_SHARE * word.weight);
    addLetters(vector, word);
    if (previous !== null) {
      const weight = PAIR_SHARE * Math.sqrt(previous.weight * word.weight);
      add(vector, Math.imul(previousHash ^ PAIR_SEED, 0x01000193) ^ wordHash, weight);
    }
    previous = word;
    previousHash = wordHash;
  }
  return normalised(vector);
}

function addLetters(vector: Float32Array, { text, weight }: WeightedWord): void {
  if (text.length < 2) return;
  const sorted = text.length > 32 ? text : text.split("").sort().join("");
  add(vector, hashOf(sorted, LETTERS_SEED, 0, sorted.length), LETTERS_SHARE * weight);
  const marked = `<${text}>`;
  const grams = Math.max(1, marked.length - 2) + Math.max(0, marked.length - 3);
  const runs = Math.max(1, text.length / WORD_LETTERS);
  const share = GRAMS_SHARE * weight * Math.sqrt(runs / grams);
  for (let size = 3; size <= 4; size++) {
    for (let start = 0; start + size <= marked.length; start++) {
      add(vector, hashOf(marked, GRAM_SEED + size, start, start + size), share);
    }
  }
}

/** FNV-1a over UTF-16 units; {@linkcode add} mixes it further. */
function hashOf(text: string, seed: number, start: number, end: number): number {
  let hash = seed;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

/** Adds a feature at the place, and with the sign, that its hash says. */
function add(vector: Float32Array, hash: number, weight: number): void {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  mixed ^= mixed >>> 16;
  const place = mixed & (LEXICAL_DIMS - 1);
  vector[place] = (vector[place] ?? 0) + (mixed & LEXICAL_DIMS ? weight : -weight);
}

function normalised(vector: Float32Array): Float32Array | null {
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (!(squares > 0)) return null;
  const factor = 1 / Math.sqrt(squares);
  for (let at = 0; at < LEXICAL_DIMS; at++) vector[at] = (vector[at] ?? 0) * factor;
  return vector;
}
