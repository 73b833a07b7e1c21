/**
 * A store, and gateways that share it, in virtual time.
 *
 * The store is a real one: its answers come when they come, and virtual time goes
 * on in small steps until what is waited for is so.
 *
 * @module
 */
import assert from "node:assert/strict";
import { openStore, type Store } from "deno-kv-compat";
import type { SharingLimits } from "../../src/sharing/settings.ts";
import { VirtualTime } from "../sim/harness.ts";
import { FaultyStore } from "./kv_faults.ts";
import { Gateway } from "./shared_gateways.ts";

/** One store, and gateways that each have their own way to it. */
export class World {
  /** The time of all gateways. */
  readonly time = new VirtualTime();
  /** The store itself, without faults. */
  readonly store: Store;
  /** Each gateway's way to it. */
  readonly ways: FaultyStore[] = [];
  /** The gateways. */
  readonly gateways: Gateway[] = [];

  /** Without gateways yet. */
  constructor(store: Store) {
    this.store = store;
  }

  /** Adds a gateway, and starts it. */
  gateway(limits: Partial<SharingLimits> = {}): { gateway: Gateway; way: FaultyStore } {
    const way = new FaultyStore(this.store, this.time);
    const gateway = new Gateway(way, this.time, this.ways.length + 1, limits).start();
    this.ways.push(way);
    this.gateways.push(gateway);
    return { gateway, way };
  }

  /** Lets virtual time and the store go on until something is so. */
  async until(what: string, holds: () => boolean, stepMs = 1): Promise<void> {
    for (let turns = 0; !holds(); turns++) {
      assert.ok(turns < 20_000, `it never came that ${what}`);
      this.time.runUntil(this.time.nowMs() + stepMs);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  /** Lets virtual time go on, and the store with it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.time.nowMs() + ms;
    await this.until(`${ms} ms are over`, () => this.time.nowMs() >= endMs, Math.max(1, ms / 50));
  }

  /** Waits until a gateway has written so many entries. */
  async written(gateway: Gateway, entries: number): Promise<void> {
    await this.until(
      `${entries} entries are written`,
      () => gateway.shared.stats().writes.written >= entries,
    );
  }

  /** Ends a gateway, whose timers run on virtual time. */
  async close(gateway: Gateway): Promise<void> {
    let isClosed = false;
    void gateway.shared.close().then(() => isClosed = true);
    await this.until("it is closed", () => isClosed);
  }
}

/** Runs something in a world of its own, and closes every gateway in the end. */
export async function inWorld(run: (world: World) => Promise<void>): Promise<void> {
  using store = await openStore("memory:");
  const world = new World(store);
  try {
    await run(world);
  } finally {
    for (const way of world.ways) way.health = "well";
    for (const gateway of world.gateways) await world.close(gateway);
  }
}
