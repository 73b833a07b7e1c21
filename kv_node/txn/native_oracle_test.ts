import assert from "node:assert/strict";
import { deserialize, serialize } from "node:v8";
import fc from "fast-check";
import { stampHex, StampOracle } from "../clock/stamps.ts";
import type { Command, KvValue, Outcome } from "../types.ts";
import { decodeCommand, encodeCommand } from "./command_codec.ts";
import { evaluate } from "./evaluate.ts";
import { MapState } from "./map_state_fixture.ts";

/** What a mutation carries, in terms of neither store. */
type Content =
  | { readonly kind: "u64"; readonly number: bigint }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "v8"; readonly plain: number | bigint | string };

interface Step {
  readonly checks: readonly {
    readonly place: number;
    readonly stamp: "right" | "wrong" | "none";
  }[];
  readonly mutations: readonly {
    readonly type: "set" | "delete" | "sum" | "min" | "max";
    readonly place: number;
    readonly content: Content;
    readonly expires: boolean;
  }[];
}

const PLACES = 4;
const HOUR_MS = 3_600_000;
const NO_BOUNDS = { min: null, max: null, clamp: false };

const place = fc.integer({ min: 0, max: PLACES - 1 });
const u64: fc.Arbitrary<Content> = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 1n, 255n, 256n, 2n ** 32n, 2n ** 64n - 1n),
).map((number) => ({ kind: "u64", number }));
const other: fc.Arbitrary<Content> = fc.oneof(
  fc.oneof(
    fc.double(),
    fc.integer(),
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
    fc.bigInt({ min: 0n, max: 9n }),
    fc.constantFrom("", "text"),
  ).map((plain): Content => ({ kind: "v8", plain })),
  fc.uint8Array({ maxLength: 9 }).map((bytes): Content => ({ kind: "bytes", bytes })),
);
/** Mostly of one kind, or most commits would be refused. */
const content = fc.oneof({ arbitrary: u64, weight: 3 }, { arbitrary: other, weight: 1 });
const step: fc.Arbitrary<Step> = fc.record({
  checks: fc.array(
    fc.record({
      place,
      stamp: fc.oneof(
        { arbitrary: fc.constant("right" as const), weight: 4 },
        { arbitrary: fc.constantFrom("wrong" as const, "none" as const), weight: 1 },
      ),
    }),
    { maxLength: 3 },
  ),
  mutations: fc.array(
    fc.record({
      type: fc.constantFrom("set", "set", "delete", "sum", "sum", "min", "max"),
      place,
      content,
      expires: fc.boolean(),
    }),
    { maxLength: 5 },
  ),
});

/** Both stores side by side; stamps differ, so commits are known by their numbers. */
class Pair {
  readonly #native: Deno.Kv;
  readonly #state = new MapState();
  readonly #oracle = new StampOracle(0, null);
  readonly #commitOf = new Map<string, number>();
  readonly #stamps: { readonly native: string; readonly ours: Uint8Array }[] = [];

  constructor(native: Deno.Kv) {
    this.#native = native;
  }

  /** Does the same in both, and compares what they answer and what they hold then. */
  async take(step: Step): Promise<Outcome["type"]> {
    const rightCommits = Array.from({ length: PLACES }, (_, place) => {
      const row = this.#state.get(ourKey(place));
      return row === null ? null : this.#commitOf.get(stampHex(row.stamp)) ?? null;
    });
    const wanted = step.checks.map(({ place, stamp }) => {
      const right = rightCommits[place] ?? null;
      if (stamp === "right") return right;
      return stamp === "none" ? null : (right === null ? this.#stamps.length - 1 : right - 1);
    });
    const before = this.#state.rows();
    const outcome = this.#takeOurs(step, wanted);
    const answer = await this.#takeNative(step, wanted);
    if (outcome.type === "committed") {
      assert.ok(typeof answer === "object" && answer.ok, `committed here, ${answer} there`);
      this.#commitOf.set(stampHex(outcome.stamp), this.#stamps.length);
      this.#commitOf.set(answer.versionstamp, this.#stamps.length);
      this.#stamps.push({ native: answer.versionstamp, ours: outcome.stamp });
    } else {
      assert.deepEqual(this.#state.rows(), before);
      if (outcome.type === "conflict") assert.deepEqual(answer, { ok: false });
      else assert.ok(typeof answer === "string" && outcome.message.includes(answer), `${answer}`);
    }
    // The native store keeps the mutations before the one that it refuses, which we do not.
    if (outcome.type === "invalid") await this.#clear();
    assert.deepEqual(await this.#nativeContent(), this.#ourContent());
    return outcome.type;
  }

  #takeOurs(step: Step, wanted: readonly (number | null)[]): Outcome {
    const command: Command = {
      checks: step.checks.map(({ place }, index) => ({
        key: ourKey(place),
        stamp: this.#stampOf(wanted[index] ?? null)?.ours ?? null,
      })),
      mutations: step.mutations.map(({ type, place, content, expires }) => {
        const key = ourKey(place);
        const value = ourValue(content);
        if (type === "delete") return { type, key };
        if (type === "set") return { type, key, value, expiresMs: expires ? HOUR_MS * 1e6 : null };
        return type === "sum" ? { type, key, value, bounds: NO_BOUNDS } : { type, key, value };
      }),
    };
    const decoded = decodeCommand(encodeCommand(this.#oracle.next(1_000), command));
    return evaluate(decoded.stamp, decoded.command, this.#state);
  }

  async #takeNative(
    step: Step,
    wanted: readonly (number | null)[],
  ): Promise<Deno.KvCommitResult | Deno.KvCommitError | string> {
    const atomic = this.#native.atomic();
    for (const [index, { place }] of step.checks.entries()) {
      const stamp = this.#stampOf(wanted[index] ?? null);
      atomic.check({ key: nativeKey(place), versionstamp: stamp?.native ?? null });
    }
    for (const { type, place, content, expires } of step.mutations) {
      const key = nativeKey(place);
      const value = nativeValue(content);
      if (type === "delete") atomic.delete(key);
      else if (type === "set") atomic.set(key, value, expires ? { expireIn: HOUR_MS } : {});
      else atomic.mutate({ type, key, value: value as Deno.KvU64 });
    }
    try {
      return await atomic.commit();
    } catch (error) {
      if (error instanceof TypeError) return error.message;
      throw error;
    }
  }

  /** The stamps of a commit; those of no commit at all for one that never was. */
  #stampOf(commit: number | null): { readonly native: string; readonly ours: Uint8Array } | null {
    if (commit === null) return null;
    return this.#stamps[commit] ?? { native: "f".repeat(20), ours: new Uint8Array(10).fill(0xff) };
  }

  async #clear(): Promise<void> {
    const atomic = this.#native.atomic();
    for (let place = 0; place < PLACES; place++) {
      atomic.delete(nativeKey(place));
      this.#state.remove(ourKey(place));
    }
    await atomic.commit();
  }

  async #nativeContent(): Promise<unknown[]> {
    const content: unknown[] = [];
    for await (const { key, value, versionstamp } of this.#native.list({ prefix: ["k"] })) {
      content.push([key[1], textOf(value), this.#commitOf.get(versionstamp)]);
    }
    return content;
  }

  #ourContent(): unknown[] {
    return this.#state.rows().map((row) => {
      const view = new DataView(row.data.buffer, row.data.byteOffset, row.data.length);
      const value = row.encoding === 2
        ? new Deno.KvU64(view.getBigUint64(0, true))
        : row.encoding === 3
        ? row.data
        : deserialize(row.data);
      const commit = this.#commitOf.get(stampHex(row.stamp));
      return [String.fromCharCode(row.key[row.key.length - 2] ?? 0), textOf(value), commit];
    });
  }
}

function nativeKey(place: number): Deno.KvKey {
  return ["k", "dacb"[place] ?? ""];
}

/** A space, then two string parts. */
function ourKey(place: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, 1, 2, 0x6b, 0, 2, "dacb".charCodeAt(place), 0);
}

function nativeValue(content: Content): unknown {
  if (content.kind === "u64") return new Deno.KvU64(content.number);
  return content.kind === "bytes" ? content.bytes : content.plain;
}

function ourValue(content: Content): KvValue {
  if (content.kind === "bytes") return { data: content.bytes, encoding: 3 };
  if (content.kind === "v8") return { data: new Uint8Array(serialize(content.plain)), encoding: 1 };
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigUint64(0, content.number, true);
  return { data, encoding: 2 };
}

/** A value with its type, so that equal texts mean equal values. */
function textOf(value: unknown): string {
  if (value instanceof Deno.KvU64) return `u64 ${value.value}`;
  if (value instanceof Uint8Array) return `bytes ${value.toHex()}`;
  return `${typeof value} ${Object.is(value, -0) ? "-0" : String(value)}`;
}

Deno.test("evaluate commits, refuses and stores what Deno's own store does", async () => {
  const counts = { committed: 0, conflict: 0, invalid: 0 };
  const steps = fc.array(step, { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      using native = await Deno.openKv(":memory:");
      const pair = new Pair(native);
      for (const step of steps) counts[await pair.take(step)]++;
    }),
    { numRuns: 200 },
  );
  for (const [type, count] of Object.entries(counts)) assert.ok(count > 50, `${count} ${type}`);
});
