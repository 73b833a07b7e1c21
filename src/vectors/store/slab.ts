/**
 * The vectors themselves, in half precision, in memory that outlives its worker.
 *
 * The slab grows by segments of 256 rows, each a `SharedArrayBuffer` that the
 * client gets a reference to. When a worker dies, the next one adopts the
 * segments and nothing has to be embedded again. A row counts from the moment
 * its scope is written, which comes last; it is cleared first when the row is
 * freed, so a worker that ends between two writes leaves no half-written vector.
 *
 *     ids     Float64Array[256]
 *     scopes  Int32Array[256]        0: the row is free
 *     halves  Uint16Array[256 * d]   unit length, IEEE 754 half precision
 *
 * @module
 */

import { FLOAT_OF_HALF } from "./half.ts";

/** Rows in a segment. */
export const SEGMENT_ROWS = 256;
const ROW_BITS = 8;
const ROW_MASK = SEGMENT_ROWS - 1;

interface Segment {
  readonly buffer: SharedArrayBuffer;
  readonly ids: Float64Array;
  readonly scopes: Int32Array;
  readonly halves: Uint16Array;
  readonly floats: Float16Array;
  /** Position of each row in its scope's list; means nothing to another worker. */
  readonly places: Int32Array;
}

/** Rows of vectors. */
export class Slab {
  readonly #dims: number;
  readonly #onSegment: (buffer: SharedArrayBuffer) => void;
  readonly #segments: Segment[] = [];
  readonly #free: number[] = [];
  #rows = 0;

  /** An empty slab; `onSegment` gets each new segment's memory. */
  constructor(dims: number, onSegment: (buffer: SharedArrayBuffer) => void) {
    this.#dims = dims;
    this.#onSegment = onSegment;
  }

  /** Goes on with the segments of a slab whose worker is gone. */
  adopt(buffers: readonly SharedArrayBuffer[]): void {
    for (const buffer of buffers) this.#segments.push(segmentOn(buffer, this.#dims));
    for (let row = buffers.length * SEGMENT_ROWS - 1; row >= 0; row--) {
      if (this.scopeOf(row) !== 0) this.#rows = Math.max(this.#rows, row + 1);
      else if (row < this.#rows) this.#free.push(row);
    }
  }

  /** Rows up to the last one ever used. */
  get rows(): number {
    return this.#rows;
  }

  /** Memory, in bytes. */
  get bytes(): number {
    const segment = this.#segments[0];
    if (segment === undefined) return 0;
    return this.#segments.length * (segment.buffer.byteLength + segment.places.byteLength);
  }

  /** Stores a vector and returns its row. */
  put(scope: number, id: number, halves: Uint16Array): number {
    const row = this.#free.pop() ?? this.#grow();
    const segment = this.#segment(row);
    const at = row & ROW_MASK;
    segment.halves.set(halves, at * this.#dims);
    segment.ids[at] = id;
    Atomics.store(segment.scopes, at, scope);
    return row;
  }

  /** Gives a row back. */
  free(row: number): void {
    Atomics.store(this.#segment(row).scopes, row & ROW_MASK, 0);
    this.#free.push(row);
  }

  /** The id in a row. */
  idOf(row: number): number {
    return this.#segment(row).ids[row & ROW_MASK] ?? 0;
  }

  /** The scope of a row; 0 if it is free. */
  scopeOf(row: number): number {
    return this.#segment(row).scopes[row & ROW_MASK] ?? 0;
  }

  /** Where the row stands in its scope's list. */
  placeOf(row: number): number {
    return this.#segment(row).places[row & ROW_MASK] ?? 0;
  }

  /** Says where the row stands in its scope's list. */
  setPlace(row: number, place: number): void {
    this.#segment(row).places[row & ROW_MASK] = place;
  }

  /** A row's vector; a view, not a copy. */
  halvesOf(row: number): Uint16Array {
    const start = (row & ROW_MASK) * this.#dims;
    return this.#segment(row).halves.subarray(start, start + this.#dims);
  }

  /** A row's vector as numbers; a view, not a copy. */
  floatsOf(row: number): Float16Array {
    const start = (row & ROW_MASK) * this.#dims;
    return this.#segment(row).floats.subarray(start, start + this.#dims);
  }

  /** Cosine of a row and a vector of length 1, within −1 to 1. */
  similarity(row: number, unit: Float32Array): number {
    const { halves } = this.#segment(row);
    const sum = dot(FLOAT_OF_HALF, unit, halves, (row & ROW_MASK) * this.#dims);
    return Math.max(-1, Math.min(1, sum));
  }

  #grow(): number {
    if (this.#rows === this.#segments.length * SEGMENT_ROWS) {
      const buffer = new SharedArrayBuffer(SEGMENT_ROWS * (12 + 2 * this.#dims));
      this.#segments.push(segmentOn(buffer, this.#dims));
      this.#onSegment(buffer);
    }
    return this.#rows++;
  }

  #segment(row: number): Segment {
    const segment = this.#segments[row >> ROW_BITS];
    if (segment === undefined) throw new RangeError(`Cannot use row ${row}: there is none`);
    return segment;
  }
}

/** A vector of length 1 in half precision. */
export function halvesOfUnit(unit: Float32Array): Uint16Array<ArrayBuffer> {
  return new Uint16Array(new Float16Array(unit).buffer);
}

function segmentOn(buffer: SharedArrayBuffer, dims: number): Segment {
  const length = SEGMENT_ROWS * dims;
  const start = SEGMENT_ROWS * 12;
  return {
    buffer,
    ids: new Float64Array(buffer, 0, SEGMENT_ROWS),
    scopes: new Int32Array(buffer, SEGMENT_ROWS * 8, SEGMENT_ROWS),
    halves: new Uint16Array(buffer, start, length),
    floats: new Float16Array(buffer, start, length),
    places: new Int32Array(SEGMENT_ROWS),
  };
}

/**
 * Dot product of a vector and one in half precision: the loop all scans consist of.
 *
 * It is written as the compiler likes it, which makes it four times faster: four
 * sums, since with one every addition would wait for the last; the table as an
 * argument; a counter for each loop; casts where the bounds of the loop say that an element is there.
 */
function dot(
  floats: Float32Array,
  unit: Float32Array,
  halves: Uint16Array,
  base: number,
): number {
  const whole = unit.length & ~3;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let i = 0; i < whole; i += 4) {
    a += (unit[i] as number) * (floats[halves[base + i] as number] as number);
    b += (unit[i + 1] as number) * (floats[halves[base + i + 1] as number] as number);
    c += (unit[i + 2] as number) * (floats[halves[base + i + 2] as number] as number);
    d += (unit[i + 3] as number) * (floats[halves[base + i + 3] as number] as number);
  }
  for (let i = whole; i < unit.length; i++) {
    a += (unit[i] as number) * (floats[halves[base + i] as number] as number);
  }
  return a + b + c + d;
}
