/**
 * The Huffman code of header fields.
 *
 * The code is canonical: codes of one length follow each other in the order of
 * their symbols, and shorter codes come first. So the lengths tell all of it.
 * Decoding goes by a table from (place in the tree, four bits) to (next place,
 * byte that became complete, if any): no code is shorter than five bits, so four
 * bits complete one at most.
 *
 * Source: RFC 7541, section 5.2 and appendix B.
 *
 * @module
 */

/** Length in bits of the code of every byte, and of EOS behind them. */
export const HUFFMAN_BITS: Readonly<Uint8Array> = Uint8Array.of(
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28],
  ...[28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28],
  ...[6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6],
  ...[5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10],
  ...[13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
  ...[7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  ...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5],
  ...[6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28],
  ...[20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23],
  ...[24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24],
  ...[22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23],
  ...[21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23],
  ...[26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25],
  ...[19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27],
  ...[20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23],
  ...[26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26],
  30,
);

const EOS = 256;
const LEAF = 0x8000;
const HAS_BYTE = 0x20000;
/** Leads to no code: EOS, which may not occur. */
const DEAD = 0x1ff;

/** By place in the tree × 16 + four bits: next place | byte << 9 | {@linkcode HAS_BYTE}. */
const STEPS = new Uint32Array(256 * 16);
/** 1 where the bits since the last byte are all ones and less than eight: padding. */
const MAY_END = new Uint8Array(512);
/** Built when first needed: a server that nobody asks in HTTP/2 does without. */
let isBuilt = false;

/** Smallest buffer that `count` bytes of Huffman code can be decoded into. */
export function huffmanBoundBytes(count: number): number {
  return Math.floor(count * 8 / 5);
}

/**
 * Decodes `bytes` from `start` to `end` into `target`.
 *
 * @returns How many bytes came out, or -1 if that is no Huffman code: EOS in it, or padding that
 * is too long or not made of ones.
 */
export function decodeHuffman(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
): number {
  if (!isBuilt) buildTables();
  let place = 0;
  let count = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    let step = STEPS[place << 4 | byte >>> 4] ?? DEAD;
    place = step & 0x1ff;
    if (place === DEAD) return -1;
    if (step >= HAS_BYTE) target[count++] = step >>> 9;
    step = STEPS[place << 4 | byte & 0xf] ?? DEAD;
    place = step & 0x1ff;
    if (place === DEAD) return -1;
    if (step >= HAS_BYTE) target[count++] = step >>> 9;
  }
  return MAY_END[place] === 1 ? count : -1;
}

/** Pairs of children, by node; a leaf is its symbol with {@linkcode LEAF} set. */
function buildTree(): number[] {
  const children: number[] = [0, 0];
  let code = 0;
  for (let bits = 5; bits <= 30; bits++) {
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (HUFFMAN_BITS[symbol] !== bits) continue;
      let node = 0;
      for (let bit = bits - 1; bit > 0; bit--) {
        const at = node * 2 + (code >>> bit & 1);
        if (children[at] === 0) {
          children[at] = children.length / 2;
          children.push(0, 0);
        }
        node = children[at] ?? 0;
      }
      children[node * 2 + (code & 1)] = symbol | LEAF;
      code++;
    }
    code *= 2;
  }
  return children;
}

function buildTables(): void {
  isBuilt = true;
  const children = buildTree();
  for (let place = 0; place < 256; place++) {
    for (let bits = 0; bits < 16; bits++) STEPS[place << 4 | bits] = walk(children, place, bits);
  }
  let node = 0;
  for (let ones = 0; ones < 8; ones++) {
    MAY_END[node] = 1;
    node = children[node * 2 + 1] ?? 0;
  }
}

function walk(children: readonly number[], place: number, bits: number): number {
  let node = place;
  let found = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node * 2 + (bits >>> bit & 1)] ?? 0;
    if ((next & LEAF) === 0) {
      node = next;
      continue;
    }
    const symbol = next & ~LEAF;
    if (symbol === EOS) return DEAD;
    found = symbol << 9 | HAS_BYTE;
    node = 0;
  }
  return node | found;
}
