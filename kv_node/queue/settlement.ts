/**
 * Receipts: what a consumer gets with a message and gives back to settle it.
 *
 * A receipt is the message's key without its space and the number of the lease,
 * so that the holder of an earlier lease of the same message settles nothing.
 *
 * @module
 */
import type { Lease } from "./lease_table.ts";
import { bytesOfText, MESSAGE_KEY_BYTES } from "./message_key.ts";
import { SPACE_BYTES } from "../types.ts";

/** What a consumer says about a message. */
export type Settlement =
  /** Done: it goes. */
  | { readonly type: "ack"; readonly receipt: string }
  /** Not done; `isFinal` if another attempt is of no use. */
  | {
    readonly type: "fail";
    readonly receipt: string;
    readonly error: string;
    readonly isFinal: boolean;
  }
  /** Still at it: the lease ends so long from now. */
  | { readonly type: "extend"; readonly receipt: string; readonly leaseMs: number }
  /** Not begun: others may have it, and no attempt is counted. */
  | { readonly type: "release"; readonly receipt: string };

const NUMBER_BYTES = 8;
const RECEIPT_BYTES = MESSAGE_KEY_BYTES + NUMBER_BYTES;

/** The receipt of a lease. */
export function receiptOf({ key, number }: Pick<Lease, "key" | "number">): string {
  const bytes = new Uint8Array(RECEIPT_BYTES);
  bytes.set(key.subarray(SPACE_BYTES));
  new DataView(bytes.buffer).setFloat64(MESSAGE_KEY_BYTES, number);
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Complete key and lease number of a receipt. @returns `null` if it is none. */
export function receiptParts(
  receipt: string,
  space: Uint8Array,
): { readonly key: Uint8Array; readonly number: number } | null {
  const bytes = bytesOfText(receipt, RECEIPT_BYTES);
  if (bytes === null) return null;
  const key = new Uint8Array(SPACE_BYTES + MESSAGE_KEY_BYTES);
  key.set(space);
  key.set(bytes.subarray(0, MESSAGE_KEY_BYTES), SPACE_BYTES);
  const number = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(MESSAGE_KEY_BYTES);
  return Number.isNaN(number) ? null : { key, number };
}
