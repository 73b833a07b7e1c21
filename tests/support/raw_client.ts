/**
 * Bytes on a socket, for what no HTTP client would send.
 *
 * @module
 */

/** What came back. */
export interface RawAnswer {
  /** Status of the first response; 0 where there was none. */
  readonly status: number;
  /** Headers and body as they came. */
  readonly text: string;
}

/**
 * Sends bytes and reads until the server closes, or until the response is whole.
 *
 * @param url Where to; only host and port count.
 * @param pieces Written one after the other.
 */
export async function sendRaw(
  url: string,
  pieces: readonly (string | Uint8Array)[],
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const reading = readAnswer(connection);
  for (const piece of pieces) {
    const bytes = typeof piece === "string" ? new TextEncoder().encode(piece) : piece;
    try {
      await writeAll(connection, bytes);
    } catch (error) {
      // The server may refuse before it has read everything; what it said counts.
      if (
        !(error instanceof Deno.errors.BrokenPipe ||
          error instanceof Deno.errors.ConnectionReset)
      ) {
        throw error;
      }
      break;
    }
  }
  const text = await reading;
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text };
}

async function writeAll(
  connection: Deno.TcpConn,
  bytes: Uint8Array,
): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    offset += await connection.write(bytes.subarray(offset));
  }
}

async function readAnswer(connection: Deno.TcpConn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  try {
    for (;;) {
      const size = await connection.read(buffer);
      if (size === null) return text;
      text += decoder.decode(buffer.subarray(0, size), { stream: true });
      if (isWhole(text)) return text;
    }
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset) return text;
    throw error;
  }
}

function isWhole(text: string): boolean {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, headEnd + 2));
  return length !== null && text.length - headEnd - 4 >= Number(length[1]);
}
