/**
 * One connection that sends the same request again and again: a load generator
 * whose own cost is small.
 *
 * @module
 */

/**
 * Sends `count` requests one after the other; throws at the first that is not 200.
 *
 * @param body The body of all, or of each by its number; ASCII.
 */
export async function repeatRequest(
  url: string,
  body: string | ((at: number) => string),
  count: number,
): Promise<void> {
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const encoder = new TextEncoder();
  const requestWith = (text: string): Uint8Array =>
    encoder.encode(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: ${hostname}\r\n` +
        `content-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
    );
  const same = typeof body === "string" ? requestWith(body) : null;
  const buffer = new Uint8Array(65_536);
  const decoder = new TextDecoder();
  for (let sent = 0; sent < count; sent++) {
    const request = same ?? requestWith(typeof body === "string" ? body : body(sent));
    for (let offset = 0; offset < request.length;) {
      offset += await connection.write(request.subarray(offset));
    }
    let text = "";
    while (!isWhole(text)) {
      const size = await connection.read(buffer);
      if (size === null) throw new Error("Cannot read answer: the gateway closed the connection");
      text += decoder.decode(buffer.subarray(0, size), { stream: true });
    }
    if (!text.startsWith("HTTP/1.1 200")) throw new Error(`Cannot go on: ${text.slice(0, 300)}`);
  }
}

/** Content-Length counts bytes; the answers asked for here are ASCII but for a few letters. */
function isWhole(text: string): boolean {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, headEnd + 2));
  return new TextEncoder().encode(text.slice(headEnd + 4)).length >= Number(length?.[1] ?? 0);
}
