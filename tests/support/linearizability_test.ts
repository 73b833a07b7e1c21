import assert from "node:assert/strict";
import {
  COUNTER,
  type CounterAction,
  DATABASE,
  REGISTER,
  type RegisterAction,
  type Transaction,
} from "./consistency_models.ts";
import {
  explain,
  linearize,
  linearizeByKey,
  type Model,
  type Operation,
} from "./linearizability.ts";

/** `[from, to, action]`, with a question mark where nobody knows the outcome. */
type Short<Action> = readonly [number, number, Action, "?"?];

function history<Action>(...shorts: readonly Short<Action>[]): Operation<Action>[] {
  return shorts.map(([calledAt, returnedAt, action, mark], at) => ({
    client: `c${at}`,
    calledAt,
    returnedAt,
    action,
    isUnknown: mark === "?",
  }));
}

const read = (value: string | null, key = "k"): RegisterAction => ({ type: "read", key, value });
const write = (value: string | null, key = "k"): RegisterAction => ({ type: "write", key, value });
const swap = (from: string | null, value: string, isDone = true): RegisterAction => ({
  type: "swap",
  key: "k",
  from,
  value,
  isDone,
});
const count = (count: number): CounterAction => ({ type: "read", key: "n", count });
const add = (count: number): CounterAction => ({ type: "add", key: "n", count });
const txn = (
  reads: Transaction["reads"],
  writes: Transaction["writes"] = {},
): Transaction => ({ reads, writes });

function assertIn<State, Action>(
  model: Model<State, Action>,
  expected: "linearizable" | "violation",
  cases: Readonly<Record<string, readonly Operation<Action>[]>>,
): void {
  for (const [name, operations] of Object.entries(cases)) {
    const verdict = linearize(model, operations);
    assert.equal(verdict.type, expected, `${name}: ${explain(verdict)}`);
  }
}

Deno.test("linearize accepts what one register can do", () => {
  assertIn(REGISTER, "linearizable", {
    "nothing": [],
    "one after the other": history([1, 2, write("a")], [3, 4, read("a")], [5, 6, write(null)]),
    "a read beside a write sees either": history(
      [1, 10, write("a")],
      [2, 3, read(null)],
      [4, 5, read("a")],
    ),
    "two writes in the order that reads show": history(
      [1, 10, write("a")],
      [1, 10, write("b")],
      [2, 11, read("b")],
      [12, 13, read("a")],
    ),
    "of two swaps from one value one wins": history(
      [1, 8, swap(null, "a")],
      [1, 8, swap(null, "b", false)],
      [9, 10, read("a")],
    ),
    "touching ends are beside each other": history([1, 2, write("a")], [2, 3, read(null)]),
  });
});

Deno.test("linearize refuses stale reads, lost updates, dirty reads and split brains", () => {
  assertIn(REGISTER, "violation", {
    "stale read": history([1, 2, write("a")], [3, 4, write("b")], [5, 6, read("a")]),
    "read of what nobody wrote": history([1, 2, write("a")], [3, 4, read("z")]),
    "reads that go back": history(
      [1, 20, write("a")],
      [2, 3, read("a")],
      [4, 5, read(null)],
    ),
    "lost update: two swaps from one value": history(
      [1, 2, write("a")],
      [3, 9, swap("a", "b")],
      [3, 9, swap("a", "c")],
    ),
    "dirty read: a refused swap was seen": history(
      [1, 2, write("a")],
      [3, 6, swap("b", "c", false)],
      [4, 5, read("c")],
    ),
    "split brain: each side reads its own": history(
      [1, 2, write("a")],
      [3, 4, write("b")],
      [5, 6, read("b")],
      [7, 8, read("a")],
      [9, 10, read("b")],
    ),
    "an acknowledged write is gone after a crash": history(
      [1, 2, write("a")],
      [3, 4, write("b")],
      [5, 6, read("a")],
      [7, 8, read("a")],
    ),
  });
});

Deno.test("linearize lets an unknown operation happen later, or never, but not twice or before", () => {
  assertIn(REGISTER, "linearizable", {
    "never": history([1, Infinity, write("a"), "?"], [3, 4, read(null)], [8, 9, read(null)]),
    "late": history([1, Infinity, write("a"), "?"], [3, 4, read(null)], [8, 9, read("a")]),
    "within its time, or not": history([1, 5, write("a"), "?"], [6, 7, read(null)]),
    "within its time": history([1, 5, write("a"), "?"], [6, 7, read("a")]),
  });
  assertIn(REGISTER, "violation", {
    "twice": history(
      [1, Infinity, write("a"), "?"],
      [3, 4, read("a")],
      [5, 6, write("b")],
      [7, 8, read("a")],
    ),
    "before its call": history([1, 2, read("a")], [3, Infinity, write("a"), "?"]),
    "after its return": history(
      [1, 5, write("a"), "?"],
      [6, 7, read(null)],
      [8, 9, read("a")],
    ),
    "comes and goes": history(
      [1, Infinity, write("a"), "?"],
      [3, 4, read("a")],
      [5, 6, read(null)],
    ),
  });
});

Deno.test("linearize counts", () => {
  assertIn(COUNTER, "linearizable", {
    "concurrent adds": history([1, 9, add(1)], [1, 9, add(2)], [2, 3, count(2)], [
      10,
      11,
      count(3),
    ]),
    "unknown add that came late": history(
      [1, Infinity, add(5), "?"],
      [2, 3, add(1)],
      [4, 5, count(1)],
      [6, 7, count(6)],
    ),
  });
  assertIn(COUNTER, "violation", {
    "an add was lost": history([1, 2, add(1)], [3, 4, add(2)], [5, 6, count(2)]),
    "an add was counted twice": history([1, 2, add(1)], [3, 4, count(2)]),
    "a count went back": history([1, 9, add(1)], [2, 3, count(1)], [4, 5, count(0)]),
  });
});

Deno.test("linearize judges transactions over a whole database", () => {
  assertIn(DATABASE, "linearizable", {
    "a transfer, and a look at all": history(
      [1, 2, txn({ a: "", b: "" }, { a: "10", b: "10" })],
      [3, 8, txn({ a: "10", b: "10" }, { a: "7", b: "13" })],
      [4, 5, txn({ a: "10", b: "10" })],
      [9, 10, txn({ a: "7", b: "13" })],
    ),
  });
  const begun: Short<Transaction> = [1, 2, txn({ x: "", y: "" }, { x: "0", y: "0" })];
  assertIn(DATABASE, "violation", {
    "half a transfer was seen": history(
      [1, 2, txn({}, { a: "10", b: "10" })],
      [3, 8, txn({ a: "10", b: "10" }, { a: "7", b: "13" })],
      [4, 5, txn({ a: "7", b: "10" })],
    ),
    "write skew: both saw that the other was not": history(
      begun,
      [3, 8, txn({ x: "0", y: "0" }, { x: "1" })],
      [3, 8, txn({ x: "0", y: "0" }, { y: "1" })],
    ),
    "lost update: both wrote on what they had read": history(
      begun,
      [3, 8, txn({ x: "0" }, { x: "1" })],
      [3, 8, txn({ x: "0" }, { x: "2" })],
    ),
    "dirty read: what was seen is nowhere committed": history(
      begun,
      [3, 8, txn({ x: "5" })],
    ),
    "G1c: each saw what the other wrote": history(
      begun,
      [3, 8, txn({ y: "1" }, { x: "1" })],
      [3, 8, txn({ x: "1" }, { y: "1" })],
    ),
    "G-single: one key before, one after the same transaction": history(
      begun,
      [3, 20, txn({ x: "0", y: "0" }, { x: "1", y: "1" })],
      [4, 19, txn({ x: "0", y: "1" })],
    ),
    "stale look": history(begun, [3, 4, txn({}, { x: "1" })], [5, 6, txn({ x: "0", y: "0" })]),
    "two looks disagree about the order": history(
      begun,
      [3, 20, txn({}, { x: "1" })],
      [3, 20, txn({}, { y: "1" })],
      [4, 6, txn({ x: "1", y: "0" })],
      [7, 9, txn({ x: "0", y: "1" })],
    ),
  });
});

Deno.test("linearizeByKey finds the key that is not in order", () => {
  const operations = history(
    [1, 2, write("a", "one")],
    [1, 2, write("b", "two")],
    [3, 4, read("a", "one")],
    [3, 4, read(null, "two")],
  );
  const found = linearizeByKey(REGISTER, operations, ({ key }) => key);
  assert.equal(found?.key, "two");
  assert.ok(found.verdict.type === "violation");
  assert.deepEqual(found.verdict.stuck.map(({ action }) => action), [read(null, "two")]);
});

Deno.test("linearize agrees with trying all orders, on small random histories", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  const seen = { linearizable: 0, violation: 0, undecided: 0 };
  for (let turn = 0; turn < 3_000; turn++) {
    const operations = Array.from({ length: 5 }, (_, at): Operation<RegisterAction> => {
      const calledAt = random(12);
      const value = [null, "a", "b"][random(3)] ?? null;
      const isUnknown = random(4) === 0;
      const isRead = random(2) === 0 && !isUnknown;
      const returnedAt = isUnknown && random(2) === 0 ? Infinity : calledAt + 1 + random(8);
      const action = isRead ? read(value) : write(value);
      return { client: `c${at}`, calledAt, returnedAt, action, isUnknown };
    });
    const expected = isOrderable(operations, null) ? "linearizable" : "violation";
    const verdict = linearize(REGISTER, operations);
    assert.equal(verdict.type, expected, JSON.stringify(operations));
    seen[expected]++;
  }
  assert.ok(seen.linearizable > 300 && seen.violation > 300, JSON.stringify(seen));
});

/** The definition itself: any operation that no other one has to precede may be next. */
function isOrderable(
  left: readonly Operation<RegisterAction>[],
  state: string | null,
): boolean {
  if (left.every(({ isUnknown }) => isUnknown)) return true;
  return left.some((operation) => {
    const rest = left.filter((other) => other !== operation);
    if (rest.some(({ returnedAt }) => returnedAt < operation.calledAt)) return false;
    const next = REGISTER.step(state, operation.action);
    return (next !== undefined && isOrderable(rest, next)) ||
      (operation.isUnknown && isOrderable(rest, state));
  });
}

Deno.test("linearize decides long histories of many clients, and gives up when it is told to", () => {
  const operations: Operation<RegisterAction>[] = [];
  for (let at = 0; at < 1_000; at++) {
    const client = `c${at % 8}`;
    const time = { calledAt: 10 * at, returnedAt: 10 * at + 70, isUnknown: false };
    operations.push({ client, ...time, action: write(`v${at}`) });
    operations.push({ client, ...time, calledAt: 10 * at + 1, action: read(`v${at}`) });
  }
  assert.equal(linearize(REGISTER, operations).type, "linearizable");
  const late: Operation<RegisterAction> = {
    client: "late",
    calledAt: 20_000,
    returnedAt: 20_001,
    action: read("v10"),
    isUnknown: false,
  };
  assert.equal(linearize(REGISTER, operations, 100).type, "undecided");
  assert.equal(linearize(REGISTER, [...operations.slice(0, 60), late]).type, "violation");
});
