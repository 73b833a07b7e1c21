/**
 * Text of header fields, as bytes.
 *
 * @module
 */

/**
 * Writes a field's text at `start`: Latin-1, and nothing that could end a line (RFC 9110,
 * section 5.5).
 *
 * @returns Where it ends.
 * @throws {TypeError} If it holds a forbidden character.
 */
export function putFieldText(bytes: Uint8Array, start: number, text: string): number {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 32 && code !== 9) || code === 127 || code > 255) {
      throw new TypeError("Cannot send reply: a header holds a forbidden character");
    }
    bytes[start + at] = code;
  }
  return start + text.length;
}
