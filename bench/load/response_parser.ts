/**
 * Reads HTTP/1.1 responses off a socket, counting server-sent events on the way.
 *
 * Made for a load generator: it looks at each byte of framing once, skips
 * through content with `indexOf`, and keeps nothing but the head.
 *
 * @module
 */

const CR_LF_CR_LF = [13, 10, 13, 10];
const NEWLINE = 10;
const HEAD_BYTES_MAX = 65_536;

type Phase = "head" | "length" | "until_close" | "chunk_size" | "chunk_data" | "trailer" | "done";

/** One connection's responses, one after the other. */
export class ResponseParser {
  /** Status of the response under way, 0 before its head is complete. */
  status = 0;
  /** Events of the body so far: blank lines seen after "\n". */
  events = 0;
  /** Content bytes so far, framing left out. */
  bodyBytes = 0;
  /** Whether the connection may carry another request. */
  keepAlive = true;
  #phase: Phase = "head";
  #head: number[] = [];
  #matched = 0;
  #remaining = 0;
  #size = "";
  #lineBytes = 0;
  #lastNewline = false;

  /** Whether the response is complete by its framing. */
  get done(): boolean {
    return this.#phase === "done";
  }

  /** Gets ready for the next response on the same connection. */
  reset(): void {
    this.status = 0;
    this.events = 0;
    this.bodyBytes = 0;
    this.#phase = "head";
    this.#head = [];
    this.#matched = 0;
    this.#lastNewline = false;
  }

  /** The connection was closed: complete only where the framing says so. */
  close(): void {
    this.keepAlive = false;
    if (this.#phase === "until_close") this.#phase = "done";
  }

  /**
   * Takes the next bytes.
   *
   * @throws {Error} If they are no HTTP response, or go on after its end.
   */
  feed(bytes: Uint8Array): void {
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#phase === "done") throw new Error("Cannot parse: bytes after the response's end");
      offset = this.#step(bytes, offset);
    }
  }

  #step(bytes: Uint8Array, offset: number): number {
    switch (this.#phase) {
      case "head":
        return this.#readHead(bytes, offset);
      case "chunk_size":
        return this.#readChunkSize(bytes, offset);
      case "trailer":
        return this.#readTrailer(bytes, offset);
      case "until_close":
        this.#content(bytes.subarray(offset));
        return bytes.length;
      default:
        return this.#readCounted(bytes, offset);
    }
  }

  #readHead(bytes: Uint8Array, offset: number): number {
    for (let at = offset; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      this.#head.push(byte);
      this.#matched = byte === CR_LF_CR_LF[this.#matched] ? this.#matched + 1 : byte === 13 ? 1 : 0;
      if (this.#matched === 4) {
        this.#parseHead(String.fromCharCode(...this.#head));
        return at + 1;
      }
    }
    if (this.#head.length > HEAD_BYTES_MAX) throw new Error("Cannot parse: head too long");
    return bytes.length;
  }

  #parseHead(head: string): void {
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
    if (status === undefined) throw new Error(`Cannot parse: ${head.slice(0, 60)}`);
    this.status = Number(status);
    const lower = head.toLowerCase();
    this.keepAlive = !lower.includes("\r\nconnection: close");
    const length = /\r\ncontent-length: *(\d+)/.exec(lower)?.[1];
    if (/\r\ntransfer-encoding: *chunked/.test(lower)) {
      this.#size = "";
      this.#phase = "chunk_size";
    } else if (length !== undefined) {
      this.#remaining = Number(length);
      this.#phase = this.#remaining === 0 ? "done" : "length";
    } else {
      this.#phase = "until_close";
    }
  }

  #readChunkSize(bytes: Uint8Array, offset: number): number {
    for (let at = offset; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte !== NEWLINE) {
        this.#size += String.fromCharCode(byte);
        continue;
      }
      const size = parseInt(this.#size, 16);
      if (!(size >= 0)) throw new Error(`Cannot parse: chunk size "${this.#size.trim()}"`);
      this.#size = "";
      this.#lineBytes = 0;
      this.#remaining = size + 2; // The chunk's own CR LF is passed over with it.
      this.#phase = size === 0 ? "trailer" : "chunk_data";
      return at + 1;
    }
    return bytes.length;
  }

  #readTrailer(bytes: Uint8Array, offset: number): number {
    for (let at = offset; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte !== NEWLINE) {
        if (byte !== 13) this.#lineBytes++;
        continue;
      }
      if (this.#lineBytes === 0) {
        this.#phase = "done";
        return at + 1;
      }
      this.#lineBytes = 0;
    }
    return bytes.length;
  }

  #readCounted(bytes: Uint8Array, offset: number): number {
    const end = Math.min(bytes.length, offset + this.#remaining);
    const framing = this.#phase === "chunk_data" ? 2 : 0;
    const contentEnd = Math.min(end, offset + Math.max(0, this.#remaining - framing));
    if (contentEnd > offset) this.#content(bytes.subarray(offset, contentEnd));
    this.#remaining -= end - offset;
    if (this.#remaining === 0) this.#phase = this.#phase === "length" ? "done" : "chunk_size";
    return end;
  }

  #content(content: Uint8Array): void {
    this.bodyBytes += content.length;
    let previous = this.#lastNewline ? -1 : -2;
    let at = content.indexOf(NEWLINE);
    while (at !== -1) {
      if (at === previous + 1) this.events++;
      previous = at;
      at = content.indexOf(NEWLINE, at + 1);
    }
    this.#lastNewline = content[content.length - 1] === NEWLINE;
  }
}
