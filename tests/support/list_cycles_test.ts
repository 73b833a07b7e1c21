import assert from "node:assert/strict";
import { listAnomalies, type ListTransaction } from "./list_cycles.ts";

/** `[from, to, reads, appends, outcome]`. */
type Short = readonly [
  number,
  number,
  ListTransaction["reads"],
  ListTransaction["appends"]?,
  ListTransaction["outcome"]?,
];

function found(...shorts: readonly Short[]): readonly string[] {
  return listAnomalies(
    shorts.map(([calledAt, returnedAt, reads, appends = {}, outcome = "done"], at) => ({
      client: `c${at}`,
      calledAt,
      returnedAt,
      reads,
      appends,
      outcome,
    })),
  );
}

Deno.test("listAnomalies finds nothing in what can be done one at a time", () => {
  assert.deepEqual(found(), []);
  assert.deepEqual(
    found(
      [1, 9, { x: [] }, { x: 1 }],
      [1, 9, { x: [1] }, { x: 2, y: 3 }],
      [1, 9, { x: [1], y: [] }],
      [10, 11, { x: [1, 2], y: [3] }],
    ),
    [],
  );
  assert.deepEqual(
    found(
      [1, Infinity, { x: [] }, { x: 1 }, "unknown"],
      [2, 3, { x: [] }, { x: 2 }, "failed"],
      [4, 5, { x: [1] }],
      [6, Infinity, { x: [1] }, { x: 4 }, "unknown"],
    ),
    [],
  );
});

const WRONG: Readonly<Record<string, readonly [RegExp, ...Short[]]>> = {
  "a dirty read": [/had failed/, [1, 5, { x: [] }, { x: 1 }, "failed"], [2, 3, { x: [1] }]],
  "an invention": [/nobody appended/, [2, 3, { x: [7] }]],
  "a lost append": [
    /nobody ever read/,
    [1, 2, { x: [] }, { x: 1 }],
    [1, 2, { x: [] }, { x: 2 }],
    [3, 4, { x: [2] }],
  ],
  "two orders of one list": [
    /no beginning/,
    [1, 9, {}, { x: 1 }],
    [1, 9, {}, { x: 2 }],
    [2, 8, { x: [1, 2] }],
    [2, 8, { x: [2] }],
  ],
  "a number twice": [/twice/, [1, 2, {}, { x: 1 }], [3, 4, { x: [1, 1] }]],
  "lost update": [
    /circle/,
    [1, 9, { x: [] }, { x: 1 }],
    [1, 9, { x: [] }, { x: 2 }],
    [10, 11, { x: [1, 2] }],
  ],
  "write skew": [
    /circle/,
    [1, 9, { x: [], y: [] }, { x: 1 }],
    [1, 9, { x: [], y: [] }, { y: 2 }],
    [10, 11, { x: [1], y: [2] }],
  ],
  "half a transaction seen": [
    /circle/,
    [1, 9, {}, { x: 1, y: 2 }],
    [2, 3, { x: [1], y: [] }],
    [10, 11, { x: [1], y: [2] }],
  ],
  "G1c: two transactions that read each other's appends": [
    /circle/,
    [1, 9, { y: [2] }, { x: 1 }],
    [1, 9, { x: [1] }, { y: 2 }],
    [10, 11, { x: [1], y: [2] }],
  ],
  "G-single: a read before and after one other transaction": [
    /circle/,
    [1, 2, {}, { x: 1 }],
    [3, 20, { x: [1] }, { x: 2, y: 3 }],
    [4, 19, { x: [1], y: [3] }],
    [21, 22, { x: [1, 2], y: [3] }],
  ],
  "G2: a circle of three, each of which missed the next one's append": [
    /circle/,
    [1, 9, { y: [] }, { x: 1 }],
    [1, 9, { z: [] }, { y: 2 }],
    [1, 9, { x: [] }, { z: 3 }],
    [10, 11, { x: [1], y: [2], z: [3] }],
  ],
  "long fork: two readers, two orders": [
    /circle/,
    [1, 20, {}, { x: 1 }],
    [1, 20, {}, { y: 2 }],
    [2, 19, { x: [1], y: [] }],
    [2, 19, { x: [], y: [2] }],
    [21, 22, { x: [1], y: [2] }],
  ],
  "a stale read, in order but late": [
    /circle/,
    [1, 2, {}, { x: 1 }],
    [3, 4, { x: [] }],
    [5, 6, { x: [1] }],
  ],
};

for (const [name, [text, ...shorts]] of Object.entries(WRONG)) {
  Deno.test(`listAnomalies finds ${name}`, () => {
    assert.match(found(...shorts).join("\n"), text);
  });
}
