/**
 * The pieces a text was streamed in, as lengths in UTF-16 units.
 *
 * A backend may end one event between the two halves of a character beyond the
 * basic plane. Sent on like that it is two broken characters for every client that
 * decodes each event by itself, so no boundary is kept there.
 *
 * @module
 */

/** Notes that `piece` was appended to `before`. */
export function appendPiece(lengths: number[], before: string, piece: string): void {
  let length = piece.length;
  if (lengths.length > 0 && splits(before, piece)) {
    lengths[lengths.length - 1] = (lengths.at(-1) ?? 0) + 1;
    length--;
  }
  if (length > 0) lengths.push(length);
}

/** Whether lengths are those of all pieces of `text`; none at all stands for a whole text. */
export function arePieces(text: string, lengths: readonly unknown[]): lengths is readonly number[] {
  let end = 0;
  for (const length of lengths) {
    if (typeof length !== "number" || !Number.isSafeInteger(length) || length < 1) return false;
    end += length;
  }
  return lengths.length === 0 || end === text.length;
}

/** The pieces of a text, the whole text if no lengths are known. */
export function piecesOf(text: string, lengths: readonly number[]): readonly string[] {
  if (lengths.length === 0) return [text];
  const pieces: string[] = [];
  let start = 0;
  let end = 0;
  for (const length of lengths) {
    end += length;
    // One unit later, where that is inside a pair; the last boundary is the text's end.
    const boundary = end < text.length && isPair(text, end) ? end + 1 : end;
    if (boundary > start) pieces.push(text.slice(start, boundary));
    start = Math.max(start, boundary);
  }
  return pieces;
}

function splits(before: string, piece: string): boolean {
  // The piece first: looking into `before`, a text that grows, makes V8 copy all of it.
  return isLow(piece.charCodeAt(0)) && isHigh(before.charCodeAt(before.length - 1));
}

function isPair(text: string, at: number): boolean {
  return isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at));
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
