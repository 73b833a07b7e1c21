/**
 * Line breaks among words: a list of lines is not the same as one line.
 *
 * @module
 */

/** Stands among the words for the end of a line. */
export const LINE_BREAK = "\n";

/** Stands among the words for a blank line, or several. */
export const BLANK_LINE = "\n\n";

/** Whether a word is one of these. */
export function isBreak(word: string | undefined): boolean {
  return word === LINE_BREAK || word === BLANK_LINE;
}
