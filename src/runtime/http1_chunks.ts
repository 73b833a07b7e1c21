/**
 * The chunked transfer coding, decoded in place.
 *
 *     size --LF--> data --CR LF--> size ... --size 0--> trailers --empty line--> done
 *
 * One call takes whatever one read of the socket gave and leaves the data of
 * all chunks in it as one run of bytes: later chunks are moved down over the
 * framing between them, which costs a memory move and no allocation.
 *
 * Source: RFC 9112, section 7.1. Extensions and trailers are skipped.
 *
 * @module
 */

import { UpstreamError } from "../ports.ts";

const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
const SEMICOLON = 59;

/** The longest chunk-size line, extensions included. */
const SIZE_LINE_BYTES_MAX = 4096;

/** Where the decoder stands between two bytes. Numbers: compared once a byte. */
const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER_START = 6;
const TRAILER = 7;
const TRAILER_LF = 8;
const END_LF = 9;
const DONE = 10;
const SIZE_BLANK = 11;

/** Decodes the body of one response. */
export class ChunkDecoder {
  readonly #trailerBytesMax: number;
  #state = SIZE;
  /** Bytes of the present chunk that are still to come; while in `SIZE`, what its digits say. */
  #leftBytes = 0;
  #digits = 0;
  #lineBytes = 0;
  #trailerBytes = 0;
  #dataStart = 0;
  #dataEnd = 0;
  #stoppedAt = 0;

  /** Starts before the first chunk; `trailerBytesMax` bounds the trailer section. */
  constructor(trailerBytesMax: number) {
    this.#trailerBytesMax = trailerBytesMax;
  }

  /** Whether the last chunk and the trailers have been read. */
  get done(): boolean {
    return this.#state === DONE;
  }

  /** Where the data of the last {@linkcode decode} begins in its buffer. */
  get dataStart(): number {
    return this.#dataStart;
  }

  /** Where it ends; the same as `dataStart` if there was none. */
  get dataEnd(): number {
    return this.#dataEnd;
  }

  /** The first byte the last {@linkcode decode} did not take: `end`, unless it is done. */
  get stoppedAt(): number {
    return this.#stoppedAt;
  }

  /**
   * Decodes `bytes` from `start` to `end`, moving the data together.
   *
   * @throws {UpstreamError} `protocol`, if they are not chunks.
   */
  decode(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    let dataStart = start;
    let dataEnd = start;
    while (at < end && this.#state !== DONE) {
      if (this.#state !== DATA) {
        this.#takeByte(bytes[at] ?? 0);
        at++;
        continue;
      }
      const stop = Math.min(end, at + this.#leftBytes);
      if (dataStart === dataEnd) {
        dataStart = at;
        dataEnd = stop;
      } else {
        bytes.copyWithin(dataEnd, at, stop);
        dataEnd += stop - at;
      }
      this.#leftBytes -= stop - at;
      if (this.#leftBytes === 0) this.#state = DATA_CR;
      at = stop;
    }
    this.#dataStart = dataStart;
    this.#dataEnd = dataEnd;
    this.#stoppedAt = at;
  }

  #takeByte(byte: number): void {
    switch (this.#state) {
      case SIZE:
        return this.#takeSize(byte);
      case EXTENSION:
        if (byte === CR) this.#state = SIZE_LF;
        else this.#countLine(byte);
        return;
      case SIZE_BLANK:
        if (byte === SEMICOLON || byte === CR) this.#state = byte === CR ? SIZE_LF : EXTENSION;
        else if (byte !== SPACE && byte !== TAB) throw malformed("a chunk size is not a number");
        this.#countLine(byte);
        return;
      case SIZE_LF:
        expect(byte, LF, "a chunk size");
        this.#state = this.#leftBytes === 0 ? TRAILER_START : DATA;
        return;
      case DATA_CR:
        expect(byte, CR, "a chunk");
        this.#state = DATA_LF;
        return;
      case DATA_LF:
        expect(byte, LF, "a chunk");
        this.#state = SIZE;
        this.#digits = 0;
        this.#lineBytes = 0;
        return;
      default:
        return this.#takeTrailer(byte);
    }
  }

  #takeSize(byte: number): void {
    const value = hexadecimal(byte);
    if (value >= 0) {
      this.#leftBytes = this.#leftBytes * 16 + value;
      this.#digits++;
      if (!Number.isSafeInteger(this.#leftBytes)) throw malformed("a chunk size is too large");
      this.#countLine(byte);
      return;
    }
    if (this.#digits === 0) throw malformed("a chunk size is not a number");
    this.#state = SIZE_BLANK;
    this.#takeByte(byte);
  }

  #takeTrailer(byte: number): void {
    if (++this.#trailerBytes > this.#trailerBytesMax) {
      throw malformed(`its trailers are larger than ${this.#trailerBytesMax} bytes`);
    }
    switch (this.#state) {
      case TRAILER_START:
        if (byte === LF) throw malformed("a trailer line ends without CR");
        this.#state = byte === CR ? END_LF : TRAILER;
        return;
      case TRAILER:
        if (byte === LF) throw malformed("a trailer line ends without CR");
        if (byte === CR) this.#state = TRAILER_LF;
        return;
      case TRAILER_LF:
        expect(byte, LF, "a trailer line");
        this.#state = TRAILER_START;
        return;
      default:
        expect(byte, LF, "the trailer section");
        this.#state = DONE;
    }
  }

  #countLine(byte: number): void {
    if (byte === LF) throw malformed("a chunk size ends without CR");
    if (++this.#lineBytes > SIZE_LINE_BYTES_MAX) throw malformed("a chunk size line is too long");
  }
}

function hexadecimal(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function expect(byte: number, wanted: number, what: string): void {
  if (byte !== wanted) throw malformed(`${what} does not end with CR LF`);
}

function malformed(why: string): UpstreamError {
  return new UpstreamError("protocol", `Cannot read response: ${why}`);
}
