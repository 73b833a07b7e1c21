import assert from "node:assert/strict";
import { compareBytes } from "./bytes.ts";
import { decodeKey, encodeKey, type KeyPart } from "./key_codec.ts";
import {
  cursorBehind,
  type ListSelector,
  rangeBehind,
  rangeBelow,
  rangeOfKey,
  selectionOf,
} from "./selector.ts";

const KEYS: readonly (readonly KeyPart[])[] = [
  ...["p", "q", "pp"].map((part) => [part]),
  ...["a", "b", "c", "\0", "ab"].map((part) => ["p", part]),
  ...[1, -1, 2n, true, Uint8Array.of(0), Uint8Array.of(0xff)].map((part) => ["p", part]),
  ...[1, 2, 3].map((part) => ["p", "b", part]),
];

const SELECTORS: readonly ListSelector[] = [
  { prefix: [] },
  { prefix: ["p"] },
  { prefix: ["p", "b"] },
  { prefix: ["none"] },
  { prefix: ["p"], start: ["p", "b"] },
  { prefix: ["p"], end: ["p", "b"] },
  { prefix: ["p"], start: ["p", "b", 2] },
  { start: ["p", "a"], end: ["p", "c"] },
  { start: ["p"], end: ["q"] },
  { start: [], end: [true] },
  { start: ["p", "a"], end: ["p", "a"] },
  // Refused:
  {},
  { start: ["p"] },
  { end: ["p"] },
  { start: ["p", "c"], end: ["p", "a"] },
  { prefix: ["p"], start: ["p"] },
  { prefix: ["p"], start: ["q", "a"] },
  { prefix: ["p"], end: ["p"] },
  { prefix: ["p"], end: ["pp", 1] },
  { prefix: ["p"], start: ["p", "a"], end: ["p", "c"] },
];

interface Listed {
  readonly key: Deno.KvKey;
  readonly cursor: string;
}

/** What our selection picks from the keys, or the text of its error. */
function ours(selector: ListSelector, cursor: string, isReverse: boolean): Listed[] | string {
  try {
    const selection = selectionOf(selector);
    const { start, end } = rangeBehind(selection, cursor, isReverse);
    const keys = KEYS.map((key) => encodeKey(key)).sort(compareBytes)
      .filter((key) => compareBytes(start, key) <= 0 && compareBytes(key, end) < 0);
    if (isReverse) keys.reverse();
    return keys.map((key) => ({ key: decodeKey(key), cursor: cursorBehind(selection, key) }));
  } catch (error) {
    assert.ok(error instanceof TypeError, String(error));
    return error.message;
  }
}

/** What Deno lists. */
async function theirs(
  kv: Deno.Kv,
  selector: ListSelector,
  cursor: string,
  isReverse: boolean,
): Promise<Listed[] | string> {
  const listed: Listed[] = [];
  try {
    const list = kv.list(selector as Deno.KvListSelector, { cursor, reverse: isReverse });
    for await (const { key } of list) listed.push({ key, cursor: list.cursor });
    return listed;
  } catch (error) {
    assert.ok(error instanceof TypeError, String(error));
    return error.message;
  }
}

async function withKeys(run: (kv: Deno.Kv) => Promise<void>): Promise<void> {
  const kv = await Deno.openKv(":memory:");
  try {
    for (const key of KEYS) await kv.set(key, 1);
    await run(kv);
  } finally {
    kv.close();
  }
}

function assertSame(one: Listed[] | string, other: Listed[] | string, what: string): void {
  if (typeof one === "string" && typeof other === "string") {
    assert.ok(one.endsWith(other), `${what}: ${one} / ${other}`);
  } else assert.deepEqual(one, other, what);
}

Deno.test("selectionOf selects and refuses what Deno does, with the same cursors", async () => {
  await withKeys(async (kv) => {
    for (const [index, selector] of SELECTORS.entries()) {
      for (const isReverse of [false, true]) {
        const native = await theirs(kv, selector, "", isReverse);
        assertSame(ours(selector, "", isReverse), native, `selector ${index}`);
      }
    }
  });
});

Deno.test("rangeBehind goes on where Deno goes on, behind each of its cursors", async () => {
  await withKeys(async (kv) => {
    for (const [index, selector] of SELECTORS.entries()) {
      const all = ours(selector, "", false);
      if (typeof all === "string") continue;
      for (const { cursor } of all) {
        for (const isReverse of [false, true]) {
          const native = await theirs(kv, selector, cursor, isReverse);
          assertSame(ours(selector, cursor, isReverse), native, `selector ${index}`);
        }
      }
    }
  });
});

Deno.test("rangeBehind refuses the cursors that Deno refuses", async () => {
  const cursors = ["!!", "A", "AmFiYwA", "AmFiYwA=", "AmFiYwB=", "AmEA", "AmIA", "AmMA", "/_8="];
  await withKeys(async (kv) => {
    for (const [index, selector] of SELECTORS.entries()) {
      for (const cursor of [...cursors, " AmEA", "AmEA====", "____", "=", "AmE=", "AmF="]) {
        for (const isReverse of [false, true]) {
          const native = await theirs(kv, selector, cursor, isReverse);
          assertSame(ours(selector, cursor, isReverse), native, `selector ${index}, ${cursor}`);
        }
      }
    }
  });
});

Deno.test("rangeOfKey holds the key alone, rangeBelow what is below it", () => {
  const key = encodeKey(["p", "b"]);
  const inside = (range: { start: Uint8Array; end: Uint8Array }) =>
    KEYS.map((parts) => encodeKey(parts)).filter((other) =>
      compareBytes(range.start, other) <= 0 && compareBytes(other, range.end) < 0
    ).map((other) => decodeKey(other));
  assert.deepEqual(inside(rangeOfKey(key)), [["p", "b"]]);
  assert.deepEqual(inside(rangeBelow(key)), [["p", "b", 1], ["p", "b", 2], ["p", "b", 3]]);
});
