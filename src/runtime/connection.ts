/**
 * One open connection with its read buffer.
 *
 * Whoever owns it, a request or the pool, asks for a read and is told what came.
 * At most one read is out at a time; it may outlast a change of owner, so an
 * idle connection can listen for the other side's goodbye, and the same read
 * then takes the next response.
 *
 * @module
 */

/** Read buffers are this large; what is handed on is a copy. */
const BUFFER_BYTES = 16_384;

/** Who is told what a connection does. */
export interface ConnectionOwner {
  /** `count` bytes are at the front of the connection's buffer, until the next read. */
  onBytes(connection: Connection, count: number): void;
  /** No more bytes will come: `null` if the other side ended, else why reading failed. */
  onEnd(connection: Connection, failure: unknown): void;
}

/** An open connection. */
export class Connection {
  /** The origin it leads to. */
  readonly origin: string;
  /** Where reads arrive; the owner may change it while no read is out. */
  readonly buffer: Uint8Array<ArrayBuffer> = new Uint8Array(BUFFER_BYTES);
  /** When the pool got it, on the pool's monotonic clock. */
  idleSinceMs = 0;
  #owner: ConnectionOwner;
  readonly #socket: Deno.Conn;
  #reading = false;
  #closed = false;
  readonly #onCount: (count: number | null) => void;
  readonly #onFailure: (failure: unknown) => void;

  /** Takes over an open socket. */
  constructor(origin: string, socket: Deno.Conn, owner: ConnectionOwner) {
    this.origin = origin;
    this.#socket = socket;
    this.#owner = owner;
    // Made once: a read then costs one promise and no closure.
    this.#onCount = (count) => {
      this.#reading = false;
      if (this.#closed) return;
      if (count === null) this.#owner.onEnd(this, null);
      else this.#owner.onBytes(this, count);
    };
    this.#onFailure = (failure) => {
      this.#reading = false;
      if (!this.#closed) this.#owner.onEnd(this, failure ?? new Error("Cannot read: unknown"));
    };
  }

  /** Hands the connection to another owner; an idle one does not keep the process alive. */
  pass(owner: ConnectionOwner, use: "busy" | "idle"): void {
    this.#owner = owner;
    if (use === "busy") this.#socket.ref();
    else this.#socket.unref();
  }

  /** Asks for bytes; does nothing if a read is out already. */
  read(): void {
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    this.#socket.read(this.buffer).then(this.#onCount, this.#onFailure);
  }

  /** Writes everything; rejects if the other side does not take it. */
  async write(parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) {
      let sent = await this.#socket.write(part);
      while (sent < part.length) sent += await this.#socket.write(part.subarray(sent));
    }
  }

  /** Closes at once; the owner hears nothing more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}
