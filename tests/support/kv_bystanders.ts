/**
 * Clients of a node that want nothing but to be served, whatever others do to it:
 * `Deno.openKv`, `@deno/kv` and our own, each of which writes and reads what it wrote.
 *
 * @module
 */
import assert from "node:assert/strict";
import { openStore, type Store } from "../../kv_node/compat/mod.ts";
import { openNpmKv } from "./kv_clients.ts";
import type { KillableNode } from "./kv_killable_node.ts";

type BystanderStore = Pick<Store, "get" | "delete"> & {
  set(key: readonly string[], value: unknown): Promise<unknown>;
};

/** Stock clients wait without end; a busy machine is no reason for our own to give up. */
const DEADLINE_MS = 120_000;

/** Clients at work. */
export class Bystanders implements AsyncDisposable {
  /** Rounds of each: a write, and a read that gave what was written. */
  readonly rounds: number[] = [];
  readonly #closing: DisposableStack;
  readonly #working: Promise<void>[] = [];
  #isOver = false;
  #waiting: { readonly targets: readonly number[]; readonly settle: () => void } | null = null;

  private constructor(stores: readonly BystanderStore[], closing: DisposableStack) {
    this.#closing = closing;
    for (const [at, store] of stores.entries()) {
      this.rounds.push(0);
      const work = this.#work(at, store);
      // It is told by `progress` and at the end.
      work.catch(() => {});
      this.#working.push(work);
    }
  }

  /** Opens one of each kind, in the database `bystanders`, and sets them to work. */
  static async open(node: KillableNode, token: string): Promise<Bystanders> {
    using opened = new DisposableStack();
    const deno = opened.use(await openStore(`${node.url}/bystanders`, { token }));
    const npm = opened.use(await openNpmKv(`${node.url}/bystanders`, token));
    const patient = { token, deadlineMs: DEADLINE_MS };
    const weir = opened.use(await openStore(`${node.weirUrl}/bystanders`, patient));
    return new Bystanders([deno, npm.kv, weir], opened.move());
  }

  /**
   * Waits until each has done so many more rounds.
   *
   * @throws What one of them was told, or an `AssertionError` if it read something else.
   */
  async progress(more: number): Promise<void> {
    const targets = this.rounds.map((count) => count + more);
    const served = new Promise<void>((settle) => this.#waiting = { targets, settle });
    // As long as nobody fails nobody ends.
    await Promise.race([served, ...this.#working]);
    this.#waiting = null;
  }

  /** Ends them; rejects if one has failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    try {
      await Promise.all(this.#working);
    } finally {
      this.#closing.dispose();
    }
  }

  async #work(at: number, store: BystanderStore): Promise<void> {
    const key = ["own", crypto.randomUUID()];
    for (let count = 1; !this.#isOver; count++) {
      await store.set(key, count);
      assert.equal((await store.get(key)).value, count);
      this.rounds[at] = count;
      const { targets = [], settle } = this.#waiting ?? {};
      if (targets.every((target, other) => (this.rounds[other] ?? 0) >= target)) settle?.();
    }
    await store.delete(key);
  }
}
