/**
 * Random commands on few keys, so that they meet.
 *
 * @module
 */
import type { Check, Command, Mutation } from "../../kv_node/types.ts";
import type { Random } from "../../src/ports.ts";
import { MARKER_PREFIX, type Operation } from "./kv_history.ts";

const KEYS = ["0000000110", "0000000111", "000000011200", "0000000113", "00000002"];
const COUNTERS = ["0000000180", "0000000181", "00000002ff"];
const VALUE_BYTES_MAX = 120;
const UNIFORM_VALUE_BYTES = 190;
/** Three of them still fit into the shortest segment. */
const LONG_VALUE_BYTES = 450;

/** Clients of one node, and what they believe. */
export class KvWorkload {
  readonly #random: Random;
  /** Whether all commands are of one length, so that one fits exactly where another was. */
  readonly isUniform: boolean;
  /** Stamps by key, as last seen; what is not here was deleted, or never seen. */
  readonly #known = new Map<string, Uint8Array>();

  /** Begins, knowing nothing. */
  constructor(random: Random) {
    this.#random = random;
    this.isUniform = this.happens(0.35);
  }

  /** A whole number from 0, below `count`. */
  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** Whether something happens that does so with this probability. */
  happens(probability: number): boolean {
    return this.#random() < probability;
  }

  /** The next command, with its marker among its changes. */
  command(id: number, wallMs: number): { readonly command: Command; readonly marker: string } {
    const marker = MARKER_PREFIX + id.toString(16).padStart(6, "0");
    const key = Uint8Array.fromHex(marker);
    if (this.isUniform) {
      const data = new Uint8Array(UNIFORM_VALUE_BYTES).fill(id);
      const mark: Mutation = { type: "set", key, value: { data, encoding: 3 }, expiresMs: null };
      return { command: { checks: [], mutations: [mark] }, marker };
    }
    const mutations = Array.from({ length: this.below(4) }, () => this.#mutation(wallMs));
    const value = { data: new TextEncoder().encode(String(id)), encoding: 3 } as const;
    const mark: Mutation = { type: "set", key, value, expiresMs: null };
    mutations.splice(this.below(mutations.length + 1), 0, mark);
    const count = this.happens(0.5) ? 1 + this.below(2) : 0;
    const checks = Array.from({ length: count }, () => this.#check());
    return { command: { checks, mutations }, marker };
  }

  /** What a client learns from an answer. */
  learn({ command, outcome }: Operation): void {
    if (outcome?.type !== "committed") return;
    for (const { type, key } of command.mutations) {
      if (type === "delete") this.#known.delete(key.toHex());
      else if (type !== "append" && type !== "set_suffixed") {
        this.#known.set(key.toHex(), outcome.stamp);
      }
    }
  }

  #check(): Check {
    const key = this.#pick(this.happens(0.5) ? KEYS : COUNTERS);
    const known = this.#known.get(key) ?? null;
    const stamp = this.happens(0.1) ? null : known;
    return { key: Uint8Array.fromHex(key), stamp };
  }

  #mutation(wallMs: number): Mutation {
    const chance = this.#random();
    const key = Uint8Array.fromHex(this.#pick(chance < 0.6 ? KEYS : COUNTERS));
    if (chance < 0.4) {
      const expiresMs = this.happens(0.4) ? wallMs + this.below(80) : null;
      return { type: "set", key, value: this.#bytes(), expiresMs };
    }
    if (chance < 0.5) return { type: "delete", key };
    if (chance < 0.55) return { type: "append", key, value: this.#bytes() };
    if (chance < 0.6) return { type: "set_suffixed", key, value: this.#bytes(), expiresMs: null };
    if (chance < 0.65) {
      const expiresMs = wallMs + this.below(80);
      return { type: "set", key, value: this.#number(), expiresMs };
    }
    if (chance < 0.67) return { type: "set", key, value: this.#bytes(), expiresMs: null };
    if (chance < 0.7) return { type: "delete", key };
    if (chance < 0.9) {
      return {
        type: "sum",
        key,
        value: this.#number(),
        bounds: { min: null, max: null, clamp: false },
      };
    }
    return { type: this.happens(0.5) ? "min" : "max", key, value: this.#number() };
  }

  #bytes(): { readonly data: Uint8Array; readonly encoding: 3 } {
    const length = this.happens(0.02) ? LONG_VALUE_BYTES : this.below(VALUE_BYTES_MAX);
    return { data: Uint8Array.from({ length }, () => this.below(256)), encoding: 3 };
  }

  #number(): { readonly data: Uint8Array; readonly encoding: 2 } {
    const data = new Uint8Array(8);
    const number = this.happens(0.1)
      ? (1n << 64n) - 1n - BigInt(this.below(3))
      : BigInt(this.below(50));
    new DataView(data.buffer).setBigUint64(0, number, true);
    return { data, encoding: 2 };
  }

  #pick(keys: readonly string[]): string {
    return keys[this.below(keys.length)] ?? "";
  }
}
