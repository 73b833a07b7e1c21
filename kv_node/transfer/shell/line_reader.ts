/**
 * The lines of a text file, one by one.
 *
 * @module
 */

/** A line, and how far the file was read for it. */
export interface Line {
  /** Its number, from 1. */
  readonly number: number;
  /** The line without its end. */
  readonly text: string;
  /** Bytes of the file that were read so far. */
  readonly bytes: number;
}

const PIECE_BYTES = 262_144;

/**
 * Reads a file line by line; empty lines are left out.
 *
 * @throws {TypeError} If it is not UTF-8.
 */
export async function* linesOf(file: Deno.FsFile): AsyncGenerator<Line, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const piece = new Uint8Array(PIECE_BYTES);
  let [number, bytes, rest] = [0, 0, ""];
  for (;;) {
    const count = await file.read(piece);
    bytes += count ?? 0;
    const text = count === null
      ? decoder.decode()
      : decoder.decode(piece.subarray(0, count), { stream: true });
    const lines = `${rest}${text}`.split("\n");
    rest = count === null ? "" : lines.pop() ?? "";
    for (const line of lines) {
      number++;
      if (line.trim() !== "") yield { number, text: line, bytes };
    }
    if (count === null) return;
  }
}
