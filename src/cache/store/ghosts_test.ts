import assert from "node:assert/strict";
import fc from "fast-check";
import { Ghosts, hashKey } from "./ghosts.ts";

Deno.test("Ghosts remembers a key until it is taken", () => {
  const ghosts = new Ghosts(1000);
  ghosts.add(hashKey("a"), 10);
  assert.deepEqual([ghosts.size, ghosts.take(hashKey("b"))], [1, false]);
  assert.deepEqual([ghosts.take(hashKey("a")), ghosts.size], [true, 0]);
  assert.equal(ghosts.take(hashKey("a")), false);
});

Deno.test("Ghosts forgets the oldest beyond its bytes, and what is larger than all at once", () => {
  const ghosts = new Ghosts(100);
  for (const hash of [1, 2, 3]) ghosts.add(hash, 40);
  assert.deepEqual([ghosts.size, ghosts.take(1), ghosts.take(2)], [2, false, true]);
  ghosts.add(4, 101);
  assert.deepEqual([ghosts.size, ghosts.take(3), ghosts.take(4)], [0, false, false]);
});

Deno.test("Ghosts holds no more than 2^18 keys", () => {
  const ghosts = new Ghosts(Infinity);
  for (let hash = 0; hash < 300_000; hash++) ghosts.add(Math.imul(hash, 0x9e3779b1), 1);
  assert.equal(ghosts.size, 2 ** 18);
  assert.equal(ghosts.take(Math.imul(299_999, 0x9e3779b1)), true);
  assert.equal(ghosts.take(Math.imul(300_000 - 2 ** 18, 0x9e3779b1)), true);
  assert.equal(ghosts.take(Math.imul(299_999 - 2 ** 18, 0x9e3779b1)), false);
});

Deno.test("Ghosts agrees with a plain list, colliding hashes included", () => {
  const step = fc.record({
    isTaken: fc.boolean(),
    // Few homes in the table, so that searches run into one another and around its end.
    hash: fc.tuple(fc.constantFrom(0, 1, 127, 126, -1), fc.nat(60))
      .map(([home, turn]) => (home + turn * 2048) | 0),
    sizeBytes: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600, size: "max" }), (steps) => {
      const ghosts = new Ghosts(2000);
      let naive: { hash: number; sizeBytes: number }[] = [];
      for (const { isTaken, hash, sizeBytes } of steps) {
        const isThere = naive.some((ghost) => ghost.hash === hash);
        naive = naive.filter((ghost) => ghost.hash !== hash);
        if (isTaken) assert.equal(ghosts.take(hash), isThere);
        else {
          ghosts.add(hash, sizeBytes);
          naive.push({ hash, sizeBytes });
          while (naive.reduce((sum, ghost) => sum + ghost.sizeBytes, 0) > 2000) naive.shift();
        }
        assert.equal(ghosts.size, naive.length);
      }
      for (const { hash } of naive) assert.ok(ghosts.take(hash));
    }),
    { seed: 4, numRuns: 60 },
  );
});
