/**
 * A connection that sends many requests of HTTP/1.1 before it reads the first
 * answer: a load generator whose own cost is small, for bodies of any bytes.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** An answer. */
export interface PipelinedAnswer {
  /** Status. */
  readonly status: number;
  /** The body; what had come of it, if it is a stream. */
  readonly body: string;
}

/** How often a connection may be closed before a single request on it was answered. */
const FAILURES_MAX = 5;

/** The bytes of a request. */
export function requestOf(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = Buffer.from(
    `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${fields}` +
      `content-length: ${body.length}\r\n\r\n`,
    "latin1",
  );
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/** Sends requests, again and again on new connections if the server closes one. */
export class PipelinedClient implements Disposable {
  readonly #port: number;
  readonly #buffer = new Uint8Array(262_144);
  #connection: Deno.TcpConn | null = null;
  /** Connections so far. */
  connections = 0;

  /** Connects to `127.0.0.1:port` when there is something to send. */
  constructor(port: number) {
    this.#port = port;
  }

  /**
   * Sends requests and gives an answer for each. A stream ends its connection, as
   * nothing can come behind it; the requests after it are sent again.
   *
   * @throws {Error} If the server closes a connection without any answer.
   */
  async exchange(requests: readonly Uint8Array[]): Promise<readonly PipelinedAnswer[]> {
    const answers: PipelinedAnswer[] = [];
    let failures = 0;
    while (answers.length < requests.length) {
      const before = answers.length;
      const connection = this.#connection ?? await this.#connect();
      // A server that closes before it has read all resets the connection, and with it
      // goes what it had answered. Alone, a request is read before it is answered.
      const end = failures === 0 ? requests.length : before + 1;
      // Reading has to go on meanwhile: the server may answer before it has read all.
      const sending = send(connection, requests.slice(before, end));
      await this.#receive(connection, answers, end);
      await sending;
      failures = answers.length === before ? failures + 1 : 0;
      if (failures > FAILURES_MAX) {
        throw new Error("Cannot go on: the server closed the connection without an answer");
      }
    }
    return answers;
  }

  /** Closes what is open. */
  close(): void {
    try {
      this.#connection?.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    this.#connection = null;
  }

  /** The same. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #connect(): Promise<Deno.TcpConn> {
    this.connections++;
    this.#connection = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
    this.#connection.setNoDelay(true);
    return this.#connection;
  }

  async #receive(
    connection: Deno.TcpConn,
    answers: PipelinedAnswer[],
    count: number,
  ): Promise<void> {
    let rest = "";
    while (answers.length < count) {
      let size: number | null;
      try {
        size = await connection.read(this.#buffer);
      } catch (error) {
        if (!isBroken(error)) throw error;
        size = null;
      }
      if (size === null) return this.close();
      rest += Buffer.from(this.#buffer.buffer, 0, size).toString("latin1");
      let start = 0;
      for (;;) {
        const parsed = parse(rest, start);
        if (parsed === null) break;
        answers.push(parsed.answer);
        if (parsed.isStream) return this.close();
        start = parsed.end;
      }
      rest = rest.slice(start);
    }
  }
}

async function send(connection: Deno.TcpConn, requests: readonly Uint8Array[]): Promise<void> {
  const bytes = Buffer.concat(requests);
  try {
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  } catch (error) {
    if (!isBroken(error)) throw error;
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.Interrupted;
}

function parse(
  text: string,
  start: number,
): { readonly answer: PipelinedAnswer; readonly end: number; readonly isStream: boolean } | null {
  const headEnd = text.indexOf("\r\n\r\n", start);
  if (headEnd < 0) return null;
  const status = Number(text.slice(start + 9, start + 12));
  const head = text.slice(start, headEnd + 2).toLowerCase();
  const bodyStart = headEnd + 4;
  const length = /\r\ncontent-length: (\d+)\r/.exec(head)?.[1];
  if (length === undefined) {
    return { answer: { status, body: text.slice(bodyStart) }, end: text.length, isStream: true };
  }
  const end = bodyStart + Number(length);
  if (text.length < end) return null;
  return { answer: { status, body: text.slice(bodyStart, end) }, end, isStream: false };
}
