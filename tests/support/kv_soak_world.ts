/**
 * What all actors of a soak share: whether they are to go on, whether the node is
 * being restarted on purpose, what was wrong, and how it went.
 *
 * @module
 */
import { openStore, type Store } from "../../kv_node/compat/mod.ts";
import { openNpmKv } from "./kv_clients.ts";
import type { KillableNode } from "./kv_killable_node.ts";
import type { Random } from "./random.ts";

/** A client of the node: Deno's own, npm's, ours over the link. */
export type ClientKind = "stock" | "npm" | "weir";

/** All of them. */
export const CLIENT_KINDS: readonly ClientKind[] = ["stock", "npm", "weir"];

/** Stock clients want a token, even where the node wants none. */
export const ANY_TOKEN = "any-token";

const COMPLAINTS_MAX = 50;
const COMPLAINT_CHARS_MAX = 600;
/** Versionstamps that are looked through for one that comes twice; then the older half goes. */
const STAMPS_KEPT = 100_000;
/** How far an actor that was held up may hurry afterwards, in milliseconds. */
const HURRY_MS = 100;

/** An operation that was answered. */
export interface Done<Result> {
  /** What it came to. */
  readonly value: Result;
}

/** The shared state of a soak. */
export class SoakWorld {
  /** Whether load goes on. */
  isLoaded = true;
  /** Whether the node is stopped or killed on purpose: clients may fail then. */
  isOutage = false;
  /**
   * Whether an outage may come: a stock client sends again what was not answered, so that
   * a sum may count twice, and a check fail on what the same commit has written.
   */
  isAtRisk = false;
  /** Outages so far. */
  outages = 0;
  /** Operations that were answered. */
  operations = 0;
  /** What was wrong, in words; none in a good run. */
  readonly complaints: string[] = [];
  /** How often something was wrong. */
  complaintCount = 0;
  /** Latencies since they were last taken, in milliseconds. */
  #latencies: number[] = [];
  readonly #print: (line: string) => void;
  readonly #unloaded = Promise.withResolvers<void>();
  #highest = "";
  #stamps = new Set<string>();
  #olderStamps = new Set<string>();

  /** Complaints are printed at once. */
  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** Notes that something is wrong. */
  complain(text: string): void {
    this.complaintCount++;
    if (this.complaints.length >= COMPLAINTS_MAX) return;
    const complaint = text.slice(0, COMPLAINT_CHARS_MAX);
    this.complaints.push(complaint);
    this.#print(`WRONG: ${complaint}`);
  }

  /** Settles when the first load has ended. */
  get unloaded(): Promise<void> {
    return this.#unloaded.promise;
  }

  /** Ends the load. */
  unload(): void {
    this.isLoaded = false;
    this.#unloaded.resolve();
  }

  /** Begins an outage; returns what ends it. */
  beginOutage(): () => void {
    this.outages++;
    this.isOutage = true;
    return () => void (this.isOutage = false);
  }

  /**
   * Carries out one operation.
   *
   * @returns `null` if it failed while an outage excuses that: nobody knows what became of it.
   * Any other failure is a complaint, and `null` too.
   */
  async attempt<Result>(
    what: string,
    run: () => Promise<Result>,
  ): Promise<Done<Result> | null> {
    const { outages, isOutage } = this;
    const startMs = performance.now();
    try {
      const value = await run();
      this.operations++;
      if (!this.isOutage) this.#latencies.push(performance.now() - startMs);
      return { value };
    } catch (error) {
      const isExcused = isOutage || this.isOutage || this.outages !== outages;
      if (!isExcused) this.complain(`${what} failed: ${String(error)}`);
      return null;
    }
  }

  /** The highest versionstamp that was acknowledged; to be taken before a commit begins. */
  get floor(): string {
    return this.#highest;
  }

  /** Notes the versionstamp of a commit that began when `floor` was the highest. */
  committed(floor: string, stamp: string): void {
    if (!/^[0-9a-f]{20}$/.test(stamp)) this.complain(`versionstamp ${stamp} is none`);
    if (stamp <= floor) this.complain(`versionstamp ${stamp} is not above ${floor}`);
    if (this.#stamps.has(stamp) || this.#olderStamps.has(stamp)) {
      this.complain(`two commits have the versionstamp ${stamp}`);
    }
    this.#stamps.add(stamp);
    if (stamp > this.#highest) this.#highest = stamp;
    if (this.#stamps.size < STAMPS_KEPT) return;
    this.#olderStamps = this.#stamps;
    this.#stamps = new Set();
  }

  /** Latencies since the last call, sorted; in milliseconds. */
  takeLatencies(): readonly number[] {
    const taken = this.#latencies;
    this.#latencies = [];
    return taken.sort((one, other) => one - other);
  }
}

/** Calls `step` about so often a second as long as there is load; each call waits for the last. */
export async function pace(
  world: SoakWorld,
  random: Random,
  perSecond: number,
  step: () => Promise<void>,
): Promise<void> {
  const meanMs = 1_000 / perSecond;
  for (let dueMs = performance.now(); world.isLoaded;) {
    await step();
    const nowMs = performance.now();
    dueMs = Math.max(nowMs - HURRY_MS, dueMs + meanMs * random.below(2_000) / 1_000);
    if (dueMs > nowMs) await pause(dueMs - nowMs);
  }
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks again and again; `false` if it did not come true in that time, which is meant to be long. */
export async function cameTrue(
  withinMs: number,
  isTrue: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const endMs = performance.now() + withinMs;
  while (!await isTrue()) {
    if (performance.now() > endMs) return false;
    await pause(100);
  }
  return true;
}

/** Opens a database of the node with a client of that kind. */
export async function openClient(
  kind: ClientKind,
  node: KillableNode,
  database: string,
): Promise<Store> {
  if (kind === "weir") {
    return await openStore(`${node.weirUrl}/${database}`, { token: ANY_TOKEN });
  }
  if (kind === "stock") return await openStore(`${node.url}/${database}`, { token: ANY_TOKEN });
  const { kv } = await openNpmKv(`${node.url}/${database}`, ANY_TOKEN);
  // The same shape; its types say less of keys and more of numbers.
  return kv as unknown as Store;
}
