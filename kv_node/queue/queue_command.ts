/**
 * What happens to a message, as ordinary commits.
 *
 * ```
 * enqueue   append to the queue, beside whatever else is in the commit
 * ack       check · delete
 * retry     check · delete · append at a later time, one attempt more
 * dead      check · delete · append to the dead letters · set each undelivered key
 * requeue   check · delete of the dead letter · append to the queue, no attempts
 * ```
 *
 * Every one but the first is conditional on the row that it replaces, so it takes
 * effect once, however often it is tried.
 *
 * @module
 */
import type { Check, Command, KvValue, Mutation } from "../types.ts";
import { ENCODING_BYTES, SPACE_BYTES, STAMP_BYTES } from "../types.ts";
import { encodeMessage, type StoredMessage } from "./message.ts";
import { originOf, timeKey } from "./message_key.ts";

/** A message to enqueue. */
export interface NewMessage {
  /** What consumers get. */
  readonly payload: KvValue;
  /** How long it stays away from them at first, in milliseconds. */
  readonly delayMs: number;
  /** Waits before each further attempt, in milliseconds; none for one attempt only. */
  readonly backoffMs: readonly number[];
  /** The client's keys that the payload is written to when all attempts have failed. */
  readonly undeliveredKeys: readonly Uint8Array[];
}

/** The spaces that a queue lives in. */
export interface QueueSpaces {
  /** What clients store. */
  readonly data: Uint8Array;
  /** Messages. */
  readonly queue: Uint8Array;
  /** Dead letters. */
  readonly dead: Uint8Array;
}

/** A stored message with its complete key. */
export interface KeyedMessage extends StoredMessage {
  /** Complete key. */
  readonly key: Uint8Array;
}

/** Place of the row that a commit writes in place of a message. */
export const REWRITE_PLACE = 1;

/** Puts messages into the queue. */
export function enqueueMutations(
  spaces: QueueSpaces,
  messages: readonly NewMessage[],
  wallMs: number,
): Mutation[] {
  return messages.map(({ payload, delayMs, backoffMs, undeliveredKeys }) => {
    const message: StoredMessage = {
      payload,
      attempts: 0,
      backoffMs,
      undeliveredKeys,
      enqueuedMs: wallMs,
      origin: null,
      lastError: "",
    };
    return append(spaces.queue, wallMs + delayMs, message);
  });
}

/** Takes a message away. */
export function removeCommand(key: Uint8Array): Command {
  return { checks: [checkOf(key)], mutations: [{ type: "delete", key }] };
}

/** Puts a message off to `dueMs`, with one attempt more behind it. */
export function retryCommand(
  spaces: QueueSpaces,
  message: KeyedMessage,
  dueMs: number,
  lastError: string,
): Command {
  const { key } = message;
  const next = { ...message, attempts: message.attempts + 1, lastError, origin: identity(message) };
  return {
    checks: [checkOf(key)],
    mutations: [{ type: "delete", key }, append(spaces.queue, dueMs, next)],
  };
}

/** Ends a message: it goes to the dead letters, its payload to the undelivered keys. */
export function deadCommand(
  spaces: QueueSpaces,
  message: KeyedMessage,
  wallMs: number,
  lastError: string,
): Command {
  const { key, payload } = message;
  const letter = {
    ...message,
    attempts: message.attempts + 1,
    lastError,
    origin: identity(message),
  };
  const mutations: Mutation[] = [{ type: "delete", key }, append(spaces.dead, wallMs, letter)];
  for (const undelivered of message.undeliveredKeys) {
    const complete = new Uint8Array(SPACE_BYTES + undelivered.length);
    complete.set(spaces.data);
    complete.set(undelivered, SPACE_BYTES);
    mutations.push({ type: "set", key: complete, value: payload, expiresMs: null });
  }
  return { checks: [checkOf(key)], mutations };
}

/** Gives a dead letter all its attempts again. */
export function requeueCommand(
  spaces: QueueSpaces,
  letter: KeyedMessage,
  dueMs: number,
): Command {
  const { key } = letter;
  const message = { ...letter, attempts: 0, lastError: "" };
  return {
    checks: [checkOf(key)],
    mutations: [{ type: "delete", key }, append(spaces.queue, dueMs, message)],
  };
}

/** Versionstamp and place that name the message for ever. */
export function identity({ origin, key }: KeyedMessage): Uint8Array {
  return origin ?? originOf(key);
}

/** The row is the one that was read: its key holds the stamp of the commit that wrote it. */
function checkOf(key: Uint8Array): Check {
  return { key, stamp: originOf(key).subarray(0, STAMP_BYTES) };
}

function append(space: Uint8Array, timeMs: number, message: StoredMessage): Mutation {
  const value: KvValue = { data: encodeMessage(message), encoding: ENCODING_BYTES };
  return { type: "append", key: timeKey(space, timeMs), value };
}
