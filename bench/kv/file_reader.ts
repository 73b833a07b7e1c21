/**
 * Reads the first so many bytes of a file and says how long that took: what no replay
 * of the same bytes can be faster than.
 *
 *     deno run --allow-read=DIR bench/kv/file_reader.ts FILE BYTES
 *
 * @module
 */

const PIECE_BYTES = 1 << 20;

/** What reading took. */
export interface ReadFigures {
  /** How much was read. */
  readonly bytes: number;
  /** How long that took. */
  readonly seconds: number;
}

function read(path: string, bytesMax: number): ReadFigures {
  const piece = new Uint8Array(PIECE_BYTES);
  using file = Deno.openSync(path, { read: true });
  const startMs = performance.now();
  let bytes = 0;
  while (bytes < bytesMax) bytes += file.readSync(piece) ?? Infinity;
  if (!Number.isFinite(bytes)) {
    throw new Error(`Cannot read ${bytesMax} bytes: the file is shorter`);
  }
  return { bytes, seconds: (performance.now() - startMs) / 1_000 };
}

if (import.meta.main) {
  const [path = "", bytes = "0"] = Deno.args;
  const figures = read(path, Number(bytes));
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(figures) + "\n"));
}
