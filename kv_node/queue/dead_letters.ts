/**
 * Messages whose attempts have all failed: to look at, to try again, to delete.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import { endOfSpace } from "../keyspace/spaces.ts";
import type { Command, Database, KvValue, Row } from "../types.ts";
import { decodeMessage } from "./message.ts";
import { appendedKey, keyBehind, keyOfText, textOfKey, timeOf } from "./message_key.ts";
import {
  identity,
  type KeyedMessage,
  type QueueSpaces,
  removeCommand,
  requeueCommand,
  REWRITE_PLACE,
} from "./queue_command.ts";

/** A dead letter. */
export interface DeadLetter {
  /** Its name among the dead letters. */
  readonly id: string;
  /** Identity of the message, as it was delivered. */
  readonly messageId: string;
  /** When its last attempt failed, in milliseconds since the Unix epoch. */
  readonly deadMs: number;
  /** When it was enqueued, in milliseconds since the Unix epoch. */
  readonly enqueuedMs: number;
  /** Attempts that were made. */
  readonly attempts: number;
  /** Why the last one failed. */
  readonly lastError: string;
  /** The client's keys that its payload was written to. */
  readonly undeliveredKeys: readonly Uint8Array[];
  /** What was enqueued. */
  readonly payload: KvValue;
}

/** Some of the dead letters. */
export interface DeadLetterPage {
  /** Oldest first, or last. */
  readonly letters: readonly DeadLetter[];
  /** Where to go on; `null` at the end. */
  readonly cursor: string | null;
}

/** How to list dead letters. */
export interface DeadLetterQuery {
  /** The most letters. */
  readonly limit: number;
  /** Bytes of payloads after which a page ends. */
  readonly bytesMax: number;
  /** Where an earlier page stopped. */
  readonly cursor: string | null;
  /** Newest first. */
  readonly reverse: boolean;
}

/** Told how the number of dead letters and messages changes. */
export interface DeadLetterEvents {
  /** The letter under that complete key is gone. */
  removed(key: Uint8Array): void;
  /** There is a message in the queue again, under that complete key. */
  requeued(key: Uint8Array): void;
}

const TRIM_BATCH = 100;

/** The dead letters of one database. */
export class DeadLetters {
  readonly #database: Database;
  readonly #spaces: QueueSpaces;
  readonly #events: DeadLetterEvents;

  /** Those of that database. */
  constructor(database: Database, spaces: QueueSpaces, events: DeadLetterEvents) {
    this.#database = database;
    this.#spaces = spaces;
    this.#events = events;
  }

  /**
   * A page of them.
   *
   * @throws {KvError} `bad_request` for a cursor that is none.
   */
  list({ limit, bytesMax, cursor, reverse }: DeadLetterQuery): DeadLetterPage {
    const space = this.#spaces.dead;
    let start = space;
    let end = endOfSpace(space);
    if (cursor !== null) {
      const key = keyOfText(space, cursor);
      if (key === null) {
        throw new KvError("bad_request", "Cannot list dead letters: the cursor is none of a list");
      }
      if (reverse) end = key;
      else start = keyBehind(key);
    }
    const rows = this.#database.read([{ start, end, limit, reverse }])[0] ?? [];
    const letters: DeadLetter[] = [];
    let bytes = 0;
    let last: Row | undefined;
    for (const row of rows) {
      bytes += row.data.length;
      if (bytes > bytesMax && last !== undefined) break;
      last = row;
      const letter = letterOf(row);
      if (letter !== null) letters.push(letter);
    }
    const isAll = rows.length < limit && last === rows.at(-1);
    return { letters, cursor: isAll || last === undefined ? null : textOfKey(last.key) };
  }

  /** One of them, or `null`. */
  get(id: string): DeadLetter | null {
    const row = this.#row(id);
    return row === null ? null : letterOf(row);
  }

  /** Puts one back into the queue, due then; `false` if it is not there. */
  async requeue(id: string, dueMs: number): Promise<boolean> {
    const row = this.#row(id);
    const message = row === null ? null : messageOf(row);
    if (message === null) return false;
    const stamp = await this.#commit(message.key, requeueCommand(this.#spaces, message, dueMs));
    if (stamp === null) return false;
    this.#events.requeued(appendedKey(this.#spaces.queue, dueMs, stamp, REWRITE_PLACE));
    return true;
  }

  /** Deletes one; `false` if it is not there. */
  async remove(id: string): Promise<boolean> {
    const row = this.#row(id);
    if (row === null) return false;
    return await this.#remove(row.key);
  }

  /**
   * Deletes the oldest: those that became dead before `beforeMs`, and `excess` others.
   *
   * @returns How many were deleted; there may be more to do if it is at least a hundred.
   */
  async trim(beforeMs: number, excess: number): Promise<number> {
    const { dead } = this.#spaces;
    const range = { start: dead, end: endOfSpace(dead), limit: TRIM_BATCH, reverse: false };
    const rows = this.#database.read([range])[0] ?? [];
    const old = rows.filter(({ key }, place) => place < excess || timeOf(key) < beforeMs);
    const done = await Promise.all(old.map(({ key }) => this.#remove(key)));
    return done.filter(Boolean).length;
  }

  #row(id: string): Row | null {
    const key = keyOfText(this.#spaces.dead, id);
    if (key === null) return null;
    const range = { start: key, end: keyBehind(key), limit: 1, reverse: false };
    return this.#database.read([range])[0]?.[0] ?? null;
  }

  async #remove(key: Uint8Array): Promise<boolean> {
    return await this.#commit(key, removeCommand(key)) !== null;
  }

  /** Every commit here takes one letter away; the stamp, or `null` if it was gone already. */
  async #commit(key: Uint8Array, command: Command): Promise<Uint8Array | null> {
    const outcome = await this.#database.write(command);
    if (outcome.type !== "committed") return null;
    this.#events.removed(key);
    return outcome.stamp;
  }
}

function letterOf(row: Row): DeadLetter | null {
  const message = messageOf(row);
  if (message === null) return null;
  const { key, payload, attempts, enqueuedMs, lastError, undeliveredKeys } = message;
  return {
    id: textOfKey(key),
    messageId: identity(message).toHex(),
    deadMs: timeOf(key),
    enqueuedMs,
    attempts,
    lastError,
    undeliveredKeys,
    payload,
  };
}

function messageOf(row: Row): KeyedMessage | null {
  const message = decodeMessage(row.data);
  return message === null ? null : { ...message, key: row.key };
}
