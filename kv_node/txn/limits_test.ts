import assert from "node:assert/strict";
import { KvError, type KvErrorCode } from "../errors.ts";
import {
  type Check,
  type Command,
  DEFAULT_LIMITS,
  type KvValue,
  type Limits,
  type Mutation,
  type ReadRange,
} from "../types.ts";
import { checkCommand, checkRanges, checkWatchedKeys } from "./limits.ts";

const SPACE_BYTES = 4;

/** A complete key of which the client's part is a byte string of that many bytes. */
function key(clientBytes: number, fill = 1): Uint8Array {
  return new Uint8Array(SPACE_BYTES + clientBytes).fill(fill);
}

function bytes(size: number): KvValue {
  return { data: new Uint8Array(size), encoding: 3 };
}

function set(keyBytes: number, size: number): Mutation {
  return { type: "set", key: key(keyBytes), value: bytes(size), expiresMs: null };
}

function repeat<Item>(count: number, item: Item): Item[] {
  return Array.from({ length: count }, () => item);
}

function commit(mutations: Mutation[], checks: Check[] = []): Command {
  return { checks, mutations };
}

function assertRefused(run: () => void, code: KvErrorCode, message: string): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof KvError);
    assert.equal(error.code, code);
    assert.equal(error.message, message);
    return true;
  });
}

const LIMIT = "limit_exceeded";

Deno.test("checkCommand lets every limit be reached and none be passed", () => {
  const check = (count: number): Check[] => repeat(count, { key: key(1), stamp: null });
  const cases: [Command, Command, string][] = [
    [
      commit([], check(100)),
      commit([], check(101)),
      "too many checks (max 100, given 101; limit checksMax)",
    ],
    [
      commit(repeat(1_000, set(1, 0))),
      commit(repeat(1_001, set(1, 0))),
      "too many mutations (max 1000, given 1001; limit mutationsMax)",
    ],
    [
      commit([set(2_048, 0)]),
      commit([set(2_049, 0)]),
      "key too large for write (max 2048 bytes, given 2049 bytes; limit keyBytesMax)",
    ],
    [
      commit([], [{ key: key(2_048), stamp: null }]),
      commit([], [{ key: key(2_049), stamp: null }]),
      "key too large for write (max 2048 bytes, given 2049 bytes; limit keyBytesMax)",
    ],
    [
      commit([set(1, 65_536)]),
      commit([set(1, 65_537)]),
      "value too large (max 65536 bytes, given 65537 bytes; limit valueBytesMax)",
    ],
    [
      // 12 values with two keys each, a check, a deletion, and what is left of 819,200.
      commit(
        [...repeat(12, set(100, 65_536)), { type: "delete", key: key(9) }, set(10, 30_328)],
        [{ key: key(11), stamp: null }],
      ),
      commit(
        [...repeat(12, set(100, 65_536)), { type: "delete", key: key(9) }, set(10, 30_329)],
        [{ key: key(11), stamp: null }],
      ),
      "total mutation size too large " +
      "(max 819200 bytes, given 819201 bytes; limit commitBytesMax)",
    ],
    [
      commit([
        ...repeat(40, set(2_048, 0)),
        ...repeat(9, { type: "delete", key: key(2_048) } as const),
      ]),
      commit([...repeat(40, set(2_048, 0)), set(1, 0)]),
      "total key size too large (max 81920 bytes, given 81921 bytes; limit commitKeyBytesMax)",
    ],
  ];
  for (const [most, tooMuch, message] of cases) {
    checkCommand(most, DEFAULT_LIMITS);
    assertRefused(() => checkCommand(tooMuch, DEFAULT_LIMITS), LIMIT, `Cannot commit: ${message}`);
  }
});

Deno.test("checkCommand agrees with Deno's own store on totals, to the byte", async () => {
  using native = await Deno.openKv(":memory:");
  const clientKey = new Uint8Array(98);
  const verdicts: boolean[] = [];
  for (const size of [29_860, 29_861]) {
    const checks = [{ key: key(100), stamp: null }];
    // An unsigned number counts 8 bytes; the check is one that fails, but is counted.
    const value: KvValue = { data: new Uint8Array(8), encoding: 2 };
    const sum: Mutation = {
      type: "sum",
      key: key(100),
      value,
      bounds: { min: null, max: null, clamp: false },
    };
    const command = commit([...repeat(12, set(100, 65_536)), sum, set(100, size)], checks);
    await native.set([clientKey.fill(1)], 1);
    const atomic = native.atomic().check({ key: [clientKey], versionstamp: null });
    for (let count = 0; count < 12; count++) atomic.set([clientKey], new Uint8Array(65_536));
    atomic.sum([clientKey], 0n).set([clientKey], new Uint8Array(size));
    const isFine = await atomic.commit().then(() => true, () => false);
    verdicts.push(isFine);
    if (isFine) checkCommand(command, DEFAULT_LIMITS);
    else assert.throws(() => checkCommand(command, DEFAULT_LIMITS), { code: LIMIT });
  }
  assert.deepEqual(verdicts, [true, false]);
});

Deno.test("checkCommand counts the bounds of a sum", () => {
  const sum = (size: number): Mutation => ({
    type: "sum",
    key: key(1),
    value: bytes(0),
    bounds: { min: new Uint8Array(size), max: null, clamp: true },
  });
  assertRefused(
    () => checkCommand(commit([sum(65_537)]), DEFAULT_LIMITS),
    LIMIT,
    "Cannot commit: bound of a sum too large " +
      "(max 65536 bytes, given 65537 bytes; limit valueBytesMax)",
  );
  checkCommand(commit(repeat(12, sum(65_536))), DEFAULT_LIMITS);
  assert.throws(() => checkCommand(commit(repeat(13, sum(65_536))), DEFAULT_LIMITS), {
    code: LIMIT,
  });
});

Deno.test("checkCommand does not count what only a node writes", () => {
  checkCommand(
    commit([
      ...repeat(1_000, { type: "delete", key: key(1) } as const),
      ...repeat(20, { type: "append", key: key(3_000), value: bytes(65_537) } as const),
      { type: "expire", key: key(3_000) },
    ]),
    DEFAULT_LIMITS,
  );
});

Deno.test("checkCommand refuses what no client can mean", () => {
  const empty = "Cannot commit: key cannot be empty";
  assertRefused(() => checkCommand(commit([set(0, 1)]), DEFAULT_LIMITS), "bad_request", empty);
  const check = { key: key(0), stamp: null };
  assertRefused(() => checkCommand(commit([], [check]), DEFAULT_LIMITS), "bad_request", empty);
  const short: KvValue = { data: new Uint8Array(7), encoding: 2 };
  const least: Mutation = { type: "min", key: key(1), value: short };
  assertRefused(
    () => checkCommand(commit([least]), DEFAULT_LIMITS),
    "bad_request",
    "Cannot commit: an unsigned 64-bit number must have 8 bytes, given 7",
  );
  for (const expiresMs of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
    const value = bytes(1);
    const type = "set_suffixed";
    const command = commit([{ type, key: key(1), value, expiresMs }]);
    assert.throws(() => checkCommand(command, DEFAULT_LIMITS), { code: "bad_request" });
  }
  checkCommand(
    commit([{ type: "set", key: key(1), value: bytes(1), expiresMs: 2 ** 53 - 1 }]),
    DEFAULT_LIMITS,
  );
});

Deno.test("checkCommand takes the limits that it is given", () => {
  const limits: Limits = { ...DEFAULT_LIMITS, valueBytesMax: 10, mutationsMax: 1 };
  checkCommand(commit([set(1, 10)]), limits);
  assertRefused(
    () => checkCommand(commit([set(1, 11)]), limits),
    LIMIT,
    "Cannot commit: value too large (max 10 bytes, given 11 bytes; limit valueBytesMax)",
  );
  assert.throws(() => checkCommand(commit(repeat(2, set(1, 1))), limits), { code: LIMIT });
});

Deno.test("checkRanges lets every limit be reached and none be passed", () => {
  const range = (limit: number, startBytes = 1, endBytes = 2): ReadRange => ({
    start: key(startBytes),
    end: key(endBytes),
    limit,
    reverse: false,
  });
  const tooLarge =
    "key too large for read (max 2049 bytes, given 2050 bytes; limit readKeyBytesMax)";
  const cases: [ReadRange[], ReadRange[], string][] = [
    [
      repeat(10, range(1)),
      repeat(11, range(1)),
      "too many ranges (max 10, given 11; limit rangesMax)",
    ],
    [[range(1, 2_049)], [range(1, 2_050)], tooLarge],
    [[range(1, 1, 2_049)], [range(1, 1, 2_050)], tooLarge],
    [[range(1_000)], [range(1_001)], "too many entries (max 1000, given 1001; limit entriesMax)"],
    [
      repeat(10, range(100)),
      [...repeat(9, range(100)), range(101)],
      "too many entries (max 1000, given 1001; limit entriesMax)",
    ],
  ];
  for (const [most, tooMuch, message] of cases) {
    checkRanges(most, DEFAULT_LIMITS);
    assertRefused(() => checkRanges(tooMuch, DEFAULT_LIMITS), LIMIT, `Cannot read: ${message}`);
  }
  for (const limit of [0, -1, 0.5, NaN]) {
    assertRefused(
      () => checkRanges([range(limit)], DEFAULT_LIMITS),
      "bad_request",
      "Cannot read: the limit of a range must be greater than 0",
    );
  }
});

Deno.test("checkRanges takes a range for empty, not for wrong, that ends before it starts", () => {
  const range = { start: key(1, 9), end: key(1, 2), limit: 1, reverse: false };
  checkRanges([range, { ...range, start: key(0) }], DEFAULT_LIMITS);
});

Deno.test("checkWatchedKeys lets every limit be reached and none be passed", () => {
  checkWatchedKeys(repeat(10, key(2_049)), DEFAULT_LIMITS);
  assertRefused(
    () => checkWatchedKeys(repeat(11, key(1)), DEFAULT_LIMITS),
    LIMIT,
    "Cannot watch: too many keys (max 10, given 11; limit watchedKeysMax)",
  );
  assertRefused(
    () => checkWatchedKeys([key(2_050)], DEFAULT_LIMITS),
    LIMIT,
    "Cannot watch: key too large for read " +
      "(max 2049 bytes, given 2050 bytes; limit readKeyBytesMax)",
  );
});
