/**
 * Which worker serves, and how another takes its place, as a pure state machine.
 *
 *                  +---- died ----+
 *                  v              |
 *     index:    opening --opened--> ready
 *
 *     build:    opening --opened--> reading <------ rested (snapshot not whole)
 *                                    |  ^              |
 *                                  piece               |
 *                                    v                 |
 *                                  feeding --fed--> resting --rested--> replaying
 *                                                      ^                   |
 *                                                      +----confirmed------+
 *     resting --rested, journal nearly empty--> the builder is the index
 *
 * Changes are numbered. The index confirms the last one it has applied; all
 * later ones stay in the client's log, so that a new worker over the memory of a
 * dead one can be sent them again. A snapshot begins at the confirmed sequence
 * *s*: what is read of it row by row holds every change up to *s* and perhaps
 * some later ones, and since every change after *s* is then replayed in order and
 * says outright what becomes of its id, the builder ends with what the index
 * has. The last few changes are sent to the builder and the switch is made in the
 * same step: whatever is sent to the new index afterwards arrives behind them.
 *
 * Invariants, for every order of events and every death:
 * - a change is in the log until each worker that still needs it has confirmed it;
 * - only the index is searched, and it is ready when it is;
 * - a builder that dies leaves index, log and numbers as they were.
 *
 * @module
 */

/** Where a rebuild stands. */
export interface Build {
  /** Number of the builder. */
  readonly worker: number;
  /** What it is waiting for. */
  readonly phase: "opening" | "reading" | "feeding" | "resting" | "replaying";
  /** Row to read next; `null` when the snapshot is whole. */
  readonly cursor: number | null;
  /** Last change sent to the builder. */
  readonly sent: number;
  /** Last change the builder confirmed; the snapshot's sequence before the first. */
  readonly taken: number;
}

/** The workers of an index, and what they know. */
export interface Workers {
  /** Number of the worker that serves. */
  readonly index: number;
  /** Whether it has its vectors. */
  readonly isReady: boolean;
  /** Last change it confirmed. */
  readonly confirmed: number;
  /** Last change there is. */
  readonly last: number;
  /** Last number given to a worker. */
  readonly workers: number;
  /** The rebuild under way. */
  readonly build: Build | null;
}

/** What happened. */
export type WorkersEvent =
  /** A change was written to the log, under the next sequence. */
  | { readonly type: "changed" }
  /** A worker has its vectors. */
  | { readonly type: "opened"; readonly worker: number }
  /** A worker has applied all changes up to a sequence. */
  | {
    readonly type: "confirmed";
    readonly worker: number;
    readonly sequence: number;
    readonly busyMs: number;
  }
  /** The index has read a piece of the snapshot for a builder. */
  | {
    readonly type: "piece";
    readonly worker: number;
    readonly builder: number;
    readonly next: number | null;
  }
  /** The builder has taken a piece in. */
  | { readonly type: "fed"; readonly worker: number; readonly busyMs: number }
  /** The pause is over. */
  | { readonly type: "rested"; readonly worker: number }
  /** A worker is gone. */
  | { readonly type: "died"; readonly worker: number }
  /** A rebuild is wanted. */
  | { readonly type: "wanted" };

/** What is to be done, in this order. */
export type WorkersEffect =
  /** Start a worker: an index goes on with the memory of the dead one, a builder with nothing. */
  | { readonly type: "open"; readonly worker: number; readonly role: "index" | "builder" }
  /** Send it the changes after one sequence and up to another. */
  | {
    readonly type: "send";
    readonly worker: number;
    readonly after: number;
    readonly upTo: number;
  }
  /** Ask the index for rows. */
  | {
    readonly type: "read";
    readonly worker: number;
    readonly builder: number;
    readonly cursor: number;
  }
  /** Hand the piece that has come to the builder. */
  | { readonly type: "feed"; readonly worker: number }
  /** Report `rested` after a while. */
  | { readonly type: "rest"; readonly worker: number; readonly restMs: number }
  /** From now on the builder is the index; the old one ends when its searches have. */
  | { readonly type: "switch"; readonly from: number; readonly to: number }
  /** End a worker. */
  | { readonly type: "end"; readonly worker: number }
  /** Forget the changes up to a sequence. */
  | { readonly type: "trim"; readonly upTo: number }
  /** A rebuild failed. */
  | {
    readonly type: "failed";
    readonly cause: "builder_died" | "index_died" | "journal_full";
  };

/** How a rebuild is paced. */
export interface WorkersPolicy {
  /** Share of a core for the builder, above 0 and up to 1. */
  readonly paceShare: number;
  /** Changes sent to the builder at a time. */
  readonly pieceRows: number;
  /** Changes the journal may hold. */
  readonly journalMax: number;
}

/** A state and what follows from it. */
export interface WorkersStep {
  /** The workers from now on. */
  readonly state: Workers;
  /** What is to be done. */
  readonly effects: readonly WorkersEffect[];
}

/** One worker, opening. */
export function firstWorker(): WorkersStep {
  return {
    state: { index: 1, isReady: false, confirmed: 0, last: 0, workers: 1, build: null },
    effects: [{ type: "open", worker: 1, role: "index" }],
  };
}

/** What an event leads to. Events of workers that are no longer known lead to nothing. */
export function step(state: Workers, event: WorkersEvent, policy: WorkersPolicy): WorkersStep {
  switch (event.type) {
    case "changed":
      return changed(state, policy);
    case "wanted":
      return wanted(state);
    case "died":
      return died(state, event.worker);
    case "piece":
      return piece(state, event);
    case "opened":
      return event.worker === state.index ? indexOpened(state) : builderOpened(state, event.worker);
    case "confirmed":
      return confirmed(state, event, policy);
    case "fed":
      return rest(state, event, "feeding", policy);
    case "rested":
      return rested(state, event.worker, policy);
  }
}

/** How many changes the builder has still to replay. */
export function journalOf(state: Workers): number {
  return state.build === null ? 0 : state.last - state.build.taken;
}

function changed(state: Workers, policy: WorkersPolicy): WorkersStep {
  const next = { ...state, last: state.last + 1 };
  const effects: WorkersEffect[] = [];
  if (state.isReady) {
    effects.push({ type: "send", worker: state.index, after: state.last, upTo: next.last });
  }
  if (journalOf(next) <= policy.journalMax) return { state: next, effects };
  const given = abandon(next, "journal_full");
  return { state: given.state, effects: [...effects, ...given.effects] };
}

function wanted(state: Workers): WorkersStep {
  if (!state.isReady || state.build !== null) return { state, effects: [] };
  const worker = state.workers + 1;
  const build: Build = {
    worker,
    phase: "opening",
    cursor: 0,
    // Not yet the snapshot's sequence, but no later than it, which is what the log needs.
    sent: state.confirmed,
    taken: state.confirmed,
  };
  return {
    state: { ...state, workers: worker, build },
    effects: [{ type: "open", worker, role: "builder" }],
  };
}

function indexOpened(state: Workers): WorkersStep {
  if (state.isReady) return { state, effects: [] };
  const { index, confirmed, last } = state;
  const effects: WorkersEffect[] = confirmed === last
    ? []
    : [{ type: "send", worker: index, after: confirmed, upTo: last }];
  return { state: { ...state, isReady: true }, effects };
}

function builderOpened(state: Workers, worker: number): WorkersStep {
  const { build } = state;
  if (build === null || build.worker !== worker || build.phase !== "opening") {
    return { state, effects: [] };
  }
  const snapshot = state.confirmed;
  const next: Workers = {
    ...state,
    build: { ...build, phase: "reading", sent: snapshot, taken: snapshot },
  };
  return {
    state: next,
    effects: [{ type: "read", worker: state.index, builder: worker, cursor: 0 }, ...trim(next)],
  };
}

function piece(
  state: Workers,
  event: Extract<WorkersEvent, { type: "piece" }>,
): WorkersStep {
  const { build } = state;
  const isAwaited = event.worker === state.index && build?.worker === event.builder &&
    build.phase === "reading";
  // What was read for a builder that is gone lacks what was read before it.
  if (!isAwaited) return { state, effects: [] };
  return {
    state: { ...state, build: { ...build, phase: "feeding", cursor: event.next } },
    effects: [{ type: "feed", worker: build.worker }],
  };
}

function confirmed(
  state: Workers,
  event: Extract<WorkersEvent, { type: "confirmed" }>,
  policy: WorkersPolicy,
): WorkersStep {
  const { build } = state;
  if (event.worker === state.index) {
    if (event.sequence <= state.confirmed) return { state, effects: [] };
    const next = { ...state, confirmed: event.sequence };
    return { state: next, effects: trim(next) };
  }
  if (build === null || build.worker !== event.worker || event.sequence <= build.taken) {
    return { state, effects: [] };
  }
  const next: Workers = { ...state, build: { ...build, taken: event.sequence } };
  const effects = trim(next);
  if (event.sequence < build.sent) return { state: next, effects };
  const rested = rest(next, event, "replaying", policy);
  return { state: rested.state, effects: [...effects, ...rested.effects] };
}

function rest(
  state: Workers,
  event: { readonly worker: number; readonly busyMs: number },
  from: Build["phase"],
  policy: WorkersPolicy,
): WorkersStep {
  const { build } = state;
  if (build === null || build.worker !== event.worker || build.phase !== from) {
    return { state, effects: [] };
  }
  const restMs = event.busyMs * (1 / policy.paceShare - 1);
  return {
    state: { ...state, build: { ...build, phase: "resting" } },
    effects: [{ type: "rest", worker: build.worker, restMs }],
  };
}

function rested(state: Workers, worker: number, policy: WorkersPolicy): WorkersStep {
  const { build } = state;
  if (build === null || build.worker !== worker || build.phase !== "resting") {
    return { state, effects: [] };
  }
  if (build.cursor !== null) {
    return {
      state: { ...state, build: { ...build, phase: "reading" } },
      effects: [
        { type: "read", worker: state.index, builder: worker, cursor: build.cursor },
      ],
    };
  }
  const upTo = Math.min(state.last, build.sent + policy.pieceRows);
  const send: WorkersEffect[] = upTo === build.sent
    ? []
    : [{ type: "send", worker, after: build.sent, upTo }];
  if (upTo < state.last) {
    return {
      state: { ...state, build: { ...build, phase: "replaying", sent: upTo } },
      effects: send,
    };
  }
  const next: Workers = { ...state, index: worker, confirmed: build.taken, build: null };
  return {
    state: next,
    effects: [...send, { type: "switch", from: state.index, to: worker }, ...trim(next)],
  };
}

function died(state: Workers, worker: number): WorkersStep {
  if (worker === state.build?.worker) return abandon(state, "builder_died");
  if (worker !== state.index) return { state, effects: [] };
  const given = state.build === null ? { state, effects: [] } : abandon(state, "index_died");
  const next = state.workers + 1;
  return {
    state: { ...given.state, index: next, isReady: false, workers: next },
    effects: [...given.effects, { type: "open", worker: next, role: "index" }],
  };
}

function abandon(
  state: Workers,
  cause: Extract<WorkersEffect, { type: "failed" }>["cause"],
): WorkersStep {
  if (state.build === null) return { state, effects: [] };
  const next: Workers = { ...state, build: null };
  return {
    state: next,
    effects: [
      { type: "end", worker: state.build.worker },
      { type: "failed", cause },
      ...trim(next),
    ],
  };
}

function trim(state: Workers): WorkersEffect[] {
  const { confirmed, build } = state;
  return [{ type: "trim", upTo: build === null ? confirmed : Math.min(confirmed, build.taken) }];
}
