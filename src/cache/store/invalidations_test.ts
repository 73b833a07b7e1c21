import assert from "node:assert/strict";
import { Invalidations } from "./invalidations.ts";

function entry(sequence: number, ...tags: string[]) {
  return { id: 7, tags, sequence };
}

Deno.test("Invalidations covers what began before, by tag, id and all", () => {
  const made = new Invalidations(10);
  made.note(1, { type: "tag", tag: "t" });
  assert.deepEqual([made.covers(entry(0, "s", "t")), made.covers(entry(0, "s"))], [true, false]);
  assert.equal(made.covers(entry(1, "t")), false);
  made.note(2, { type: "id", id: 7 });
  assert.deepEqual([made.covers(entry(1)), made.covers(entry(2))], [true, false]);
  assert.equal(made.covers({ ...entry(1), id: 8 }), false);
  made.note(3, { type: "all" });
  assert.deepEqual([made.covers({ ...entry(2), id: 8 }), made.covers(entry(3, "t"))], [
    true,
    false,
  ]);
});

Deno.test("Invalidations takes numbers out of order, and never lowers one", () => {
  const made = new Invalidations(10);
  made.note(9, { type: "tag", tag: "t" });
  made.note(4, { type: "tag", tag: "u" });
  made.note(3, { type: "tag", tag: "t" });
  assert.equal(made.sequence, 9);
  assert.deepEqual([made.covers(entry(8, "t")), made.covers(entry(9, "t"))], [true, false]);
  assert.deepEqual([made.covers(entry(3, "u")), made.covers(entry(4, "u"))], [true, false]);
  made.note(5, { type: "all" });
  assert.deepEqual([made.covers(entry(4)), made.covers(entry(5))], [true, false]);
  assert.equal(made.covers(entry(8, "t")), true, "a late one of all keeps later ones by tag");
});

Deno.test("Invalidations folds the oldest into the floor when it is full", () => {
  const made = new Invalidations(2);
  made.note(1, { type: "tag", tag: "a" });
  made.note(2, { type: "tag", tag: "b" });
  made.note(3, { type: "tag", tag: "a" }); // Now b is the oldest.
  made.note(4, { type: "tag", tag: "c" });
  assert.equal(made.size, 2);
  assert.equal(made.covers(entry(1, "b")), true);
  assert.equal(made.covers(entry(1, "other")), true, "too much, never too little");
  assert.equal(made.covers(entry(2, "other")), false);
  assert.deepEqual([made.covers(entry(2, "a")), made.covers(entry(3, "a"))], [true, false]);
});

Deno.test("Invalidations.reach() puts the next number above an entry's from elsewhere", () => {
  const made = new Invalidations(2);
  made.reach(50);
  made.reach(20);
  assert.equal(made.sequence, 50);
  assert.equal(made.covers(entry(3, "t")), false);
});
