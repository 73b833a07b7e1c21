/**
 * One connection to a Redis server with many commands in flight.
 *
 * Commands of one turn of the event loop leave in one write, as those of the KV
 * node's own client do, so that both are paid for alike.
 *
 * Source: the Redis serialization protocol, version 2 (RESP).
 *
 * @module
 */

const FIRST_BYTES = 65_536;
/** How long a turn's commands are waited for after the last one, in microtasks. */
const QUIET_HOPS = 4;
const CR = 0x0d;
const LF = 0x0a;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOLLAR = 0x24;

interface Waiting {
  readonly resolve: (length: number) => void;
  readonly reject: (error: Error) => void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of a command. */
export function encodeRespCommand(parts: readonly Uint8Array[]): Uint8Array {
  const pieces: Uint8Array[] = [encoder.encode(`*${parts.length}\r\n`)];
  for (const part of parts) {
    pieces.push(encoder.encode(`$${part.length}\r\n`), part, encoder.encode("\r\n"));
  }
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Takes answers apart; the last one stands in `length` and `error`. */
export class RespReader {
  #bytes = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;
  /** Bytes of a string; 0 for a plain answer, −1 for nothing. */
  length = 0;
  /** What a refusal says, or `null`. */
  error: string | null = null;

  /** Where to receive into. */
  room(): Uint8Array<ArrayBuffer> {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    if (this.#end === this.#bytes.length) {
      const rest = this.#bytes.subarray(this.#start, this.#end);
      const bytes = this.#start > 0 ? this.#bytes : new Uint8Array(2 * this.#bytes.length);
      bytes.set(rest);
      this.#bytes = bytes;
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#bytes.subarray(this.#end);
  }

  /** Says how many bytes were received. */
  filled(count: number): void {
    this.#end += count;
  }

  /**
   * Goes on to the next answer; `false` if it has not come whole.
   *
   * @throws {Error} If it is of a kind that no command here gets.
   */
  next(): boolean {
    const bytes = this.#bytes;
    let line = this.#start;
    while (line + 1 < this.#end && !(bytes[line] === CR && bytes[line + 1] === LF)) line++;
    if (line + 1 >= this.#end) return false;
    const kind = bytes[this.#start];
    const text = decoder.decode(bytes.subarray(this.#start + 1, line));
    this.error = kind === MINUS ? text : null;
    this.length = kind === DOLLAR ? Number(text) : 0;
    if (kind !== MINUS && kind !== PLUS && kind !== DOLLAR) {
      throw new Error(`Cannot read an answer that begins with byte ${kind}`);
    }
    const end = line + 2 + (kind === DOLLAR && this.length >= 0 ? this.length + 2 : 0);
    if (end > this.#end) return false;
    this.#start = end;
    return true;
  }
}

/** A connection. */
export class RedisConnection {
  readonly #conn: Deno.TcpConn;
  readonly #waiting: Waiting[] = [];
  #answered = 0;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #isWriting = false;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.#run().catch((error) => this.#fail(error));
  }

  /** Connects to a port on the loopback. */
  static async open(port: number): Promise<RedisConnection> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    return new RedisConnection(conn);
  }

  /** Sends a command; settles with the length of what it gives back. */
  send(command: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#gathered.push(command);
      this.#gatheredBytes += command.length;
      if (this.#isWriting) return;
      this.#isWriting = true;
      this.#write().catch((error) => this.#fail(error));
    });
  }

  /** Ends it. */
  close(): void {
    this.#conn.close();
  }

  async #write(): Promise<void> {
    await this.#quiet();
    while (this.#gatheredBytes > 0) {
      const batch = new Uint8Array(this.#gatheredBytes);
      let at = 0;
      for (const command of this.#gathered) {
        batch.set(command, at);
        at += command.length;
      }
      this.#gathered = [];
      this.#gatheredBytes = 0;
      for (let sent = 0; sent < batch.length;) {
        sent += await this.#conn.write(batch.subarray(sent));
      }
    }
    this.#isWriting = false;
  }

  /** Lets other microtasks of this turn add theirs, until none does: answers come in batches. */
  async #quiet(): Promise<void> {
    let seen = 0;
    for (let hops = 0; hops < QUIET_HOPS; hops++) {
      await undefined;
      if (seen !== this.#gatheredBytes) hops = 0;
      seen = this.#gatheredBytes;
    }
  }

  async #run(): Promise<void> {
    const reader = new RespReader();
    for (;;) {
      const count = await this.#conn.read(reader.room());
      if (count === null) throw new Error("Cannot go on: the server hung up");
      reader.filled(count);
      while (reader.next()) {
        const waiting = this.#waiting[this.#answered++];
        if (reader.error === null) waiting?.resolve(reader.length);
        else waiting?.reject(new Error(`Cannot carry out a command: ${reader.error}`));
      }
      this.#waiting.splice(0, this.#answered);
      this.#answered = 0;
    }
  }

  #fail(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error));
    for (const { reject } of this.#waiting.splice(0)) reject(failure);
  }
}
