/**
 * What every state has to do: cases that are run against each kind of it.
 *
 *     for (const { name, run } of STATE_CONFORMANCE) {
 *       Deno.test(`mine ${name}`, () => run(() => openMine(place)));
 *     }
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { AppliedPosition, State } from "../ports.ts";
import {
  type Encoding,
  ENCODING_BYTES,
  ENCODING_LE64,
  ENCODING_V8,
  type ReadRange,
  type Row,
  STAMP_BYTES,
} from "../types.ts";

/** One case. */
export interface StateCase {
  /** What a state does, to be read after its name. */
  readonly name: string;
  /**
   * Checks it.
   *
   * @param open Opens the state: the first time an empty one, later, after it was
   * closed, the same one again.
   */
  run(open: () => State): Promise<void>;
}

/** All cases. */
export const STATE_CONFORMANCE: readonly StateCase[] = [
  { name: "begins empty", run: beginsEmpty },
  { name: "gives back every part of a row", run: givesBackRows },
  { name: "replaces and removes rows, and counts them", run: countsRows },
  { name: "scans in the order of bytes, from start to before end", run: scansInOrder },
  { name: "scans as many rows as asked for past those that expired", run: scansPastExpired },
  { name: "reads one key as the range of that key", run: readsOneKey },
  { name: "lists what expired, earliest first", run: listsExpired },
  { name: "shows a transaction its own writes", run: showsOwnWrites },
  { name: "changes nothing if a transaction throws", run: rollsBack },
  { name: "moves its position with and without rows", run: movesPosition },
  { name: "holds after a checkpoint what it held before", run: survivesCheckpoint },
  { name: "does what a sorted array does", run: agreesWithArray },
];

const RANDOM_STEPS = 10_000;

async function beginsEmpty(open: () => State): Promise<void> {
  const state = open();
  assert.deepEqual(state.applied, { term: 0, index: 0, stamp: null });
  assert.equal(state.size().rows, 0);
  assert.equal(state.get(keyOf(1)), null);
  assert.deepEqual(state.scan(ALL, 0), []);
  assert.deepEqual(state.expired(1e15, 10), []);
  await state.close();
}

async function givesBackRows(open: () => State): Promise<void> {
  const state = open();
  const rows: Row[] = [
    rowOf(0, { data: new Uint8Array(0), encoding: ENCODING_BYTES }),
    rowOf(1, { data: new Uint8Array(65_536).fill(7), encoding: ENCODING_V8 }),
    rowOf(2, { data: new Uint8Array(8).fill(255), encoding: ENCODING_LE64, expiresMs: 0 }),
    rowOf(3, { expiresMs: Number.MAX_SAFE_INTEGER }),
    { ...rowOf(4), key: new Uint8Array(2_100).fill(1), stamp: new Uint8Array(10).fill(255) },
    { ...rowOf(5), key: Uint8Array.of(0) },
    { ...rowOf(6), key: Uint8Array.of(0, 0) },
  ];
  state.transact(positionOf(1), (writer) => {
    for (const row of rows) writer.put(row);
  });
  for (const row of rows) assert.deepEqual(state.get(row.key), row);
  assert.equal(state.get(Uint8Array.of(0, 0, 0)), null);
  const sorted = rows.toSorted((one, other) => Buffer.compare(one.key, other.key));
  const visible = sorted.filter(({ expiresMs }) => expiresMs !== 0);
  assert.deepEqual(state.scan(ALL, 1), visible);
  await state.close();
}

async function countsRows(open: () => State): Promise<void> {
  const state = open();
  state.transact(positionOf(1), (writer) => {
    for (let i = 0; i < 10; i++) writer.put(rowOf(i));
    for (let i = 5; i < 15; i++) writer.put(rowOf(i, { data: Uint8Array.of(9) }));
  });
  assert.equal(state.size().rows, 15);
  assert.deepEqual(state.get(keyOf(7))?.data, Uint8Array.of(9));
  state.transact(positionOf(2), (writer) => {
    for (let i = 10; i < 20; i++) writer.remove(keyOf(i));
    writer.put(rowOf(3));
    writer.put(rowOf(12));
    writer.remove(keyOf(12));
  });
  assert.equal(state.size().rows, 10);
  assert.equal(state.get(keyOf(12)), null);
  assert.ok(state.size().bytes > 0);
  await state.close();
}

async function scansInOrder(open: () => State): Promise<void> {
  const state = open();
  const keys = [[0], [0, 0], [0, 1], [1], [1, 255], [2], [127], [128], [255, 254]];
  const shuffled = [4, 7, 0, 8, 2, 5, 1, 6, 3].map((place) => keys[place] ?? []);
  state.transact(positionOf(1), (writer) => {
    for (const key of shuffled) writer.put({ ...rowOf(0), key: Uint8Array.from(key) });
  });
  const scanned = (start: number[], end: number[], limit: number, reverse: boolean) =>
    state.scan({ start: Uint8Array.from(start), end: Uint8Array.from(end), limit, reverse }, 0)
      .map(({ key }) => [...key]);
  assert.deepEqual(scanned([], [255, 255], 100, false), keys);
  assert.deepEqual(scanned([], [255, 255], 100, true), keys.toReversed());
  assert.deepEqual(scanned([0, 0], [128], 100, false), keys.slice(1, 7));
  assert.deepEqual(scanned([0, 0], [128], 100, true), keys.slice(1, 7).toReversed());
  assert.deepEqual(scanned([0, 0], [128], 2, false), keys.slice(1, 3));
  assert.deepEqual(scanned([0, 0], [128], 2, true), keys.slice(5, 7).toReversed());
  assert.deepEqual(scanned([0, 0, 0], [0, 0, 1], 5, false), []);
  assert.deepEqual(scanned([2], [1], 5, false), []);
  await state.close();
}

async function scansPastExpired(open: () => State): Promise<void> {
  const state = open();
  state.transact(positionOf(1), (writer) => {
    for (let i = 0; i < 300; i++) writer.put(rowOf(i, { expiresMs: i % 100 === 99 ? null : 50 }));
  });
  const places = (nowMs: number, limit: number, reverse: boolean) =>
    state.scan({ ...ALL, limit, reverse }, nowMs).map(({ key }) => placeOf(key));
  assert.deepEqual(places(50, 2, false), [99, 199]);
  assert.deepEqual(places(50, 2, true), [299, 199]);
  assert.deepEqual(places(49, 2, false), [0, 1]);
  assert.deepEqual(places(51, 100, false), [99, 199, 299]);
  assert.notEqual(state.get(keyOf(0)), null);
  await state.close();
}

async function readsOneKey(open: () => State): Promise<void> {
  const state = open();
  const longer = new Uint8Array([...keyOf(1), 0]);
  state.transact(positionOf(1), (writer) => {
    writer.put(rowOf(1, { expiresMs: 50 }));
    writer.put({ ...rowOf(2), key: longer });
  });
  const range = { start: keyOf(1), end: longer, limit: 1, reverse: false };
  for (const reverse of [false, true]) {
    assert.deepEqual(state.scan({ ...range, reverse }, 49), [rowOf(1, { expiresMs: 50 })]);
    assert.deepEqual(state.scan({ ...range, reverse }, 50), []);
    assert.deepEqual(state.scan({ ...range, reverse, limit: 0 }, 49), []);
    assert.deepEqual(state.scan({ ...range, reverse, start: keyOf(3) }, 49), []);
  }
  await state.close();
}

async function listsExpired(open: () => State): Promise<void> {
  const state = open();
  state.transact(positionOf(1), (writer) => {
    for (let i = 0; i < 20; i++) writer.put(rowOf(i, { expiresMs: 1_000 - i }));
    for (let i = 20; i < 30; i++) writer.put(rowOf(i));
  });
  const expired = (nowMs: number, limit: number) => state.expired(nowMs, limit).map(placeOf);
  assert.deepEqual(expired(980, 100), []);
  assert.deepEqual(expired(981, 100), [19]);
  assert.deepEqual(expired(990, 4), [19, 18, 17, 16]);
  assert.equal(expired(5_000, 100).length, 20);
  state.transact(positionOf(2), (writer) => {
    writer.put(rowOf(19));
    writer.put(rowOf(18, { expiresMs: 5_000 }));
    writer.remove(keyOf(17));
  });
  assert.deepEqual(expired(984, 4), [16]);
  await state.close();
}

async function showsOwnWrites(open: () => State): Promise<void> {
  const state = open();
  state.transact(positionOf(1), (writer) => {
    assert.equal(writer.get(keyOf(1)), null);
    writer.put(rowOf(1));
    assert.deepEqual(writer.get(keyOf(1)), rowOf(1));
    writer.put(rowOf(1, { expiresMs: 5 }));
    assert.equal(writer.get(keyOf(1))?.expiresMs, 5);
    writer.remove(keyOf(1));
    assert.equal(writer.get(keyOf(1)), null);
    writer.put(rowOf(2));
  });
  assert.equal(state.get(keyOf(1)), null);
  assert.deepEqual(state.get(keyOf(2)), rowOf(2));
  await state.close();
}

async function rollsBack(open: () => State): Promise<void> {
  const state = open();
  state.transact(positionOf(1), (writer) => {
    for (let i = 0; i < 10; i++) writer.put(rowOf(i, { expiresMs: 10 + i }));
  });
  const before = state.scan(ALL, 0);
  const error = new Error("Cannot go on: on purpose");
  const fail = () =>
    state.transact(positionOf(2), (writer) => {
      writer.put(rowOf(3, { data: Uint8Array.of(1, 2, 3), expiresMs: 1 }));
      writer.put(rowOf(100));
      writer.remove(keyOf(5));
      throw error;
    });
  assert.throws(fail, error);
  assert.deepEqual(state.applied, positionOf(1));
  assert.equal(state.size().rows, 10);
  assert.deepEqual(state.scan(ALL, 0), before);
  assert.deepEqual(state.expired(5, 10), []);
  state.transact(positionOf(2), (writer) => writer.remove(keyOf(0)));
  assert.equal(state.size().rows, 9);
  await state.close();
}

async function movesPosition(open: () => State): Promise<void> {
  const state = open();
  state.transact(positionOf(1), (writer) => writer.put(rowOf(1)));
  assert.deepEqual(state.applied, positionOf(1));
  state.transact({ term: 7, index: 40, stamp: null }, () => {});
  assert.deepEqual(state.applied, { term: 7, index: 40, stamp: null });
  state.transact(positionOf(41, 7), () => {});
  assert.deepEqual(state.applied, positionOf(41, 7));
  assert.equal(state.size().rows, 1);
  await state.close();
}

async function survivesCheckpoint(open: () => State): Promise<void> {
  const state = open();
  for (let i = 1; i <= 50; i++) {
    state.transact(positionOf(i), (writer) => {
      writer.put(rowOf(i, { expiresMs: i % 3 === 0 ? i : null }));
      if (i % 5 === 0) writer.remove(keyOf(i - 1));
    });
  }
  const [applied, size, rows] = [state.applied, state.size().rows, state.scan(ALL, 0)];
  const { term, index } = await state.checkpoint();
  assert.deepEqual({ term, index }, { term: applied.term, index: applied.index });
  await state.close();
  const again = open();
  assert.deepEqual(again.applied, applied);
  assert.equal(again.size().rows, size);
  assert.deepEqual(again.scan(ALL, 0), rows);
  assert.equal(again.expired(1_000, 100).length, rows.filter((row) => row.expiresMs).length);
  await again.close();
}

/** Random work on few keys, beside an array that is sorted whenever it is looked at. */
async function agreesWithArray(open: () => State): Promise<void> {
  const state = open();
  const random = randomOf(20_261_125);
  const rows = new Map<number, Row>();
  let index = 0;
  for (let step = 0; step < RANDOM_STEPS;) {
    const nowMs = random(100);
    const isFailing = random(10) === 0;
    const before = new Map(rows);
    const writes = 1 + random(20);
    const work = () =>
      state.transact(positionOf(index + 1), (writer) => {
        for (let i = 0; i < writes; i++) {
          const place = random(200);
          if (random(3) === 0) {
            writer.remove(keyOf(place));
            rows.delete(place);
          } else {
            const row = rowOf(place, {
              data: new Uint8Array(random(300)).fill(random(256)),
              encoding: 1 + random(3) as Encoding,
              expiresMs: random(2) === 0 ? null : random(100),
            });
            writer.put(row);
            rows.set(place, row);
          }
          assert.deepEqual(writer.get(keyOf(place)), rows.get(place) ?? null);
        }
        if (isFailing) throw new RangeError("Cannot go on: on purpose");
      });
    step += writes;
    if (isFailing) {
      assert.throws(work, RangeError);
      rows.clear();
      for (const [place, row] of before) rows.set(place, row);
    } else {
      work();
      index++;
    }
    compare(state, rows, nowMs, random);
  }
  await state.close();
}

function compare(
  state: State,
  rows: ReadonlyMap<number, Row>,
  nowMs: number,
  random: (below: number) => number,
): void {
  assert.equal(state.size().rows, rows.size);
  const [low, high, limit, reverse] = [random(200), random(200), random(50), random(2) === 1];
  const sorted = [...rows].filter(([place, { expiresMs }]) =>
    place >= low && place < high && (expiresMs === null || expiresMs > nowMs)
  ).toSorted(([one], [other]) => reverse ? other - one : one - other);
  const range = { start: keyOf(low), end: keyOf(high), limit, reverse };
  assert.deepEqual(state.scan(range, nowMs), sorted.slice(0, limit).map(([, row]) => row));
  const expired = [...rows].filter(([, { expiresMs }]) => expiresMs !== null && expiresMs <= nowMs);
  const found = state.expired(nowMs, 1_000).map(placeOf);
  assert.deepEqual(found.toSorted(), expired.map(([place]) => place).toSorted());
  const times = found.map((place) => rows.get(place)?.expiresMs ?? -1);
  assert.deepEqual(times, times.toSorted((one, other) => one - other));
}

const ALL: ReadRange = {
  start: new Uint8Array(0),
  end: new Uint8Array(16).fill(255),
  limit: 100_000,
  reverse: false,
};

/** A key in a space, its number big-endian behind it. */
function keyOf(place: number): Uint8Array {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setUint32(4, place);
  return key;
}

function placeOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset).getUint32(4);
}

function rowOf(place: number, parts: Partial<Row> = {}): Row {
  return {
    key: keyOf(place),
    stamp: stampOf(place),
    encoding: ENCODING_V8,
    expiresMs: null,
    data: new Uint8Array(16).fill(place),
    ...parts,
  };
}

function stampOf(place: number): Uint8Array {
  const stamp = new Uint8Array(STAMP_BYTES);
  new DataView(stamp.buffer).setUint32(4, place);
  return stamp;
}

function positionOf(index: number, term = 1): AppliedPosition {
  return { term, index, stamp: stampOf(index) };
}

/** Numbers below a bound, the same for the same seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
