/**
 * The databases of a running node: what is registered, on the group that holds the rows.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import { type DatabaseFacts, GroupDatabase } from "../group/database.ts";
import type { GroupEngine } from "../group/engine.ts";
import { spaceOf } from "../keyspace/spaces.ts";
import { type DatabaseRecord, DEFAULT_DATABASE, type Registry } from "../registry/registry.ts";
import type { Database, Limits } from "../types.ts";

/** What is registered, as it is now: the database looks here at every request. */
interface Facts extends DatabaseFacts {
  record: DatabaseRecord;
  limits: Limits;
}

interface Known {
  readonly database: GroupDatabase;
  readonly facts: Facts;
}

/** Databases by name. */
export class NodeDatabases {
  readonly #registry: Registry;
  readonly #data: GroupEngine;
  readonly #mayCreate: boolean;
  readonly #known = new Map<string, Known>();

  /** The registered ones; `mayCreate` lets clients make one by asking for it. */
  constructor(registry: Registry, data: GroupEngine, mayCreate: boolean) {
    this.#registry = registry;
    this.#data = data;
    this.#mayCreate = mayCreate;
  }

  /** All that were used since the start. */
  get used(): readonly Database[] {
    return [...this.#known.values()].map(({ database }) => database);
  }

  /** The one of that name, or `null`. */
  find(name: string): Database | null {
    const record = this.#registry.find(name);
    if (record === null) return null;
    const known = this.#known.get(name);
    if (known === undefined) return this.#remember(record);
    const { facts } = known;
    if (facts.record !== record) {
      facts.record = record;
      facts.limits = this.#registry.limitsOf(record);
    }
    return known.database;
  }

  /** The one of that name, made if that is allowed. @throws {KvError} `not_found` if not. */
  async open(name: string): Promise<Database> {
    const existing = this.find(name);
    if (existing !== null) return existing;
    if (!this.#mayCreate) {
      throw new KvError(
        "not_found",
        "Cannot open the database: there is none of that name; make it with `kv databases --make NAME`, or " +
          `use ${DEFAULT_DATABASE}`,
      );
    }
    return this.#remember(await this.#registry.create(name));
  }

  #remember(record: DatabaseRecord): Database {
    const { number } = record;
    const prefixes = {
      data: spaceOf(number, "data"),
      queue: spaceOf(number, "queue"),
      dead: spaceOf(number, "dead"),
    };
    const facts: Facts = { record, limits: this.#registry.limitsOf(record) };
    const database = new GroupDatabase(facts, this.#data, prefixes);
    this.#known.set(record.name, { facts, database });
    return database;
  }
}
