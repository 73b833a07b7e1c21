/**
 * A database as the listeners see it, on the group that holds it.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import type { Command, Database, Limits, Outcome, ReadRange, Row, SpaceKind } from "../types.ts";
import type { GroupEngine } from "./engine.ts";

/** What is registered of a database; its owner changes it when that changes. */
export interface DatabaseFacts {
  /** The record. */
  readonly record: {
    readonly name: string;
    readonly id: string;
    readonly readDisabled: boolean;
    readonly writeDisabled: boolean;
  };
  /** Its limits. */
  readonly limits: Limits;
}

/** A database on a group. */
export class GroupDatabase implements Database {
  readonly #facts: DatabaseFacts;
  readonly #engine: GroupEngine;
  readonly #prefixes: Readonly<Record<SpaceKind, Uint8Array>>;

  /** A database; `facts` is looked at whenever one of them is needed. */
  constructor(
    facts: DatabaseFacts,
    engine: GroupEngine,
    prefixes: Readonly<Record<SpaceKind, Uint8Array>>,
  ) {
    this.#facts = facts;
    this.#engine = engine;
    this.#prefixes = prefixes;
  }

  get name(): string {
    return this.#facts.record.name;
  }

  get id(): string {
    return this.#facts.record.id;
  }

  get limits(): Limits {
    return this.#facts.limits;
  }

  get readDisabled(): boolean {
    return this.#facts.record.readDisabled;
  }

  get writeDisabled(): boolean {
    return this.#facts.record.writeDisabled;
  }

  prefixOf(kind: SpaceKind): Uint8Array {
    return this.#prefixes[kind];
  }

  read(ranges: readonly ReadRange[]): readonly (readonly Row[])[] {
    return this.#engine.read(ranges);
  }

  write(command: Command): Promise<Outcome> {
    if (!this.writeDisabled) return this.#engine.propose(command);
    return Promise.reject(
      new KvError("unsupported", "Cannot commit: the database is closed for writing"),
    );
  }

  watch(keys: readonly Uint8Array[], changed: () => void): Disposable {
    return this.#engine.watch(keys, changed);
  }

  watchPrefix(prefix: Uint8Array, changed: () => void): Disposable {
    return this.#engine.watchPrefix(prefix, changed);
  }
}
