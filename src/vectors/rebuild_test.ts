import assert from "node:assert/strict";
import { firstWorker, journalOf, step, type Workers, type WorkersEvent } from "./rebuild.ts";

const POLICY = { paceShare: 0.5, pieceRows: 2, journalMax: 5 };

/** Plays events and notes what follows from each. */
function play(events: readonly WorkersEvent[], from = firstWorker().state): {
  readonly state: Workers;
  readonly effects: readonly string[];
} {
  let state = from;
  const effects: string[] = [];
  for (const event of events) {
    const next = step(state, event, POLICY);
    state = next.state;
    for (const { type, ...rest } of next.effects) {
      effects.push([type, ...Object.values(rest)].join(" "));
    }
  }
  return { state, effects };
}

const opened = (worker: number): WorkersEvent => ({ type: "opened", worker });
const changed: WorkersEvent = { type: "changed" };
const wanted: WorkersEvent = { type: "wanted" };
const died = (worker: number): WorkersEvent => ({ type: "died", worker });
const confirmed = (worker: number, sequence: number): WorkersEvent => ({
  type: "confirmed",
  worker,
  sequence,
  busyMs: 10,
});
const piece = (next: number | null, builder = 2): WorkersEvent => ({
  type: "piece",
  worker: 1,
  builder,
  next,
});
const fed: WorkersEvent = { type: "fed", worker: 2, busyMs: 30 };
const rested: WorkersEvent = { type: "rested", worker: 2 };

Deno.test("step() keeps changes back until the index has its vectors", () => {
  const { effects, state } = play([changed, changed, opened(1), changed, confirmed(1, 2)]);
  assert.deepEqual(effects, ["send 1 0 2", "send 1 2 3", "trim 2"]);
  assert.deepEqual([state.confirmed, state.last], [2, 3]);
});

Deno.test("step() copies, replays and switches in one step with the last changes", () => {
  const { effects, state } = play([
    opened(1),
    changed,
    confirmed(1, 1),
    wanted,
    changed, // 2: not confirmed when the snapshot begins, so it is replayed.
    opened(2),
    piece(64),
    fed,
    changed, // 3
    rested,
    piece(null),
    changed, // 4
    confirmed(1, 4),
    fed,
    rested,
    confirmed(2, 3),
    changed, // 5
    rested,
    changed, // 6, to the new index.
    confirmed(1, 5), // The old one's word counts no more.
    confirmed(2, 6),
  ]);
  assert.deepEqual(effects, [
    "send 1 0 1",
    "trim 1",
    "open 2 builder",
    "send 1 1 2",
    "read 1 2 0",
    "trim 1",
    "feed 2",
    "rest 2 30",
    "send 1 2 3",
    "read 1 2 64",
    "feed 2",
    "send 1 3 4",
    "trim 1", // What the builder has not taken stays in the log.
    "rest 2 30",
    "send 2 1 3",
    "trim 3",
    "rest 2 10",
    "send 1 4 5",
    "send 2 3 5",
    "switch 1 2",
    "trim 3",
    "send 2 5 6",
    "trim 6",
  ]);
  assert.deepEqual([state.index, state.build, state.confirmed], [2, null, 6]);
});

Deno.test("step() goes on with the old index when the builder dies, at any point", () => {
  const way = [
    opened(2),
    piece(64),
    fed,
    rested,
    piece(null),
    changed,
    changed,
    changed,
    fed,
    rested,
  ];
  const start = play([opened(1), changed, confirmed(1, 1), wanted]).state;
  for (let length = 0; length <= way.length; length++) {
    const before = play(way.slice(0, length), start).state;
    const { state, effects } = play([died(2)], before);
    assert.equal(state.index, 1);
    assert.equal(state.isReady, true);
    assert.equal(journalOf(state), 0);
    assert.deepEqual(effects.slice(0, 2), ["end 2", "failed builder_died"]);
    // Whatever it still says means nothing.
    const late = play([opened(2), fed, rested, confirmed(2, 99), piece(null), died(2)], state);
    assert.deepEqual(late, { state, effects: [] });
  }
});

Deno.test("step() sends a new index what the old one had not confirmed", () => {
  const { effects, state } = play([
    opened(1),
    changed,
    changed,
    confirmed(1, 1),
    wanted,
    died(1),
    changed,
    wanted, // Not without an index.
    opened(3),
  ]);
  assert.deepEqual(effects.slice(4), [
    "end 2",
    "failed index_died",
    "trim 1",
    "open 3 index",
    "send 3 1 3",
  ]);
  assert.equal(state.index, 3);
});

Deno.test("step() gives up a rebuild whose journal grows too long", () => {
  const start = play([opened(1), wanted, opened(2)]).state;
  const { effects, state } = play(Array.from({ length: 6 }, () => changed), start);
  assert.deepEqual(effects.slice(-3), ["end 2", "failed journal_full", "trim 0"]);
  assert.equal(state.build, null);
  assert.equal(state.last, 6);
});

Deno.test("step() hands no piece to a builder that was read for another", () => {
  const start = play([opened(1), wanted, opened(2), died(2), wanted, opened(3)]).state;
  assert.deepEqual(play([piece(64, 2)], start), { state: start, effects: [] });
  assert.deepEqual(play([piece(64, 3)], start).effects, ["feed 3"]);
});
