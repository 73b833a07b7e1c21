/**
 * What must never happen, checked by what the simulation itself knows.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type GuardLevel, guardRefusal } from "../../src/cache/guards/guard.ts";
import { foldText } from "../../src/cache/request/fold.ts";
import type { CacheRules } from "../../src/cache/types.ts";
import type { Answer } from "./cache_never_backend.ts";
import { cosineOf, vectorOf } from "./cache_never_index.ts";
import type { Ask } from "./cache_never_universe.ts";
import { endsCleanly, isStorable, readStream, readWhole } from "./cache_never_wire.ts";

/** How a client's part ended. */
export type Ending = "whole" | "clean" | "abnormal" | "left";

/** One client, from its request to its end. */
export interface Run {
  /** What it asked for. */
  readonly ask: Ask;
  /** Invalidations that had been made when it began. */
  readonly startedAt: number;
  /** Whether it joined a request in progress. */
  joined: boolean;
  /** Header fields of its reply, once it has one. */
  headers: ReadonlyMap<string, string> | null;
  /** Invalidations that had been made when it got its reply. */
  repliedAt: number;
  /** When it got its reply. */
  repliedMs: number;
  /** Tags of the entry that answered it. */
  entryTags: readonly string[];
  /** What it was sent. */
  wire: string;
}

/** What the oracle needs to know. */
export interface OracleParts {
  /** What was declared void. */
  readonly marks: VoidMarks;
  /** Answers by number. */
  readonly answers: readonly Answer[];
  /** The client that a request belongs to. */
  readonly runOf: (ask: Ask) => Run;
  /** How much the guards leave to the embedder. */
  readonly guardLevel: GuardLevel;
  /** Rules of a model. */
  readonly rulesOf: (model: string) => CacheRules;
  /** Whether a request had failed for want of a backend. */
  readonly hasFailed: (ask: Ask) => boolean;
}

/** What was declared void, and when. */
export class VoidMarks {
  /** Invalidations so far. */
  count = 0;
  readonly #byTag = new Map<string | null, number[]>();

  /** Notes one by tag, or of all. */
  mark(tag: string | null): void {
    this.count++;
    const marks = this.#byTag.get(tag) ?? [];
    marks.push(this.count);
    this.#byTag.set(tag, marks);
  }

  /** The last one that concerns any of these tags, up to a moment. */
  last(tags: readonly string[], upTo: number): number {
    const each = [null, ...tags].map((tag) =>
      this.#byTag.get(tag)?.findLast((mark) => mark <= upTo) ?? 0
    );
    return Math.max(...each);
  }
}

/** Jitter makes lives up to a tenth longer. */
const JITTER = 1.1;

/** Checks what clients were sent. */
export class Oracle {
  /** Hits by layer, and what else was seen. */
  readonly tally = new Map<string, number>();
  readonly #parts: OracleParts;

  constructor(parts: OracleParts) {
    this.#parts = parts;
  }

  /** A client's part is over: whatever it got must have been right. */
  ended(run: Run, ending: Ending): void {
    const layer = run.headers?.get("x-weir-cache") ?? null;
    if (layer === null) return;
    this.#count(layer);
    this.#count(`ended ${ending}`);
    const number = /<(\d+)> /.exec(run.wire)?.[1];
    const answer = number === undefined ? null : this.#parts.answers[Number(number)] ?? null;
    const isHit = HITS.includes(layer);
    if (answer === null) {
      assert.ok(!isHit || ending === "left", `a hit of nothing: ${run.wire}`);
      return;
    }
    assert.equal(answer.ask.partition, run.ask.partition, `${layer} across scopes`);
    if (isHit) this.#hit(run, layer, ending, answer);
    else this.#live(run, layer, ending, answer);
  }

  #count(name: string): void {
    this.tally.set(name, (this.tally.get(name) ?? 0) + 1);
  }

  #live(run: Run, layer: string, ending: Ending, answer: Answer): void {
    const { ask, wire } = run;
    assert.equal(answer.ask.wording.text, ask.wording.text, "somebody else's question");
    if (layer === "flight") {
      assert.ok(!ask.noStore, "shares an answer that is kept, and forbids keeping it");
      const voided = this.#parts.marks.last(ask.ownTags, run.startedAt);
      const { startedAt } = this.#parts.runOf(answer.ask);
      assert.ok(voided <= startedAt, "joined a request begun before an invalidation");
    } else assert.equal(answer.ask, ask, "an answer to another request");
    // Part of a replay at a pace, in the other form.
    if (ending === "left" && ask.inbound.stream && answer.whole !== null) return;
    const isEnded = ending === "whole" || ending === "clean";
    if (isEnded && layer === "flight" && this.#isReplay(run, answer)) return;
    if (ending === "whole") return assert.equal(wire, answer.whole);
    const sent = answer.events.filter(({ usageOnly }) => !usageOnly || ask.inbound.wantsUsage)
      .map(({ text }) => text).join("");
    if (ending === "clean") {
      assert.ok(endsCleanly(answer.kind), `${answer.kind} ended cleanly`);
      return assert.equal(wire, sent);
    }
    const cut = wire.indexOf(BEHIND);
    const own = cut < 0 ? wire : wire.slice(0, wire.lastIndexOf("\n\n", cut) + 2);
    assert.ok(sent.startsWith(own) || (cut >= 0 && cut < 80), `${wire} is no part of ${sent}`);
    assert.ok(ending === "left" || cut >= 0 || !endsCleanly(answer.kind), "cut for no reason");
  }

  /** Whether it was made from the record of an answer in the other form. */
  #isReplay({ ask, wire }: Run, answer: Answer): boolean {
    const isOtherForm = ask.inbound.stream ? answer.whole !== null : answer.whole === null;
    if (!isOtherForm) return false;
    assert.ok(isStorable(answer.kind, ask.surface), `a replay of what was ${answer.kind}`);
    const { text, isEnded } = ask.inbound.stream
      ? readStream(ask.surface, wire)
      : readWhole(ask.surface, wire);
    assert.deepEqual({ text, isEnded }, { text: answer.text, isEnded: true });
    return true;
  }

  #hit(run: Run, layer: string, ending: Ending, answer: Answer): void {
    const { ask, wire, repliedMs } = run;
    assert.equal(answer.forbidden, null, "a forbidden answer was served again");
    assert.ok(!ask.refresh && ask.bypass === null, "a hit for who wanted none");
    if (ending !== "left") {
      const { text, isEnded } = ask.inbound.stream
        ? readStream(ask.surface, wire)
        : readWhole(ask.surface, wire);
      assert.deepEqual({ text, isEnded }, { text: answer.text, isEnded: true });
    }
    const giver = this.#parts.runOf(answer.ask);
    // What joined may have been given another's entry: only the partition's tags are sure.
    const clientTags = run.entryTags.filter((tag) => tag.startsWith("tag:"));
    if (!giver.joined) assert.deepEqual(clientTags, giver.ask.clientTags);
    const tags = [...giver.ask.ownTags, ...clientTags];
    const voided = this.#parts.marks.last(tags, run.repliedAt);
    assert.ok(voided <= giver.startedAt, "served after an invalidation that covers it");
    const { completedMs } = answer;
    assert.ok(completedMs !== null, "served before it was complete");
    const ageMs = repliedMs - completedMs;
    assert.equal(run.headers?.get("age"), String(Math.floor(ageMs / 1_000)));
    assert.ok(ask.maxAgeMs === null || ageMs <= ask.maxAgeMs, "older than max-age");
    this.#age(ask, layer, ageMs, giver);
    this.#question(run, answer);
  }

  #age(ask: Ask, layer: string, ageMs: number, giver: Run): void {
    const rules = this.#parts.rulesOf(ask.model);
    const ownMs = giver.joined ? rules.ttlMaxMs : giver.ask.ttlMs ?? rules.ttlMs;
    const ttlMs = Math.min(ownMs, rules.ttlMaxMs) * JITTER;
    if (layer !== "stale") return assert.ok(ageMs < ttlMs + 1, `${layer} past its time`);
    assert.ok(ageMs < ttlMs + rules.staleIfErrorMs + 1, "stale for too long");
    assert.ok(this.#parts.hasFailed(ask), "stale although a backend could answer");
  }

  #question({ ask, headers }: Run, { ask: given }: Answer): void {
    const [asked, stored] = [ask.wording.text, given.wording.text];
    const detail = /detail=([a-z-]+)/.exec(headers?.get("cache-status") ?? "")?.[1] ?? "";
    if (detail.endsWith("exact")) return assert.equal(asked, stored);
    assert.ok(!ask.varied, `${detail} although variety is wanted`);
    const rules = this.#parts.rulesOf(ask.model);
    if (detail.endsWith("canonical")) {
      assert.ok(rules.canonical);
      return assert.equal(foldText(asked), foldText(stored));
    }
    assert.equal(detail, "semantic");
    assert.ok(!ask.exactOnly && !given.exactOnly && !given.varied, "similarity was not wanted");
    assert.ok(rules.semantic === "static" || rules.semantic === "verified");
    this.#count(rules.semantic);
    const guard = guardRefusal(asked, stored, this.#parts.guardLevel);
    assert.ok(
      guard === null || (rules.semantic === "verified" && guard === "words"),
      String(guard),
    );
    const [one, other] = [vectorOf(asked), vectorOf(stored)];
    const similarity = one === null || other === null ? 0 : cosineOf(one, other);
    const said = Number(headers?.get("weir-cache-similarity"));
    assert.ok(Math.abs(similarity - said) < 1e-3, `${said} is not ${similarity}`);
    const least = Math.max(
      ask.threshold ?? 0,
      rules.semantic === "static" ? rules.threshold ?? 2 : 0,
    );
    assert.ok(similarity >= least, `${similarity} is below ${least}`);
  }
}

const BEHIND = "Cannot finish stream: this client is more than";

/** Values of `x-weir-cache` that say that an old answer was given. */
const HITS: readonly string[] = ["exact", "canonical", "semantic", "stale"];
