import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { ENCODING_BYTES, ENCODING_LE64, ENCODING_V8, type ReadRange, type Row } from "../types.ts";
import type { SqlValue } from "./sql_connection.ts";
import { openSqliteState } from "./sqlite_state.ts";
import { checksumOf } from "./state_checksum.ts";
import { StateError, stateFailure } from "./state_error.ts";
import { problemsOf } from "./state_report.ts";
import { rowsOf, rowsOfDamaged, StateTable } from "./state_table.ts";

const IDENTITY = { cluster: "one", group: 1 };
const NOW_MS = 1_790_000_000_000;
const LATER_MS = 1_795_000_000_123;
const STAMP = Uint8Array.of(0, 1, 157, 200, 3, 4, 0, 1, 255, 7);
const ROWS: readonly Row[] = [
  rowOf("a", { expiresMs: LATER_MS + 5 }),
  rowOf("b", {}),
  rowOf("the damaged one", { expiresMs: LATER_MS, encoding: ENCODING_V8 }),
  rowOf("y", { encoding: ENCODING_LE64, data: new Uint8Array(8).fill(3) }),
  rowOf("z", { expiresMs: NOW_MS - 1 }),
];
const LIVE = ROWS.slice(0, -1);
const NUMBER = 3;
const DAMAGED = ROWS[NUMBER - 1] ?? rowOf("", {});
const ALL: ReadRange = {
  start: new Uint8Array(0),
  end: new Uint8Array(40).fill(255),
  limit: 100,
  reverse: false,
};
const NAMED = `row ${NUMBER} in the order of keys: it is not as it was written`;

Deno.test("a state whose row has any bit of any column turned by SQL is refused by every reading", async () => {
  using lab = await openLab();
  const columns: readonly (readonly [string, Uint8Array | number])[] = [
    ["key", DAMAGED.key],
    ["stamp", DAMAGED.stamp],
    ["encoding", DAMAGED.encoding],
    ["expires", DAMAGED.expiresMs ?? 0],
    ["checksum", checksumOf(DAMAGED)],
    ["value", DAMAGED.data],
  ];
  const database = lab.connect();
  const table = new StateTable(database, { ...IDENTITY, path: lab.file });
  for (const [column, value] of columns) {
    const set = database.prepare(`UPDATE entry SET ${column} = ? WHERE key = ?`);
    for (const turned of turnedOf(value)) {
      database.exec("BEGIN");
      set.run(turned, DAMAGED.key);
      const key = column === "key" && turned instanceof Uint8Array ? turned : DAMAGED.key;
      assertDamaged(() => table.get(key), lab.file);
      assertDamaged(() => [...rowsOf(database, lab.file)], lab.file);
      assert.deepEqual(intactOf(database), ROWS.toSpliced(NUMBER - 1, 1));
      if (column === "stamp" || column === "value") {
        assertDamaged(() => table.scan(ALL, NOW_MS), lab.file);
        assertDamaged(() => table.scan({ ...ALL, reverse: true }, NOW_MS), lab.file);
      }
      database.exec("ROLLBACK");
    }
    const [first] = turnedOf(value);
    database.exec("BEGIN");
    set.run(first ?? null, DAMAGED.key);
    database.exec("COMMIT");
    const { rows, problems } = problemsOf(lab.connect(), lab.file);
    assert.equal(rows, ROWS.length);
    assert.ok(problems.some((text) => /row \d in the order of keys: it is not as/.test(text)));
    if (column !== "key") assert.ok(problems.includes(NAMED), problems.join());
    const key = column === "key" && first instanceof Uint8Array ? first : DAMAGED.key;
    set.run(value, key);
  }
  assert.deepEqual(problemsOf(lab.connect(), lab.file), { rows: ROWS.length, problems: [] });
});

Deno.test("a state gives out no wrong row, whichever bit of a row's bytes in the file is turned", async () => {
  using lab = await openLab();
  const bytes = Deno.readFileSync(lab.file);
  const keyAt = placeOf(bytes, DAMAGED.key);
  const end = placeOf(bytes, DAMAGED.data) + DAMAGED.data.length;
  // Before the key: the lengths and kinds of the columns, one byte each, and their own length.
  const start = keyAt - 7;
  assert.equal(bytes[start], 7);
  const counts = { refused: 0, hidden: 0 };
  for (let at = start; at < end; at++) {
    for (let bit = 0; bit < 8; bit++) {
      lab.turn(at, bit);
      using database = lab.connect();
      const place = `byte ${at - start}, bit ${bit}`;
      const table = new StateTable(database, { ...IDENTITY, path: lab.file });
      // The key, or where it stands: the length of the head, and that of the key.
      const isKey = at <= start + 1 || (at >= keyAt && at < keyAt + DAMAGED.key.length);
      for (const read of readsOf(table)) {
        const found = outcomeOf(read);
        if (found === "damaged") counts.refused++;
        else {
          // The limit of checksums: where the key itself is wrong, the row may not be found.
          assert.ok(isKey, place);
          counts.hidden++;
          for (const row of found) assert.deepEqual(row, LIVE.find(hasKeyOf(row)), place);
        }
      }
      assert.equal(outcomeOf(() => [...rowsOf(database, lab.file)]), "damaged", place);
      assert.notDeepEqual(problemsOf(lab.connect(), lab.file).problems, [], place);
      lab.turn(at, bit);
    }
  }
  assert.deepEqual(Deno.readFileSync(lab.file), bytes);
  assert.ok(counts.refused > 1_500 && counts.hidden > 0, JSON.stringify(counts));
});

Deno.test("a state that is open refuses a damaged row, serves others, and takes it anew", async () => {
  using lab = await openLab();
  const place = placeOf(Deno.readFileSync(lab.file), DAMAGED.data);
  lab.turn(place + 2, 4);
  const state = openSqliteState(lab.file, { ...IDENTITY, checkpointer: null });
  const one = { ...ALL, start: DAMAGED.key, end: Uint8Array.of(...DAMAGED.key, 0), limit: 1 };
  assertDamaged(() => state.get(DAMAGED.key), lab.file);
  assertDamaged(() => state.scan(one, NOW_MS), lab.file);
  assertDamaged(() => state.scan(ALL, NOW_MS), lab.file);
  assert.deepEqual(state.get(ROWS[3]?.key ?? DAMAGED.key), ROWS[3]);
  assert.deepEqual(state.scan({ ...ALL, limit: 2 }, NOW_MS), LIVE.slice(0, 2));
  const position = { term: 1, index: 2, stamp: STAMP };
  assertDamaged(() => state.transact(position, (writer) => writer.get(DAMAGED.key)), lab.file);
  assert.equal(state.applied.index, 1);
  state.transact(position, (writer) => writer.put(DAMAGED));
  assert.deepEqual(state.scan(ALL, NOW_MS), LIVE);
  await state.close();
});

Deno.test("a state refuses a range with an expired row that the index of expiry does not know", async () => {
  using lab = await openLab();
  const bytes = Deno.readFileSync(lab.file);
  const key = ROWS.at(-1)?.key ?? DAMAGED.key;
  const listed = [placeOf(bytes, key), placeOf(bytes, key, placeOf(bytes, key) + 1)]
    .find((at) => bytes[at - 7] !== 7) ?? 0;
  lab.turn(listed - 1, 0); // The time stands before the key there.
  const table = new StateTable(lab.connect(), { ...IDENTITY, path: lab.file });
  assertDamaged(() => table.scan(ALL, NOW_MS), lab.file);
  assert.deepEqual(table.get(key), ROWS.at(-1));
});

Deno.test("rowsOfDamaged says where pages are in disorder, and reads what is on either side", async () => {
  using lab = await openLab();
  const many = Array.from(
    { length: 500 },
    (_, number) =>
      rowOf(String(number).padStart(4, "0"), { data: new Uint8Array(100).fill(number) }),
  );
  const state = openSqliteState(lab.file, { ...IDENTITY, checkpointer: null });
  state.transact({ term: 1, index: 2, stamp: STAMP }, (writer) => many.forEach(writer.put, writer));
  await state.close();
  const bytes = Deno.readFileSync(lab.file);
  const place = placeOf(bytes, many[250]?.key ?? DAMAGED.key);
  for (let at = 0; at < 8; at++) lab.turn(place - place % 4_096 + at, at); // The head of its page.
  const read = { forward: 0, backward: 0 };
  for (const direction of ["forward", "backward"] as const) {
    assertDamaged(() => {
      for (const _ of rowsOfDamaged(lab.connect(), lab.file, direction)) read[direction]++;
    }, lab.file);
  }
  const count = ROWS.length + many.length;
  assert.ok(read.forward > 100 && read.backward > 100, JSON.stringify(read));
  assert.ok(read.forward + read.backward < count && read.forward + read.backward > count - 80);
  assertDamaged(() => [...rowsOf(lab.connect(), lab.file)], lab.file);
});

Deno.test("openSqliteState refuses a state whose position or count has a bit turned", async () => {
  using lab = await openLab();
  const columns: readonly (readonly [string, SqlValue])[] = [
    ["cluster", "ond"],
    ["replication_group", 0],
    ["term", 0],
    ["log_index", 3],
    ["log_index", 2n ** 62n + 1n],
    ["stamp", STAMP.with(9, 6)],
    ["stamp", null],
    ["entries", ROWS.length ^ 64],
    ["checksum", 5],
  ];
  const database = lab.connect();
  const [row] = database.prepare("SELECT * FROM meta").all();
  for (const [column, value] of columns) {
    database.prepare(`UPDATE meta SET ${column} = ?`).run(value);
    assert.throws(
      () => openSqliteState(lab.file, { ...IDENTITY, checkpointer: null }),
      { name: "StateError", kind: "damaged", message: /what it says of itself is not as it was/ },
    );
    database.prepare(`UPDATE meta SET ${column} = ?`).run(row?.[column] as SqlValue);
  }
  await openSqliteState(lab.file, { ...IDENTITY, checkpointer: null }).close();
});

interface Lab extends Disposable {
  readonly file: string;
  connect(): DatabaseSync;
  /** Turns a bit of the file. */
  turn(offset: number, bit: number): void;
}

/** A state with the rows, closed, all in its main file. */
async function openLab(): Promise<Lab> {
  const path = Deno.makeTempDirSync({ prefix: "weir-state-" });
  const file = `${path}/state`;
  const state = openSqliteState(file, { ...IDENTITY, checkpointer: null });
  state.transact({ term: 1, index: 1, stamp: STAMP }, (writer) => {
    for (const row of ROWS) writer.put(row);
  });
  await state.close();
  const opened = new Set<DatabaseSync>();
  const byte = new Uint8Array(1);
  return {
    file,
    connect() {
      const connection = new DatabaseSync(file);
      opened.add(connection);
      return connection;
    },
    turn(offset, bit) {
      for (const connection of opened) if (connection.isOpen) connection.close();
      opened.clear();
      using handle = Deno.openSync(file, { read: true, write: true });
      handle.seekSync(offset, Deno.SeekMode.Start);
      handle.readSync(byte);
      byte[0] = (byte[0] ?? 0) ^ (1 << bit);
      handle.seekSync(offset, Deno.SeekMode.Start);
      handle.writeSync(byte);
    },
    [Symbol.dispose]() {
      for (const connection of opened) if (connection.isOpen) connection.close();
      Deno.removeSync(path, { recursive: true });
    },
  };
}

function readsOf(table: StateTable): readonly (() => readonly Row[])[] {
  return [
    () => [table.get(DAMAGED.key)].filter((row) => row !== null),
    () => table.scan(ALL, NOW_MS),
    () => table.scan({ ...ALL, reverse: true }, NOW_MS),
  ];
}

/** What a reading gave, if it did not say that the file is damaged. */
function outcomeOf(read: () => readonly Row[]): readonly Row[] | "damaged" {
  try {
    return read();
  } catch (error) {
    const failure = stateFailure(error, "Cannot read");
    assert.ok(failure instanceof StateError, String(error));
    assert.equal(failure.kind, "damaged");
    return "damaged";
  }
}

function assertDamaged(read: () => unknown, file: string): void {
  assert.throws(read, (thrown: unknown) => {
    const error = stateFailure(thrown, `Cannot read ${file}`);
    assert.ok(error instanceof StateError, String(thrown));
    assert.equal(error.kind, "damaged");
    assert.ok(error.message.startsWith(`Cannot read ${file}: `), error.message);
    assert.ok(!error.message.includes("the damaged one"));
    return true;
  });
}

function intactOf(database: DatabaseSync): readonly Row[] {
  const forward = [...rowsOfDamaged(database, "state", "forward")];
  assert.deepEqual(forward.toReversed(), [...rowsOfDamaged(database, "state", "backward")]);
  assert.equal(forward.length, ROWS.length);
  return forward.filter((row) => row !== null);
}

function turnedOf(value: Uint8Array | number): readonly SqlValue[] {
  if (typeof value === "number") {
    return Array.from(
      { length: 64 },
      (_, bit) => BigInt.asIntN(64, BigInt(value) ^ (1n << BigInt(bit))),
    );
  }
  return Array.from({ length: 8 * value.length }, (_, bit) => {
    const place = bit >> 3;
    return value.with(place, (value[place] ?? 0) ^ (1 << (bit & 7)));
  });
}

function placeOf(bytes: Uint8Array, part: Uint8Array, from = 0): number {
  for (let at = from; at + part.length <= bytes.length; at++) {
    if (part.every((byte, place) => bytes[at + place] === byte)) return at;
  }
  throw new Error("Cannot find the bytes in the file");
}

function hasKeyOf({ key }: Row): (row: Row) => boolean {
  return (row) => row.key.length === key.length && row.key.every((byte, i) => byte === key[i]);
}

function rowOf(key: string, parts: Partial<Row>): Row {
  return {
    key: Uint8Array.of(0, 0, 0, 4, ...new TextEncoder().encode(key)),
    stamp: STAMP,
    encoding: ENCODING_BYTES,
    expiresMs: null,
    data: new TextEncoder().encode(`the value of ${key}`),
    ...parts,
  };
}
