/**
 * A link by hand, for frames that no client would send.
 *
 * @module
 */
import { FrameDecoder, FrameEncoder } from "../../kv_node/link/frame.ts";
import { MESSAGE } from "../../kv_node/link/messages.ts";

/** What came back. */
export interface LinkAnswer {
  /** Type of the message. */
  readonly type: number;
  /** Id of the request that it answers. */
  readonly requestId: number;
  /** Its body as text. */
  readonly text: string;
}

const FRAME_BYTES_MAX = 16 * 1_048_576;
const decoder = new TextDecoder();

/** A connection that was let in. */
export class HostileLink implements AsyncDisposable {
  readonly #connection: Deno.TcpConn;
  readonly #decoder = new FrameDecoder(FRAME_BYTES_MAX);

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Connects and says hello. */
  static async open(link: string, hello: Uint8Array): Promise<HostileLink> {
    const connection = await connect(link);
    await writeAll(connection, HostileLink.frame(MESSAGE.hello, 0, hello));
    const client = new HostileLink(connection);
    const welcome = await client.#next();
    if (welcome?.type === MESSAGE.welcome) return client;
    throw new Error(`Cannot go on: the node said ${welcome?.type} ${welcome?.text}`);
  }

  /** The bytes of one frame. */
  static frame(type: number, requestId: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
    const encoder = new FrameEncoder();
    encoder.add(type, requestId, body);
    return encoder.take().slice();
  }

  /**
   * Sends what it is given, and reads until the node hangs up, or lets it in after all.
   *
   * @returns Type of the last message that came, 0 for none.
   */
  static async annoy(link: string, bytes: Uint8Array): Promise<number> {
    const client = new HostileLink(await connect(link));
    await using _client = client;
    await writeAll(client.#connection, bytes);
    let last = 0;
    for (let answer = await client.#next(); answer !== null; answer = await client.#next()) {
      last = answer.type;
      if (last === MESSAGE.welcome) break;
    }
    return last;
  }

  /**
   * Sends messages, and gives what comes back until all that has an answer has one,
   * or until the node hangs up. Frames of watches are left out.
   */
  async exchange(
    messages: readonly { readonly type: number; readonly body: Uint8Array }[],
  ): Promise<readonly LinkAnswer[]> {
    const encoder = new FrameEncoder();
    const waiting = new Set<number>();
    for (const [at, { type, body }] of messages.entries()) {
      encoder.add(type, at + 1, body);
      if (type !== MESSAGE.watch_cancel) waiting.add(at + 1);
      // A hundred watches is the most; others are to come to an answer, too.
      if (type === MESSAGE.watch) encoder.add(MESSAGE.watch_cancel, at + 1, new Uint8Array(0));
    }
    const sending = writeAll(this.#connection, encoder.take());
    const watches = new Set(
      [...messages.entries()].filter(([, { type }]) => type === MESSAGE.watch).map(([at]) =>
        at + 1
      ),
    );
    // A watch that was begun and dropped in one turn may say nothing.
    for (const id of watches) waiting.delete(id);
    const answers: LinkAnswer[] = [];
    while (waiting.size > 0) {
      const answer = await this.#next();
      if (answer === null) break;
      answers.push(answer);
      waiting.delete(answer.requestId);
    }
    await sending;
    return answers;
  }

  /** Hangs up. */
  [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#connection.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    return Promise.resolve();
  }

  /** The next message, or `null` at the end. */
  async #next(): Promise<LinkAnswer | null> {
    while (!this.#decoder.next()) {
      let count: number | null;
      try {
        count = await this.#connection.read(this.#decoder.room());
      } catch (error) {
        if (!isBroken(error)) throw error;
        return null;
      }
      if (count === null) return null;
      this.#decoder.filled(count);
    }
    const { type, requestId, payload } = this.#decoder;
    return { type, requestId, text: decoder.decode(payload) };
  }
}

async function connect(link: string): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(`tcp://${link}`);
  return await Deno.connect({ hostname, port: Number(port) });
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  try {
    for (let sent = 0; sent < bytes.length;) {
      sent += await connection.write(bytes.subarray(sent));
    }
  } catch (error) {
    if (!isBroken(error)) throw error;
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BadResource || error instanceof Deno.errors.NotConnected;
}
