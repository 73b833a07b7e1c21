/**
 * Figures and tables for people.
 *
 * @module
 */

/** A number of things: `1 row`, `12,345 rows`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** Seconds with two digits behind the point. */
export function secondsSince(startMs: number): number {
  return Math.round((performance.now() - startMs) / 10) / 100;
}

/** Lines of columns; the first row is a heading. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, place) => {
      widths[place] = Math.max(widths[place] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row.map((cell, place) => cell.padEnd(widths[place] ?? 0)).join("  ").trimEnd()
  );
}
