/**
 * Values and answers of a queue, between JSON and what a program works with.
 *
 * @module
 */
import { decodeKey, type KeyPart } from "../keyspace/key_codec.ts";
import type { Encoding, KvValue } from "../types.ts";
import { decodeValue, encodeValue } from "../values/value.ts";
import { QueueError } from "./queue_error.ts";

/** A message that was received and is to be settled. */
export interface ReceivedMessage {
  /** What was enqueued. @throws {TypeError} If its bytes cannot be read here. */
  readonly value: unknown;
  /** What settles it. */
  readonly receipt: string;
  /** Its identity, the same in every attempt. */
  readonly id: string;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  /** How many there will be at most. */
  readonly attemptsMax: number;
  /** When it was enqueued. */
  readonly enqueuedAt: Date;
  /** Why the attempt before failed, or "". */
  readonly lastError: string;
  /** How long it is leased, in milliseconds. */
  readonly leaseMs: number;
}

/** A message whose attempts have all failed. */
export interface DeadMessage {
  /** Its name among the dead letters. */
  readonly id: string;
  /** Its identity as it was delivered. */
  readonly messageId: string;
  /** What was enqueued. @throws {TypeError} If its bytes cannot be read here. */
  readonly value: unknown;
  /** When its last attempt failed. */
  readonly deadAt: Date;
  /** When it was enqueued. */
  readonly enqueuedAt: Date;
  /** Attempts that were made. */
  readonly attempts: number;
  /** Why the last one failed. */
  readonly lastError: string;
  /** The keys that it was written to. */
  readonly undeliveredKeys: ReadonlyArray<readonly KeyPart[]>;
}

/** A value as it travels. */
export interface ValueJson {
  /** Base64. */
  readonly data: string;
  /** 1 for V8's serialization, 2 for an unsigned 64-bit number, 3 for plain bytes. */
  readonly encoding: number;
}

/** A value to send. @throws {TypeError} If it cannot be cloned. */
export function valueJson(value: unknown): ValueJson {
  const { data, encoding } = encodeValue(value);
  return { data: data.toBase64(), encoding };
}

/** Fields of an answer, each checked when it is read. */
export class Answer {
  readonly #fields: ReadonlyMap<string, unknown>;

  /** @throws {QueueError} `protocol` if it is no object. */
  constructor(value: unknown) {
    if (typeof value !== "object" || value === null) throw unexpected();
    this.#fields = new Map(Object.entries(value));
  }

  /** A number. */
  number(name: string): number {
    const value = this.#fields.get(name);
    if (typeof value === "number") return value;
    throw unexpected();
  }

  /** A text. */
  text(name: string): string {
    const value = this.#fields.get(name);
    if (typeof value === "string") return value;
    throw unexpected();
  }

  /** A text, or `null`. */
  textOrNull(name: string): string | null {
    return (this.#fields.get(name) ?? null) === null ? null : this.text(name);
  }

  /** True or false. */
  flag(name: string): boolean {
    const value = this.#fields.get(name);
    if (typeof value === "boolean") return value;
    throw unexpected();
  }

  /** A list. */
  list(name: string): readonly unknown[] {
    const value = this.#fields.get(name);
    if (Array.isArray(value)) return value;
    throw unexpected();
  }

  /** A list of texts. */
  texts(name: string): readonly string[] {
    return this.list(name).map((value) => {
      if (typeof value === "string") return value;
      throw unexpected();
    });
  }

  /** An object. */
  object(name: string): Answer {
    return new Answer(this.#fields.get(name));
  }

  /** A stored value. */
  value(name: string): KvValue {
    const fields = this.object(name);
    const encoding = fields.number("encoding");
    if (!isEncoding(encoding)) throw unexpected();
    return { data: bytesOf(fields.text("data")), encoding };
  }
}

/** A received message. */
export function messageOf(value: unknown): ReceivedMessage {
  const fields = new Answer(value);
  const stored = fields.value("value");
  return {
    // Decoded when it is asked for: one that cannot be must not hide those beside it.
    get value() {
      return decode(stored);
    },
    receipt: fields.text("receipt"),
    id: fields.text("id"),
    attempt: fields.number("attempt"),
    attemptsMax: fields.number("attemptsMax"),
    enqueuedAt: new Date(fields.number("enqueuedAt")),
    lastError: fields.text("lastError"),
    leaseMs: fields.number("leaseMs"),
  };
}

/** A dead letter. */
export function deadMessageOf(value: unknown): DeadMessage {
  const fields = new Answer(value);
  const stored = fields.value("value");
  return {
    get value() {
      return decode(stored);
    },
    id: fields.text("id"),
    messageId: fields.text("messageId"),
    deadAt: new Date(fields.number("deadAt")),
    enqueuedAt: new Date(fields.number("enqueuedAt")),
    attempts: fields.number("attempts"),
    lastError: fields.text("lastError"),
    undeliveredKeys: fields.texts("undeliveredKeys").map((key) => decodeKey(bytesOf(key))),
  };
}

/** Numbers become the runtime's own where it has them. */
function decode(stored: KvValue): unknown {
  if (typeof Deno.KvU64 !== "function") return decodeValue(stored);
  return decodeValue(stored, { makeU64: (value) => new Deno.KvU64(value) });
}

function bytesOf(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    throw unexpected();
  }
}

function isEncoding(value: number): value is Encoding {
  return value === 1 || value === 2 || value === 3;
}

function unexpected(): QueueError {
  return new QueueError("protocol", "Cannot read the answer: it has not the expected form");
}
