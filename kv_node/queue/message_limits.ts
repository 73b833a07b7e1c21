/**
 * What may be enqueued at once: Deno's limits for its own queues.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import { type Command, ENCODING_LE64, type Limits, SPACE_BYTES } from "../types.ts";
import type { NewMessage } from "./queue_command.ts";

const LE64_BYTES = 8;

/**
 * Judges messages and what is committed together with them.
 *
 * @param command The checks and mutations beside them, judged by themselves already.
 * @throws {KvError} `limit_exceeded` with the limit, its value and what was given;
 * `bad_request` for what is no message.
 */
export function checkMessages(
  messages: readonly NewMessage[],
  command: Command,
  limits: Limits,
): void {
  let bytes = 0;
  for (const message of messages) bytes += messageBytes(message, limits);
  for (const mutation of command.mutations) {
    bytes += mutation.key.length - SPACE_BYTES;
    if ("value" in mutation) bytes += mutation.value.data.length;
  }
  refuseAbove(
    "too many mutations and messages",
    limits,
    "mutationsMax",
    command.mutations.length + messages.length,
  );
  refuseAbove("messages and mutations too large", limits, "commitBytesMax", bytes);
}

/**
 * Judges a delay.
 *
 * @throws {KvError} `limit_exceeded`, or `bad_request` if it is no whole number from 0.
 */
export function checkDelay(delayMs: number, limits: Limits): void {
  if (!Number.isInteger(delayMs) || delayMs < 0) {
    throw new KvError("bad_request", "Cannot enqueue: a delay must be whole milliseconds from 0");
  }
  refuseAbove("delay too long", limits, "delayMsMax", delayMs);
}

function messageBytes(message: NewMessage, limits: Limits): number {
  const { payload, backoffMs, undeliveredKeys } = message;
  const size = payload.data.length;
  refuseAbove("value too large", limits, "valueBytesMax", size);
  if (payload.encoding === ENCODING_LE64 && size !== LE64_BYTES) {
    throw new KvError(
      "bad_request",
      `Cannot enqueue: an unsigned 64-bit number must have 8 bytes, given ${size}`,
    );
  }
  checkDelay(message.delayMs, limits);
  refuseAbove("too many waits in the backoff schedule", limits, "backoffsMax", backoffMs.length);
  for (const waitMs of backoffMs) {
    if (!Number.isInteger(waitMs) || waitMs < 0) {
      throw new KvError(
        "bad_request",
        "Cannot enqueue: the waits of a backoff schedule must be whole milliseconds from 0",
      );
    }
    refuseAbove("wait of the backoff schedule too long", limits, "backoffMsMax", waitMs);
  }
  refuseAbove("too many undelivered keys", limits, "undeliveredKeysMax", undeliveredKeys.length);
  let bytes = size;
  for (const key of undeliveredKeys) {
    if (key.length === 0) {
      throw new KvError("bad_request", "Cannot enqueue: an undelivered key cannot be empty");
    }
    refuseAbove("undelivered key too large", limits, "keyBytesMax", key.length);
    bytes += key.length;
  }
  return bytes;
}

function refuseAbove(reason: string, limits: Limits, name: keyof Limits, given: number): void {
  const most = limits[name];
  if (given <= most) return;
  const unit = name.includes("Bytes") ? " bytes" : name.includes("Ms") ? " ms" : "";
  throw new KvError(
    "limit_exceeded",
    `Cannot enqueue: ${reason} (max ${most}${unit}, given ${given}; limit ${name})`,
  );
}
