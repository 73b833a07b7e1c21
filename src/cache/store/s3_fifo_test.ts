import assert from "node:assert/strict";
import { hashKey } from "./ghosts.ts";
import { CHANCES_MAX, Lane, Resident, S3Fifo } from "./s3_fifo.ts";

/** Queues for `room` items of one byte, with one lane for half of them unless told otherwise. */
class Stage {
  readonly queues: S3Fifo<string>;
  readonly spent = new Set<string>();
  readonly #items = new Map<string, Resident<string>>();
  readonly #room: number;

  constructor(room: number) {
    this.#room = room;
    this.queues = new S3Fifo(room, (name) => this.spent.has(name));
  }

  item(name: string): Resident<string> {
    const item = this.#items.get(name);
    assert.ok(item, name);
    return item;
  }

  /** Stores items, making room as a cache does; gives the names of those that left for it. */
  store(names: readonly string[], lane = this.lane): string {
    const left: string[] = [];
    for (const name of names) {
      if (this.queues.bytes === this.#room) left.push(this.evict());
      const item = new Resident(name, hashKey(name), 1, lane);
      this.#items.set(name, item);
      this.queues.admit(item, null);
    }
    return left.join(" ");
  }

  readonly lane: Lane<string> = new Lane(1000);

  evict(lane: Lane<string> | null = null): string {
    return this.queues.evict(lane, 0)?.value ?? "none";
  }

  use(name: string, times = 1): void {
    for (let i = 0; i < times; i++) this.queues.use(this.item(name));
  }
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

Deno.test("S3Fifo lets what comes once pass by what was used", () => {
  const stage = new Stage(20);
  stage.store(names("kept", 10));
  for (const name of names("kept", 10)) stage.use(name);
  const left = stage.store(names("once", 500)).split(" ");
  assert.equal(left.length, 490);
  assert.ok(left.every((name) => name.startsWith("once")), "a used item was washed out");
});

Deno.test("S3Fifo takes a ghost straight into the main queue", () => {
  const stage = new Stage(10);
  stage.store(names("x", 10));
  assert.equal(stage.store(["y"]), "x0");
  assert.equal(stage.queues.ghosts, 1);
  stage.store(["x0"]);
  assert.equal(stage.item("x0").isMain, true);
  assert.equal(stage.item("y").isMain, false);
  assert.equal(stage.queues.ghosts, 1, "x1 went for it; its own ghost is used up");
});

Deno.test("S3Fifo leaves no ghost of what leaves the main queue", () => {
  const stage = new Stage(10);
  stage.store(["a"]);
  stage.use("a");
  stage.store(["b"]);
  assert.equal(stage.evict(), "b");
  assert.equal(stage.queues.ghosts, 1);
  assert.equal(stage.evict(), "a");
  assert.equal(stage.queues.ghosts, 1);
  assert.deepEqual([stage.evict(), stage.queues.bytes], ["none", 0]);
});

Deno.test("S3Fifo gives an item of the main queue a round for each use, three at most", () => {
  const stage = new Stage(10);
  stage.store(["a", "b"]);
  stage.use("a");
  stage.use("b");
  stage.store(["c"]);
  assert.equal(stage.evict(), "c"); // Now both are in the main queue, their uses forgotten.
  stage.use("a", 50);
  stage.use("b", 2);
  assert.equal(stage.item("a").uses, 3);
  assert.equal(stage.evict(), "b");
  assert.equal(stage.item("a").uses, 0);
});

Deno.test("S3Fifo gives nothing that is spent another round", () => {
  const stage = new Stage(10);
  stage.store(["a", "b"]);
  stage.use("a", 3);
  stage.use("b", 3);
  stage.spent.add("b");
  assert.equal(stage.evict(), "b");
});

Deno.test("S3Fifo passes over no more than CHANCES_MAX items for one eviction", () => {
  const stage = new Stage(10 * CHANCES_MAX);
  const all = names("x", 3 * CHANCES_MAX);
  stage.store(all);
  for (const name of all) stage.use(name, 3);
  assert.equal(stage.evict(), `x${CHANCES_MAX}`);
});

Deno.test("S3Fifo evicts from a lane by the lane's own queues", () => {
  const stage = new Stage(100);
  const other = new Lane<string>(10);
  stage.store(names("x", 5));
  stage.store(["a", "b", "c"], other);
  stage.use("a");
  assert.equal(stage.evict(other), "b");
  assert.deepEqual([other.bytes, stage.lane.bytes, stage.queues.bytes], [2, 5, 7]);
  assert.deepEqual([stage.evict(other), stage.evict(other), stage.evict(other)], [
    "c",
    "a",
    "none",
  ]);
  assert.equal(stage.evict(), "x0");
});

Deno.test("S3Fifo passes standing on to what replaces an item, or comes back after its time", () => {
  const stage = new Stage(10);
  stage.store(["a", "b"]);
  stage.use("a", 2);
  const [a, b] = [stage.item("a"), stage.item("b")];
  stage.queues.remove(a);
  const replacement = new Resident("a", hashKey("a"), 1, stage.lane);
  stage.queues.admit(replacement, a);
  assert.deepEqual([replacement.uses, replacement.isMain], [2, false]);
  stage.queues.retire(replacement);
  stage.queues.retire(b);
  assert.equal(stage.queues.ghosts, 1, "of the one that was in use");
  stage.store(["a", "b"]);
  assert.deepEqual([stage.item("a").isMain, stage.item("b").isMain], [true, false]);
});
