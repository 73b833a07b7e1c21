/**
 * Faults in words, for the request log.
 *
 * @module
 */

import type { Faults } from "./faults.ts";

/** What goes wrong with a stream, in words for the log. */
export function streamFaultWords(faults: Faults): readonly string[] {
  const words: string[] = [];
  if (faults.slowSeconds !== undefined) words.push(`first token after ${faults.slowSeconds} s`);
  if (faults.malformedToken !== undefined) {
    words.push(`unreadable event before token ${faults.malformedToken}`);
  }
  if (faults.cutTokens !== undefined) words.push(`cut after ${faults.cutTokens} tokens`);
  if (faults.rstTokens !== undefined) words.push(`reset after ${faults.rstTokens} tokens`);
  if (faults.cleanCutTokens !== undefined) {
    words.push(`clean end after ${faults.cleanCutTokens} tokens`);
  }
  if (faults.stallTokens !== undefined) {
    words.push(`silent for ${faults.stallSeconds} s after ${faults.stallTokens} tokens`);
  }
  if (faults.inBandErrorTokens !== undefined) {
    words.push(`error event after ${faults.inBandErrorTokens} tokens`);
  }
  if (faults.noDone === true) words.push("no end mark");
  if (faults.noFinish === true) words.push("no finish reason");
  return [...words, ...byteFaultWords(faults)];
}

/** What goes wrong at a byte offset, in words for the log. */
export function byteFaultWords(faults: Faults): readonly string[] {
  const words: string[] = [];
  if (faults.cutBytes !== undefined) words.push(`cut at byte ${faults.cutBytes}`);
  if (faults.rstBytes !== undefined) words.push(`reset at byte ${faults.rstBytes}`);
  if (faults.stallBytes !== undefined) {
    words.push(`silent for ${faults.stallSeconds} s at byte ${faults.stallBytes}`);
  }
  return words;
}
