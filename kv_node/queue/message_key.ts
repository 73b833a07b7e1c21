/**
 * Keys of messages: `space ‖ time ‖ versionstamp ‖ place`.
 *
 * The time is 8 bytes of milliseconds, so the first row of a queue is the one
 * that is due first, and the first dead letter the oldest. The rest is added by
 * the `append` that writes the row: nobody has to think of a name, and two rows
 * never have the same.
 *
 * @module
 */
import { SPACE_BYTES, STAMP_BYTES } from "../types.ts";

const TIME_BYTES = 8;
const PLACE_BYTES = 2;
const LOW = 2 ** 32;

/** Bytes of a message's key without its space. */
export const MESSAGE_KEY_BYTES = TIME_BYTES + STAMP_BYTES + PLACE_BYTES;

/** The front of all keys with that time: what `append` is given. */
export function timeKey(space: Uint8Array, timeMs: number): Uint8Array {
  const key = new Uint8Array(space.length + TIME_BYTES);
  key.set(space);
  const view = new DataView(key.buffer);
  const whole = Math.max(0, Math.ceil(timeMs));
  view.setUint32(space.length, Math.floor(whole / LOW));
  view.setUint32(space.length + 4, whole % LOW);
  return key;
}

/** The key that `append` made of a space and a time. */
export function appendedKey(
  space: Uint8Array,
  timeMs: number,
  stamp: Uint8Array,
  place: number,
): Uint8Array {
  const front = timeKey(space, timeMs);
  const key = new Uint8Array(front.length + STAMP_BYTES + PLACE_BYTES);
  key.set(front);
  key.set(stamp, front.length);
  key[key.length - 2] = place >>> 8;
  key[key.length - 1] = place;
  return key;
}

/** The time in a complete key. */
export function timeOf(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return view.getUint32(SPACE_BYTES) * LOW + view.getUint32(SPACE_BYTES + 4);
}

/** Versionstamp and place in a complete key: what the row is called for ever. */
export function originOf(key: Uint8Array): Uint8Array {
  return key.subarray(SPACE_BYTES + TIME_BYTES);
}

/** Identity of a message that a commit with this stamp appended at this place. */
export function messageId(stamp: Uint8Array, place: number): string {
  return stamp.toHex() + place.toString(16).padStart(4, "0");
}

/** The first key behind this one. */
export function keyBehind(key: Uint8Array): Uint8Array {
  const behind = new Uint8Array(key.length + 1);
  behind.set(key);
  return behind;
}

/** A complete key of that space from its text. @returns `null` if the text is none. */
export function keyOfText(space: Uint8Array, text: string): Uint8Array | null {
  const bytes = bytesOfText(text, MESSAGE_KEY_BYTES);
  if (bytes === null) return null;
  const key = new Uint8Array(space.length + bytes.length);
  key.set(space);
  key.set(bytes, space.length);
  return key;
}

/** A complete key as a text without its space. */
export function textOfKey(key: Uint8Array): string {
  return key.subarray(SPACE_BYTES).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Bytes from base64url. @returns `null` if the text is none, or of another length. */
export function bytesOfText(text: string, sizeBytes: number): Uint8Array | null {
  if (text.length !== Math.ceil(sizeBytes * 4 / 3)) return null;
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    return null;
  }
}
