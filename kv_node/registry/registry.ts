/**
 * The databases of a node: names, ids, limits, tokens, and the keys that sign.
 *
 * They are rows of the meta group, written by commits like all others, so that
 * they are logged, backed up and, in a cluster, replicated. What is read here
 * comes from a copy in memory that follows every commit to them.
 *
 * A row holds JSON. Tokens are kept as SHA-256 digests only; the secrets that
 * sign data tokens stand in full, as any node has to sign.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { KvError } from "../errors.ts";
import { startsWith } from "../keyspace/bytes.ts";
import { encodeKey } from "../keyspace/key_codec.ts";
import { spaceOf, withPrefix } from "../keyspace/spaces.ts";
import {
  type Check,
  type Command,
  DEFAULT_LIMITS,
  ENCODING_BYTES,
  type Limits,
  type Mutation,
  type Outcome,
  type ReadRange,
  type Row,
} from "../types.ts";
import { uuidOf } from "../uuid.ts";

/** What the registry is told and asked through: the meta group. */
export interface RegistryStore {
  /** Reads a range. */
  read(ranges: readonly ReadRange[]): readonly (readonly Row[])[];
  /** Commits. */
  propose(command: Command): Promise<Outcome>;
  /** Tells of commits below a prefix. */
  watchPrefix(prefix: Uint8Array, changed: () => void): Disposable;
}

/** How a registry works. */
export interface RegistryOptions {
  /** The meta group. */
  readonly store: RegistryStore;
  /** So many random bytes, of a quality fit for secrets. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** The most databases. */
  readonly databasesMax: number;
}

/** A token that opens a database. */
export interface DatabaseToken {
  /** By which it is listed and revoked. */
  readonly id: string;
  /** SHA-256 of the token, in hexadecimal digits. */
  readonly digest: string;
}

/** A database as it is registered. */
export interface DatabaseRecord {
  /** Rises with each database; its spaces follow from it. */
  readonly number: number;
  /** Its name. */
  readonly name: string;
  /** Its UUID. */
  readonly id: string;
  /** Limits that differ from the defaults. */
  readonly limits: Partial<Limits>;
  /** Raised to make all data tokens of the database void. */
  readonly epoch: number;
  /** Closed for reading. */
  readonly readDisabled: boolean;
  /** Closed for writing. */
  readonly writeDisabled: boolean;
  /** Tokens that open it, besides the node's own. */
  readonly tokens: readonly DatabaseToken[];
}

/** A secret that signs. */
export interface SigningKey {
  /** Names it in what it signed. */
  readonly id: string;
  /** The secret. */
  readonly secret: Uint8Array;
}

/** Name of the database behind `/`. */
export const DEFAULT_DATABASE = "default";
/** What a database may be called. */
export const DATABASE_NAME: RegExp = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

const META = spaceOf(0, "data");
const SECRET_BYTES = 32;
const SIGNING_KEYS = 2;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface Kept<Value> {
  readonly value: Value;
  readonly stamp: Uint8Array;
}

interface SigningRecord {
  readonly keys: readonly { readonly id: string; readonly secret: string }[];
}

/** All databases, and what opens them. */
export class Registry implements Disposable {
  readonly #options: RegistryOptions;
  readonly #watch: Disposable;
  readonly #listeners = new Set<() => void>();
  #databases: ReadonlyMap<string, Kept<DatabaseRecord>> = new Map();
  #byId: ReadonlyMap<string, DatabaseRecord> = new Map();
  #signing: Kept<SigningRecord> | null = null;
  #signingKeys: readonly SigningKey[] = [];

  /** Reads what there is. `prepare` has to follow. */
  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#watch = options.store.watchPrefix(META, () => {
      this.#read();
      for (const listener of this.#listeners) listener();
    });
    this.#read();
  }

  /** Registers what every node has: the default database and a key to sign with. */
  async prepare(): Promise<void> {
    if (this.#signing === null) await this.rotateSigningKeys();
    if (this.find(DEFAULT_DATABASE) === null) await this.create(DEFAULT_DATABASE);
  }

  /** How many databases there are. */
  get size(): number {
    return this.#databases.size;
  }

  /** Calls `changed` after each change, until disposed. */
  onChange(changed: () => void): Disposable {
    const listener = (): void => changed();
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** All databases, by name. */
  list(): readonly DatabaseRecord[] {
    return [...this.#databases.values()].map(({ value }) => value)
      .toSorted((one, other) => one.name < other.name ? -1 : 1);
  }

  /** A database by name. */
  find(name: string): DatabaseRecord | null {
    return this.#databases.get(name)?.value ?? null;
  }

  /** A database by its UUID. */
  findById(id: string): DatabaseRecord | null {
    return this.#byId.get(id) ?? null;
  }

  /** The keys that sign: the newest first, then the one that was valid before it. */
  get signingKeys(): readonly SigningKey[] {
    return this.#signingKeys;
  }

  /** Limits of a database. */
  limitsOf(record: DatabaseRecord): Limits {
    return { ...DEFAULT_LIMITS, ...record.limits };
  }

  /** Whether a token is one of the database's own. Takes the same time for every token. */
  opens(record: DatabaseRecord, token: string): boolean {
    const digest = digestOf(token);
    let isOne = false;
    for (const one of record.tokens) {
      isOne = timingSafeEqual(Buffer.from(one.digest, "hex"), digest) || isOne;
    }
    return isOne;
  }

  /**
   * Registers a database; gives back the one there is, if it exists.
   *
   * @throws {KvError} `bad_request` for a name that may not be, `limit_exceeded` for one too many.
   */
  async create(name: string): Promise<DatabaseRecord> {
    if (!DATABASE_NAME.test(name)) {
      throw new KvError(
        "bad_request",
        "Cannot make the database: its name is 1 to 64 letters, digits, - and _, " +
          "and begins with a letter or digit",
      );
    }
    for (;;) {
      const existing = this.find(name);
      if (existing !== null) return existing;
      const { databasesMax } = this.#options;
      if (this.#databases.size >= databasesMax) {
        throw new KvError(
          "limit_exceeded",
          `Cannot make the database: there are ${databasesMax} already, and no more are allowed`,
        );
      }
      const numbers = [...this.#databases.values()].map(({ value }) => value.number);
      const record: DatabaseRecord = {
        number: Math.max(0, ...numbers) + 1,
        name,
        id: uuidOf(this.#options.randomBytes(16)),
        limits: {},
        epoch: 0,
        readDisabled: false,
        writeDisabled: false,
        tokens: [],
      };
      // The number's own row lets one of two that were made at the same time win.
      const claim = keyOf("number", record.number);
      const checks = [{ key: claim, stamp: null }, { key: keyOf("database", name), stamp: null }];
      const mutations = registration(record);
      const isDone = await this.#commit({ checks, mutations });
      if (isDone) return record;
    }
  }

  /** Changes a database; `change` may be called again if somebody else changed it meanwhile. */
  async update(
    name: string,
    change: (record: DatabaseRecord) => DatabaseRecord,
  ): Promise<DatabaseRecord> {
    for (;;) {
      const kept = this.#databases.get(name);
      if (kept === undefined) {
        throw new KvError("not_found", "Cannot change the database: there is none of that name");
      }
      const { number, id } = kept.value;
      const record = { ...change(kept.value), number, name, id };
      const key = keyOf("database", name);
      const checks = [{ key, stamp: kept.stamp }];
      if (await this.#commit({ checks, mutations: [setJson(key, record)] })) return record;
    }
  }

  /** Makes a token that opens a database; it is told this once and kept as a digest. */
  async addToken(name: string): Promise<{ readonly id: string; readonly token: string }> {
    const { randomBytes } = this.#options;
    const token = Buffer.from(randomBytes(SECRET_BYTES)).toString("base64url");
    const id = Buffer.from(randomBytes(4)).toString("hex");
    const digest = Buffer.from(digestOf(token)).toString("hex");
    await this.update(name, (record) => ({
      ...record,
      tokens: [...record.tokens, { id, digest }],
    }));
    return { id, token };
  }

  /**
   * Revokes a token, and with it every data token that was given for any token of the
   * database: who has another one gets a new data token by itself.
   */
  async removeToken(name: string, id: string): Promise<void> {
    await this.update(name, (record) => {
      const tokens = record.tokens.filter((token) => token.id !== id);
      if (tokens.length === record.tokens.length) {
        throw new KvError("not_found", "Cannot revoke the token: the database has none of that id");
      }
      return { ...record, tokens, epoch: record.epoch + 1 };
    });
  }

  /** Signs with a new key from now on; what the last one signed stays valid. */
  async rotateSigningKeys(): Promise<void> {
    const { randomBytes } = this.#options;
    for (;;) {
      const fresh = {
        id: Buffer.from(randomBytes(4)).toString("hex"),
        secret: Buffer.from(randomBytes(SECRET_BYTES)).toString("base64"),
      };
      const keys = [fresh, ...this.#signing?.value.keys ?? []].slice(0, SIGNING_KEYS);
      const key = keyOf("signing");
      const checks: Check[] = [{ key, stamp: this.#signing?.stamp ?? null }];
      if (await this.#commit({ checks, mutations: [setJson(key, { keys })] })) return;
    }
  }

  /** Follows no more. */
  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  async #commit(command: Command): Promise<boolean> {
    const outcome = await this.#options.store.propose(command);
    if (outcome.type === "invalid") throw new Error(`Cannot register: ${outcome.message}`);
    return outcome.type === "committed";
  }

  #read(): void {
    const end = spaceOf(0, "queue");
    const [rows = []] = this.#options.store.read([
      { start: META, end, limit: Number.MAX_SAFE_INTEGER, reverse: false },
    ]);
    const databases = new Map<string, Kept<DatabaseRecord>>();
    const prefix = keyOf("database");
    for (const row of rows) {
      if (!startsWith(row.key, prefix)) continue;
      const value: DatabaseRecord = JSON.parse(decoder.decode(row.data));
      databases.set(value.name, { value, stamp: row.stamp });
    }
    this.#databases = databases;
    this.#byId = new Map(Array.from(databases.values(), ({ value }) => [value.id, value]));
    const signingKey = keyOf("signing");
    const signing = rows.find(({ key }) => startsWith(key, signingKey));
    if (signing === undefined) return;
    this.#signing = { value: JSON.parse(decoder.decode(signing.data)), stamp: signing.stamp };
    this.#signingKeys = this.#signing.value.keys.map(({ id, secret }) => ({
      id,
      secret: Buffer.from(secret, "base64"),
    }));
  }
}

/** The rows that register a database: the claim of its number, and its record. */
export function registration(record: DatabaseRecord): (Mutation & { readonly type: "set" })[] {
  const { number, name } = record;
  return [setJson(keyOf("number", number), name), setJson(keyOf("database", name), record)];
}

function keyOf(...parts: (string | number)[]): Uint8Array {
  return withPrefix(META, encodeKey(parts));
}

function setJson(key: Uint8Array, value: unknown): Mutation & { readonly type: "set" } {
  const data = encoder.encode(JSON.stringify(value));
  return { type: "set", key, value: { data, encoding: ENCODING_BYTES }, expiresMs: null };
}

function digestOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}
