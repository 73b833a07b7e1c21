/**
 * "Did you mean …?": the known word nearest to a mistyped one.
 *
 * Distance is the optimal string alignment distance: insertions, deletions,
 * substitutions and swaps of neighbours cost 1 each. Case and the separators
 * `-` and `_` do not count, since `base_url` for `baseUrl` is a habit carried
 * over from another tool, not a typing error.
 *
 * @module
 */

/**
 * The known word nearest to `word`.
 *
 * @returns `undefined` where nothing is near: more than a third of the letters differ.
 */
export function nearestWord(word: string, known: Iterable<string>): string | undefined {
  const wanted = folded(word);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(wanted, folded(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** ` (did you mean X?)`, or nothing where no known word is near. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const nearest = nearestWord(word, known);
  return nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
}

function folded(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, "");
}

/** Single-letter edits between two short words. */
export function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = row > 1 && column > 1 &&
        from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current.push(Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
        swapped ? at(beforeLast, column - 2) + 1 : Infinity,
      ));
    }
    [beforeLast, last] = [last, current];
  }
  return at(last, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}
