/**
 * Whether a history of concurrent operations could have come from one object that
 * does one thing at a time.
 *
 * The search of Wing & Gong ("Testing and Verifying Concurrent Objects", JPDC
 * 1993) in the form of Lowe ("Testing for Linearizability", CCPE 2017): walk over
 * calls and returns in the order of time, put any operation whose call comes
 * before the first return that is still open, go back when a return is reached
 * that belongs to nothing put so far, and never look at the same set of
 * operations with the same state twice.
 *
 * An operation whose outcome nobody knows may have taken effect at any moment
 * from its call to its return, or not at all. If not even its end is known, its
 * return is `Infinity`: it may take effect at any later time.
 *
 * Histories over several objects that share nothing are split first: a history is
 * linearizable if and only if those of its objects are (Herlihy & Wing 1990).
 *
 * @module
 */

/** One operation of a history. */
export interface Operation<Action> {
  /** Who did it, for people. */
  readonly client: string;
  /** Place of its call in the order of all calls and returns. */
  readonly calledAt: number;
  /** Place of its return; `Infinity` if it never returned. */
  readonly returnedAt: number;
  /** What was done, and what came out. */
  readonly action: Action;
  /** Whether nobody knows if it took effect. */
  readonly isUnknown: boolean;
}

/** An object that does one thing at a time. */
export interface Model<State, Action> {
  /** Before the first operation. */
  readonly initial: State;
  /** The state after an action; `undefined` if it cannot have come out like that. */
  step(state: State, action: Action): State | undefined;
  /** A text that two states share only if they are the same. */
  textOf(state: State): string;
}

/** What the search came to. */
export type Verdict<Action> =
  | { readonly type: "linearizable" }
  /** There is no order; `placed` is the longest that was found, `stuck` what cannot follow it. */
  | {
    readonly type: "violation";
    readonly placed: readonly Operation<Action>[];
    readonly stuck: readonly Operation<Action>[];
  }
  /** Not decided within the steps given. */
  | { readonly type: "undecided" };

interface Event<Action> {
  readonly id: number;
  readonly operation: Operation<Action>;
  /** The return of a call; `null` for returns, and for calls that never return. */
  readonly end: Event<Action> | null;
  readonly isCall: boolean;
  before: Event<Action> | null;
  after: Event<Action> | null;
}

interface Frame<State, Action> {
  readonly call: Event<Action>;
  readonly state: State;
  readonly choice: number;
  /** The latest call among those that were put up to here. */
  readonly lastId: number;
}

const STEPS_MAX = 5_000_000;

/** Decides whether a history is linearizable. */
export function linearize<State, Action>(
  model: Model<State, Action>,
  history: readonly Operation<Action>[],
  stepsMax: number = STEPS_MAX,
): Verdict<Action> {
  return new Search(model, history).run(stepsMax);
}

/** Decides about each object of a history; gives the first that is not in order. */
export function linearizeByKey<State, Action>(
  model: Model<State, Action>,
  history: readonly Operation<Action>[],
  keyOf: (action: Action) => string,
): { readonly key: string; readonly verdict: Verdict<Action> } | null {
  const parts = Map.groupBy(history, ({ action }) => keyOf(action));
  for (const [key, part] of parts) {
    const verdict = linearize(model, part);
    if (verdict.type !== "linearizable") return { key, verdict };
  }
  return null;
}

/** A verdict in words, with what is needed to see it. */
export function explain<Action>(verdict: Verdict<Action>): string {
  if (verdict.type !== "violation") return verdict.type;
  const { placed, stuck } = verdict;
  const lines = (operations: readonly Operation<Action>[]): string =>
    operations.map(({ client, calledAt, returnedAt, action, isUnknown }) =>
      `  ${client} [${calledAt}, ${returnedAt}] ${isUnknown ? "unknown " : ""}` +
      JSON.stringify(action, (_key, value) => typeof value === "bigint" ? `${value}n` : value)
    ).join("\n");
  return `no order; after\n${lines(placed.slice(-12))}\nnone of these can follow\n${lines(stuck)}`;
}

class Search<State, Action> {
  readonly #model: Model<State, Action>;
  readonly #first: Event<Action> | null;
  readonly #seen = new Set<string>();
  readonly #frames: Frame<State, Action>[] = [];
  #left: number;
  #head: Event<Action> | null;
  #longest: Operation<Action>[] = [];
  #stuck: Operation<Action>[] = [];

  constructor(model: Model<State, Action>, history: readonly Operation<Action>[]) {
    this.#model = model;
    this.#first = eventsOf(history);
    this.#head = this.#first;
    this.#left = history.filter(({ isUnknown }) => !isUnknown).length;
  }

  run(stepsMax: number): Verdict<Action> {
    let state = this.#model.initial;
    let event = this.#head;
    let choice = 0;
    for (let steps = 0; this.#left > 0; steps++) {
      if (steps > stepsMax) return { type: "undecided" };
      const next = event?.isCall ? this.#tried(event, state, choice) : undefined;
      if (next !== undefined && event !== null) {
        state = next;
        event = this.#head;
        choice = 0;
        continue;
      }
      if (event?.isCall) {
        event = event.after;
        choice = 0;
        continue;
      }
      this.#noteStuck();
      const frame = this.#frames.pop();
      if (frame === undefined) {
        return { type: "violation", placed: this.#longest, stuck: this.#stuck };
      }
      this.#putBack(frame.call);
      ({ state } = frame);
      event = frame.call;
      choice = frame.choice + 1;
    }
    return { type: "linearizable" };
  }

  /** Puts a call, by its choices from `from` on; the state after it, if one leads anywhere new. */
  #tried(call: Event<Action>, state: State, from: number): State | undefined {
    const { operation } = call;
    // The second choice of an unknown one is that it came to nothing. One that never
    // returned needs no such choice: nobody waits for it.
    const choices = operation.isUnknown && call.end !== null ? 2 : 1;
    for (let choice = from; choice < choices; choice++) {
      const next = choice === 1 ? state : this.#model.step(state, operation.action);
      if (next === undefined) continue;
      this.#takeOut(call);
      const lastId = Math.max(call.id, this.#frames.at(-1)?.lastId ?? -1);
      const text = `${this.#setText(lastId)}|${this.#model.textOf(next)}`;
      if (this.#seen.has(text)) {
        this.#putBack(call);
        continue;
      }
      this.#seen.add(text);
      this.#frames.push({ call, state, choice, lastId });
      return next;
    }
    return undefined;
  }

  /** The set of operations that were put: the latest of them, and what is missing before it. */
  #setText(lastId: number): string {
    let text = `${lastId}`;
    for (let event = this.#head; event !== null; event = event.after) {
      if (event.isCall && event.id > lastId) break;
      if (event.isCall) text += `,${event.id}`;
    }
    return text;
  }

  #takeOut(call: Event<Action>): void {
    if (!call.operation.isUnknown) this.#left--;
    for (const event of [call, call.end]) {
      if (event === null) continue;
      if (event.before === null) this.#head = event.after;
      else event.before.after = event.after;
      if (event.after !== null) event.after.before = event.before;
    }
  }

  /** The reverse, in the reverse order: each event still knows where it was. */
  #putBack(call: Event<Action>): void {
    if (!call.operation.isUnknown) this.#left++;
    for (const event of [call.end, call]) {
      if (event === null) continue;
      if (event.before === null) this.#head = event;
      else event.before.after = event;
      if (event.after !== null) event.after.before = event;
    }
  }

  #noteStuck(): void {
    if (this.#stuck.length > 0 && this.#frames.length <= this.#longest.length) return;
    this.#longest = this.#frames.map(({ call }) => call.operation);
    this.#stuck = [];
    for (let event = this.#head; event !== null && event.isCall; event = event.after) {
      this.#stuck.push(event.operation);
    }
  }
}

/** Calls and returns in the order of time; a call comes before a return of the same time. */
function eventsOf<Action>(history: readonly Operation<Action>[]): Event<Action> | null {
  const events: { readonly at: number; readonly event: Event<Action> }[] = [];
  const sorted = history.toSorted((one, other) => one.calledAt - other.calledAt);
  for (const [id, operation] of sorted.entries()) {
    const links = { before: null, after: null, operation };
    const end = operation.returnedAt === Infinity
      ? null
      : { ...links, id: Infinity, end: null, isCall: false };
    events.push({ at: operation.calledAt, event: { ...links, id, end, isCall: true } });
    if (end !== null) events.push({ at: operation.returnedAt, event: end });
  }
  events.sort((one, other) =>
    one.at - other.at || Number(other.event.isCall) - Number(one.event.isCall)
  );
  for (const [at, { event }] of events.entries()) {
    event.before = events[at - 1]?.event ?? null;
    event.after = events[at + 1]?.event ?? null;
  }
  return events[0]?.event ?? null;
}
