/**
 * Messages together with checks and mutations in one commit.
 *
 * @module
 */
import { encodeKey, type KeyPart } from "../keyspace/key_codec.ts";
import { KvU64 } from "../values/u64.ts";
import { Answer, valueJson } from "./queue_answer.ts";
import type { QueueConnection } from "./queue_connection.ts";

/** How to enqueue; as in Deno KV. */
export interface EnqueueOptions {
  /** How long the message stays away from consumers, in milliseconds; up to 30 days. */
  readonly delay?: number;
  /** Keys that the value is written to when all attempts have failed; up to 10. */
  readonly keysIfUndelivered?: ReadonlyArray<readonly KeyPart[]>;
  /** Waits before each further attempt, in milliseconds; up to 10 of up to an hour. */
  readonly backoffSchedule?: readonly number[];
}

/** What a commit came to. */
export type QueueCommit =
  | { readonly ok: true; readonly versionstamp: string; readonly ids: readonly string[] }
  /** A check did not hold; nothing was changed. */
  | { readonly ok: false };

/** A commit being put together. */
export class QueueAtomic {
  readonly #connection: QueueConnection;
  readonly #messages: unknown[] = [];
  readonly #checks: unknown[] = [];
  readonly #mutations: unknown[] = [];

  /** See {@linkcode QueueClient.atomic}. */
  constructor(connection: QueueConnection) {
    this.#connection = connection;
  }

  /** The key has this versionstamp, or is not there (`null`). */
  check(
    ...checks: ReadonlyArray<
      { readonly key: readonly KeyPart[]; readonly versionstamp: string | null }
    >
  ): this {
    for (const { key, versionstamp } of checks) {
      this.#checks.push({ key: keyText(key), versionstamp });
    }
    return this;
  }

  /** Sets a value; `expireIn` is in milliseconds. */
  set(key: readonly KeyPart[], value: unknown, options: { expireIn?: number } = {}): this {
    const { expireIn } = options;
    const expiry = expireIn === undefined ? {} : { expiresAt: Math.ceil(Date.now() + expireIn) };
    return this.#mutate({ type: "set", key: keyText(key), value: valueJson(value), ...expiry });
  }

  /** Deletes a key. */
  delete(key: readonly KeyPart[]): this {
    return this.#mutate({ type: "delete", key: keyText(key) });
  }

  /** Adds to an unsigned 64-bit number, modulo 2^64. */
  sum(key: readonly KeyPart[], n: bigint): this {
    return this.#count("sum", key, n);
  }

  /** Keeps the lesser one. */
  min(key: readonly KeyPart[], n: bigint): this {
    return this.#count("min", key, n);
  }

  /** Keeps the greater one. */
  max(key: readonly KeyPart[], n: bigint): this {
    return this.#count("max", key, n);
  }

  /** Adds a message. @throws {TypeError} If the value cannot be cloned. */
  enqueue(value: unknown, options: EnqueueOptions = {}): this {
    const { delay = 0, keysIfUndelivered = [], backoffSchedule } = options;
    this.#messages.push({
      value: valueJson(value),
      delayMs: delay,
      undeliveredKeys: keysIfUndelivered.map(keyText),
      ...(backoffSchedule === undefined ? {} : { backoffMs: backoffSchedule }),
    });
    return this;
  }

  /**
   * Commits.
   *
   * @throws {QueueError} If it is refused, or fails for too long.
   */
  async commit(): Promise<QueueCommit> {
    const answer = new Answer(
      await this.#connection.call("enqueue", {
        messages: this.#messages,
        checks: this.#checks,
        mutations: this.#mutations,
      }),
    );
    if (!answer.flag("ok")) return { ok: false };
    return { ok: true, versionstamp: answer.text("versionstamp"), ids: answer.texts("ids") };
  }

  #count(type: string, key: readonly KeyPart[], n: bigint): this {
    return this.#mutate({ type, key: keyText(key), value: valueJson(new KvU64(n)) });
  }

  #mutate(mutation: unknown): this {
    this.#mutations.push(mutation);
    return this;
  }
}

function keyText(key: readonly KeyPart[]): string {
  return encodeKey(key).toBase64();
}
