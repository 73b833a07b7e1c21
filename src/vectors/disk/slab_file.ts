/**
 * Vectors as a file: blocks of up to 256, each its ids, scopes and halves.
 *
 *     rows    u32, then u32 0
 *     ids     f64 * rows
 *     scopes  i32 * rows, padded to 8 bytes
 *     halves  u16 * rows * d, padded to 8 bytes
 *
 * Numbers are as they lie in memory, little-endian on every system the gateway
 * runs on.
 *
 * @module
 */
import type { Piece } from "../messages.ts";
import { isUnitRow } from "../store/vector.ts";

const BLOCK_ROWS_MAX = 256;

/** One block; at most 256 vectors. */
export function writeBlock(piece: Piece): Uint8Array<ArrayBuffer> {
  const rows = piece.ids.length;
  if (rows > BLOCK_ROWS_MAX) throw new RangeError(`Cannot write a block of ${rows} vectors`);
  const at = layoutOf(rows, rows === 0 ? 0 : piece.halves.length / rows);
  const block = new Uint8Array(at.end);
  new Uint32Array(block.buffer, 0, 1)[0] = rows;
  new Float64Array(block.buffer, at.ids, rows).set(piece.ids);
  new Int32Array(block.buffer, at.scopes, rows).set(piece.scopes);
  new Uint16Array(block.buffer, at.halves, piece.halves.length).set(piece.halves);
  return block;
}

/**
 * Reads all blocks of a file whose digest was right.
 *
 * @param bytes The file, in memory that begins at a multiple of 8. The pieces are views of it.
 * @param limits Length of the vectors, number of scopes, number of vectors.
 * @throws {Error} If it does not hold such vectors, each of length 1, each id once.
 */
export function* readBlocks(
  bytes: Uint8Array<ArrayBuffer>,
  limits: { readonly dims: number; readonly scopes: number; readonly count: number },
): Generator<Piece> {
  const seen = new Set<number>();
  let start = 0;
  while (start < bytes.length) {
    if (start + 8 > bytes.length) throw new Error("Cannot read vectors: the file is cut off");
    const rows = new DataView(bytes.buffer, bytes.byteOffset + start, 4).getUint32(0, true);
    if (rows < 1 || rows > BLOCK_ROWS_MAX) {
      throw new Error(`Cannot read a block of ${rows} vectors`);
    }
    const at = layoutOf(rows, limits.dims);
    if (start + at.end > bytes.length) throw new Error("Cannot read vectors: a block is cut off");
    const base = bytes.byteOffset + start;
    const piece: Piece = {
      ids: new Float64Array(bytes.buffer, base + at.ids, rows),
      scopes: new Int32Array(bytes.buffer, base + at.scopes, rows),
      halves: new Uint16Array(bytes.buffer, base + at.halves, rows * limits.dims),
    };
    check(piece, limits, seen);
    yield piece;
    start += at.end;
  }
  if (seen.size !== limits.count) {
    throw new Error(`Cannot read vectors: there are ${seen.size} instead of ${limits.count}`);
  }
}

function check(
  piece: Piece,
  limits: { readonly dims: number; readonly scopes: number },
  seen: Set<number>,
): void {
  piece.ids.forEach((id, i) => {
    if (!Number.isSafeInteger(id) || id < 1 || seen.has(id)) {
      throw new Error(`Cannot read vectors: ${id} is no key, or there twice`);
    }
    seen.add(id);
    const scope = piece.scopes[i] ?? 0;
    if (scope < 1 || scope > limits.scopes) {
      throw new Error(`Cannot read vectors: there is no scope ${scope}`);
    }
    if (!isUnitRow(piece.halves.subarray(i * limits.dims, (i + 1) * limits.dims))) {
      throw new Error(`Cannot read vectors: that of ${id} is not of length 1`);
    }
  });
}

function layoutOf(
  rows: number,
  dims: number,
): {
  readonly ids: number;
  readonly scopes: number;
  readonly halves: number;
  readonly end: number;
} {
  const ids = 8;
  const scopes = ids + 8 * rows;
  const halves = padded(scopes + 4 * rows);
  return { ids, scopes, halves, end: padded(halves + 2 * rows * dims) };
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}
