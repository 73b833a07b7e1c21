import assert from "node:assert/strict";
import { hashText, loadBound, pairUnit, rendezvousScore } from "./affinity.ts";

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-6, `${actual} is not ${expected}`);
}

/** The target each of 20,000 keys prefers. */
function owners(weights: Readonly<Record<string, number>>): string[] {
  return Array.from({ length: 20_000 }, (_, i) => {
    let owner = "";
    let best = 0;
    for (const [name, weight] of Object.entries(weights)) {
      const score = rendezvousScore(weight, pairUnit(hashText(`key-${i}`), hashText(name)));
      if (score > best) [owner, best] = [name, score];
    }
    return owner;
  });
}

Deno.test("rendezvousScore weighs by -w / ln u (case 20)", () => {
  near(rendezvousScore(2, 0.25), 1.442695);
  near(rendezvousScore(1, 0.5), 1.442695);
});

Deno.test("loadBound is 1.25 times the fair share, rounded up (case 19)", () => {
  near(loadBound({ inFlight: 10, weight: 1, weightTotal: 4 }, 1.25), 4);
  near(loadBound({ inFlight: 10, weight: 2, weightTotal: 5 }, 1.25), 6);
});

Deno.test("rendezvousScore shares keys by weight", () => {
  const counts = Map.groupBy(owners({ a: 1, b: 1, c: 2 }), (owner) => owner);
  for (const [name, share] of [["a", 0.25], ["b", 0.25], ["c", 0.5]] as const) {
    const got = (counts.get(name)?.length ?? 0) / 20_000;
    assert.ok(Math.abs(got - share) < 0.015, `${name} has ${got} of the keys`);
  }
});

Deno.test("rendezvousScore moves only the keys of a target that leaves", () => {
  const before = owners({ a: 1, b: 1, c: 2 });
  const after = owners({ a: 1, c: 2 });
  before.forEach((owner, i) => {
    if (owner !== "b") assert.equal(after[i], owner);
  });
});
