/**
 * How a connection says that it speaks HTTP/2.
 *
 * Source: RFC 9113, section 3.4.
 *
 * @module
 */

const PREFACE = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Length of the preface. */
export const PREFACE_BYTES = PREFACE.length;

/** What the first bytes of a connection are: a preface, its beginning, or something else. */
export function matchPreface(
  bytes: Uint8Array,
  start: number,
  end: number,
): "whole" | "part" | "none" {
  const count = Math.min(end - start, PREFACE_BYTES);
  for (let at = 0; at < count; at++) {
    if (bytes[start + at] !== PREFACE[at]) return "none";
  }
  return count === PREFACE_BYTES ? "whole" : "part";
}
