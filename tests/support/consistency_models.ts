/**
 * What histories of a key-value store are checked against: one register or
 * counter for each key, and whole databases for transactions.
 *
 * @module
 */
import type { Model } from "./linearizability.ts";

/** What may be done with one key whose values are all different. */
export type RegisterAction =
  | { readonly type: "read"; readonly key: string; readonly value: string | null }
  | { readonly type: "write"; readonly key: string; readonly value: string | null }
  /** Writes `value` if `from` is there; `isDone` says whether it was. */
  | {
    readonly type: "swap";
    readonly key: string;
    readonly from: string | null;
    readonly value: string;
    readonly isDone: boolean;
  };

/** A key that holds one value, or none. */
export const REGISTER: Model<string | null, RegisterAction> = {
  initial: null,
  step(state, action) {
    switch (action.type) {
      case "read":
        return action.value === state ? state : undefined;
      case "write":
        return action.value;
      case "swap":
        if (action.isDone !== (action.from === state)) return undefined;
        return action.isDone ? action.value : state;
    }
  },
  textOf: String,
};

/** What may be done with a counter. */
export type CounterAction =
  | { readonly type: "read"; readonly key: string; readonly count: number }
  | { readonly type: "add"; readonly key: string; readonly count: number };

/** A counter that begins at nothing. */
export const COUNTER: Model<number, CounterAction> = {
  initial: 0,
  step(state, action) {
    if (action.type === "add") return state + action.count;
    return action.count === state ? state : undefined;
  },
  textOf: String,
};

/** A transaction over several keys: what it read, and what it wrote if that still held. */
export interface Transaction {
  /** Values that it read, all of one moment, by key; "" for none. */
  readonly reads: Readonly<Record<string, string>>;
  /** Values that it wrote, at the moment when all it read was still so. */
  readonly writes: Readonly<Record<string, string>>;
}

/** A whole database, of which every key begins with nothing. */
export const DATABASE: Model<Readonly<Record<string, string>>, Transaction> = {
  initial: {},
  step(state, { reads, writes }) {
    for (const [key, value] of Object.entries(reads)) {
      if ((state[key] ?? "") !== value) return undefined;
    }
    return Object.keys(writes).length === 0 ? state : { ...state, ...writes };
  },
  textOf(state) {
    return Object.keys(state).sort().map((key) => `${key}=${state[key]}`).join("&");
  },
};
