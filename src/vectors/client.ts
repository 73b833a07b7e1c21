/**
 * The main thread's side of an index: the port that everybody else sees.
 *
 * It keeps no vectors. It keeps the log of changes that some worker still needs,
 * the names of the scopes, and a reference to the memory the index writes its
 * vectors to; with these three, a worker may die at any moment and the next one
 * goes on without a vector being embedded again. What follows from what is
 * decided in `rebuild.ts`; this file carries it out.
 *
 * @module
 */
import { EmbedError, type VectorMatch, type VectorQuery, type VectorStats } from "../ports.ts";
import { ChangeLog, type LoggedChange } from "./change_log.ts";
import { Fleet } from "./fleet.ts";
import type { Link, Spawn } from "./link.ts";
import type { Change, Counts, FromWorker, Piece } from "./messages.ts";
import {
  firstWorker,
  journalOf,
  step,
  type Workers,
  type WorkersEffect,
  type WorkersEvent,
} from "./rebuild.ts";
import { rebuildReason, tombstonesOf } from "./rebuild_reason.ts";
import { Saver } from "./saver.ts";
import { ScopeNames } from "./scope_names.ts";
import { late, Tickets } from "./tickets.ts";
import type { RebuildReason, VectorIndexOptions, WorkerVectorIndex } from "./types.ts";

/** Deaths at the start after which nobody should wait any longer. */
const DEATHS_READY = 3;

/** What a client needs besides the options of the index. */
export interface ClientParts {
  /** Starts a worker. */
  readonly spawn: Spawn;
  /** Path of the native library, or `null` to scan. */
  readonly native: string | null;
}

interface Listing {
  readonly worker: number;
  readonly ids: PromiseWithResolvers<ReadonlyMap<string, readonly number[]>>;
}

/** An index in workers. */
export class VectorClient implements WorkerVectorIndex {
  readonly ready: Promise<void>;
  readonly #options: VectorIndexOptions;
  readonly #fleet: Fleet;
  readonly #log = new ChangeLog();
  readonly #names = new ScopeNames();
  readonly #tickets: Tickets;
  readonly #saver: Saver;
  readonly #isReady = Promise.withResolvers<void>();
  #listings: Listing[] = [];
  #settling: PromiseWithResolvers<void>[] = [];
  #state: Workers;
  #piece: Piece | null = null;
  /** Workers that were replaced and still have something to finish. */
  readonly #retired = new Set<number>();
  #isKeptRead = false;
  #counts: Counts | null = null;
  /** Last change that a census is known to take into account. */
  #censusAsOf = 0;
  #closing: Promise<void> | null = null;
  #rebuild: { readonly reason: RebuildReason; readonly startMs: number } | null = null;
  #rebuilds = 0;
  #lastRebuildSeconds: number | null = null;
  #holdUntilMs = -Infinity;

  /** Starts the first worker. */
  constructor(options: VectorIndexOptions, parts: ClientParts) {
    this.#options = options;
    this.#tickets = new Tickets(options.clock);
    this.#saver = new Saver(options, (generation) => this.#postSave(generation));
    this.#fleet = new Fleet(options, {
      ...parts,
      hear: (link, message) => this.#hear(link, message),
      died: (worker, link, message) => this.#died(worker, link, message),
    });
    this.ready = this.#isReady.promise;
    const { state, effects } = firstWorker();
    this.#state = state;
    this.#carryOut(effects);
  }

  async search(
    scope: string,
    query: VectorQuery,
    deadlineMs: number,
  ): Promise<readonly VectorMatch[]> {
    this.#checkTurn(deadlineMs);
    const number = this.#names.find(scope);
    if (number === undefined) return [];
    const { ticket, found } = this.#tickets.open(this.#state.index, deadlineMs);
    this.#fleet.post(this.#state.index, { type: "search", ticket, scope: number, query });
    return await found;
  }

  async compare(one: string, other: string, deadlineMs: number): Promise<number | null> {
    if (!this.#options.builtin) {
      throw new EmbedError("failed", "Cannot compare texts: the index has no embedder of its own");
    }
    this.#checkTurn(deadlineMs);
    const { ticket, found } = this.#tickets.open(this.#state.index, deadlineMs);
    this.#fleet.post(this.#state.index, { type: "compare", ticket, one, other });
    return (await found)[0]?.similarity ?? null;
  }

  /** The vector must not be changed afterwards: it may have to be sent again. */
  add(scope: string, id: number, query: VectorQuery): void {
    if (!Number.isSafeInteger(id) || id < 1) {
      throw new RangeError(`Cannot add a vector: ${id} is no whole number from 1 on`);
    }
    if (this.#closing !== null) return;
    if (this.#state.last - this.#state.confirmed >= this.#options.changesMax) {
      return this.#options.onEvent({ type: "vector_refused", use: "add", reason: "full" });
    }
    this.#change({ type: "add", scope, id, query });
  }

  /** There is no limit to these: there cannot be more of them than vectors. */
  remove(scope: string, id: number): void {
    if (this.#closing !== null) return;
    if (this.#isKeptRead && this.#names.find(scope) === undefined) return;
    this.#change({ type: "remove", scope, id });
  }

  stats(): VectorStats {
    const counts = this.#counts;
    return {
      live: counts?.live ?? 0,
      tombstones: counts === null ? 0 : tombstonesOf(counts),
      capacity: counts?.capacity ?? 0,
      scopes: counts?.scopes ?? 0,
      graphs: counts?.graphs ?? 0,
      rebuilds: this.#rebuilds,
      rebuilding: this.#state.build !== null,
      journal: journalOf(this.#state),
      lastRebuildSeconds: this.#lastRebuildSeconds,
      native: this.#fleet.link(this.#state.index)?.isNative ?? false,
      bytes: counts?.bytes ?? 0,
    };
  }

  async ids(): Promise<ReadonlyMap<string, readonly number[]>> {
    await this.ready;
    if (this.#closing !== null) throw closed();
    if (!this.#state.isReady) throw lostWorker();
    const worker = this.#state.index;
    const ids = Promise.withResolvers<ReadonlyMap<string, readonly number[]>>();
    this.#listings.push({ worker, ids });
    this.#fleet.post(worker, { type: "list" });
    return await ids.promise;
  }

  async settled(): Promise<void> {
    if (this.#isSettled()) return;
    const settling = Promise.withResolvers<void>();
    this.#settling.push(settling);
    await settling.promise;
  }

  rebuild(): void {
    if (this.#closing === null && this.#state.isReady && this.#state.build === null) {
      this.#beginRebuild("asked");
    }
  }

  async save(): Promise<void> {
    await this.#saver.save();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Nothing may be asked for any more from here on, which the promise itself tells.
    await Promise.resolve();
    this.#tickets.fail(null, closed());
    const { build, isReady, confirmed, last } = this.#state;
    if (build !== null) this.#fleet.end(build.worker);
    if (isReady) await this.#saver.close(confirmed < last);
    this.#fleet.endAll();
    this.#failListings(null, closed());
    this.#settle();
    this.#isReady.resolve();
  }

  /** Throws if nothing can be asked of the index now. */
  #checkTurn(deadlineMs: number): void {
    if (this.#closing !== null) throw closed();
    if (deadlineMs <= this.#options.clock.nowMs()) throw late();
    if (!this.#state.isReady) {
      throw new EmbedError("failed", "Cannot search: the index is starting");
    }
    if (this.#tickets.size < this.#options.queueMax) return;
    throw new EmbedError("full", `Cannot search: ${this.#tickets.size} searches are waiting`);
  }

  #change(change: LoggedChange): void {
    this.#log.push(change);
    this.#names.touch(change.scope, this.#state.last + 1);
    this.#take({ type: "changed" });
  }

  #beginRebuild(reason: RebuildReason): void {
    this.#rebuild = { reason, startMs: this.#options.clock.nowMs() };
    this.#options.onEvent({ type: "rebuild_started", reason });
    this.#take({ type: "wanted" });
  }

  #take(event: WorkersEvent): void {
    const { state, effects } = step(this.#state, event, this.#options.rebuild);
    this.#state = state;
    this.#carryOut(effects);
  }

  #carryOut(effects: readonly WorkersEffect[]): void {
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: WorkersEffect): void {
    switch (effect.type) {
      case "open":
        return this.#open(effect);
      case "send":
        return this.#send(effect);
      case "read": {
        const { builder, cursor } = effect;
        const rowsMax = this.#options.rebuild.pieceRows;
        return this.#fleet.post(effect.worker, { type: "read", builder, cursor, rowsMax });
      }
      case "feed":
        return this.#feed(effect.worker);
      case "rest": {
        const { worker } = effect;
        return this.#fleet.later(effect.restMs, () => this.#take({ type: "rested", worker }));
      }
      case "switch":
        return this.#switch(effect);
      case "end":
        return this.#fleet.end(effect.worker);
      case "trim":
        this.#log.trim(effect.upTo);
        return this.#names.forget(this.#log.trimmed);
      case "failed":
        return this.#rebuildFailed(effect.cause);
    }
  }

  #open(effect: Extract<WorkersEffect, { type: "open" }>): void {
    if (effect.role === "builder") return this.#fleet.openBuilder(effect.worker);
    const { confirmed } = this.#state;
    this.#fleet.openIndex(effect.worker, { sequence: confirmed, load: !this.#isKeptRead });
  }

  #send(effect: Extract<WorkersEffect, { type: "send" }>): void {
    const changes: Change[] = [];
    for (const [sequence, change] of this.#log.slice(effect.after, effect.upTo)) {
      const scope = this.#names.numberOf(change.scope);
      const { id } = change;
      changes.push(
        change.type === "add"
          ? { type: "add", sequence, scope, id, query: change.query }
          : { type: "remove", sequence, scope, id },
      );
    }
    this.#fleet.post(effect.worker, { type: "changes", changes });
  }

  #feed(worker: number): void {
    const piece = this.#piece;
    this.#piece = null;
    if (piece === null) throw new Error("Cannot feed the builder: there is no piece");
    const transfer = [piece.ids.buffer, piece.scopes.buffer, piece.halves.buffer];
    const sequence = this.#state.build?.taken ?? 0;
    this.#fleet.post(worker, { type: "feed", piece, sequence }, transfer);
  }

  #switch(effect: Extract<WorkersEffect, { type: "switch" }>): void {
    this.#retired.add(effect.from);
    this.#retire(effect.from);
    this.#counts = this.#fleet.link(effect.to)?.counts ?? null;
    this.#takeCensus();
    this.#rebuilds++;
    const { reason, seconds } = this.#rebuildSoFar();
    this.#lastRebuildSeconds = seconds;
    this.#options.onEvent({ type: "rebuild_finished", reason, seconds });
    // The new index may have nothing left to tell.
    this.#settle();
  }

  #rebuildFailed(cause: Extract<WorkersEffect, { type: "failed" }>["cause"]): void {
    this.#holdUntilMs = this.#options.clock.nowMs() + this.#options.rebuild.holdOffMs;
    this.#options.onEvent({ type: "rebuild_failed", ...this.#rebuildSoFar(), cause });
  }

  #rebuildSoFar(): { readonly reason: RebuildReason; readonly seconds: number } {
    if (this.#rebuild === null) throw new Error("Cannot time the rebuild: none was begun");
    const { reason, startMs } = this.#rebuild;
    return { reason, seconds: (this.#options.clock.nowMs() - startMs) / 1_000 };
  }

  /** Asks the index which scopes have vectors, to forget the names of all others. */
  #takeCensus(): void {
    this.#censusAsOf = this.#state.confirmed;
    this.#fleet.post(this.#state.index, { type: "census" });
  }

  /** Ends a worker that was replaced, once nobody waits for it. */
  #retire(worker: number): void {
    const isAwaited = this.#tickets.owedBy(worker) > 0 || this.#saver.worker === worker ||
      this.#listings.some((listing) => listing.worker === worker);
    if (isAwaited) return;
    this.#retired.delete(worker);
    this.#fleet.end(worker);
  }

  #died(worker: number, link: Link | null, message: string): void {
    this.#tickets.fail(worker, lostWorker());
    this.#failListings(worker, lostWorker());
    this.#saver.died(worker);
    if (this.#closing !== null || this.#retired.delete(worker)) return;
    const role = worker === this.#state.index ? "index" : "builder";
    this.#options.onEvent({ type: "worker_died", role, message });
    if (role === "index") {
      if (this.#fleet.mourn(link)) this.#options.onEvent({ type: "lost" });
      if (this.#fleet.deaths === DEATHS_READY) this.#isReady.resolve();
    }
    this.#take({ type: "died", worker });
  }

  #hear(link: Link, message: FromWorker): void {
    const worker = link.number;
    switch (message.type) {
      case "opened":
        return this.#opened(link, message);
      case "found": {
        const { ids, similarities } = message;
        const matches = ids.map((id, i) => ({ id, similarity: similarities[i] ?? -1 }));
        this.#tickets.settle(message.ticket, matches);
        return this.#answered(worker);
      }
      case "unfit":
        this.#options.onEvent({ type: "vector_refused", use: "search", reason: message.reason });
        this.#tickets.settle(message.ticket, new EmbedError(message.reason, UNFIT[message.reason]));
        return this.#answered(worker);
      case "confirmed":
        return this.#confirmed(worker, message);
      case "piece":
        this.#piece = message.piece;
        return this.#take({
          type: "piece",
          worker,
          builder: message.builder,
          next: message.next,
        });
      case "fed":
        return this.#take({ type: "fed", worker, busyMs: message.busyMs });
      case "saved":
        this.#saver.saved(message);
        return this.#answered(worker);
      case "listed":
        this.#listed(worker, message.ids);
        return this.#answered(worker);
      case "census":
        if (worker !== this.#state.index) return;
        this.#names.retain(new Set(message.scopes), this.#censusAsOf);
        return this.#names.forget(this.#log.trimmed);
    }
  }

  #opened(link: Link, message: Extract<FromWorker, { type: "opened" }>): void {
    const { onEvent, clock } = this.#options;
    link.isNative = message.native;
    link.openedMs = clock.nowMs();
    if (link.number !== this.#state.index) {
      return this.#take({ type: "opened", worker: link.number });
    }
    if (message.nativeProblem !== null) {
      onEvent({ type: "native_unavailable", message: message.nativeProblem });
    }
    for (const refusal of message.refusals) onEvent({ type: "file_refused", ...refusal });
    this.#counts = message.counts;
    if (this.#isKeptRead) {
      this.#takeCensus();
    } else {
      this.#isKeptRead = true;
      this.#names.adopt(message.scopes);
      this.#saver.begin(message.generation);
    }
    this.#take({ type: "opened", worker: link.number });
    this.#isReady.resolve();
    this.#settle();
  }

  #confirmed(worker: number, message: Extract<FromWorker, { type: "confirmed" }>): void {
    const { sequence, busyMs, counts } = message;
    const isIndex = worker === this.#state.index;
    const news = sequence - this.#state.confirmed;
    this.#take({ type: "confirmed", worker, sequence, busyMs });
    if (!isIndex) return;
    this.#counts = counts;
    for (const reason of message.unfit) {
      this.#options.onEvent({ type: "vector_refused", use: "add", reason });
    }
    for (const scope of message.emptied) this.#names.release(scope, sequence);
    this.#names.forget(this.#log.trimmed);
    if (news > 0) this.#saver.changed(news);
    this.#settle();
    this.#considerRebuild(counts);
  }

  #considerRebuild(counts: Counts): void {
    if (this.#closing !== null || this.#state.build !== null) return;
    if (this.#options.clock.nowMs() < this.#holdUntilMs) return;
    const reason = rebuildReason(counts, this.#options.rebuild);
    if (reason !== null) this.#beginRebuild(reason);
  }

  #answered(worker: number): void {
    if (this.#retired.has(worker)) this.#retire(worker);
  }

  #listed(worker: number, ids: Extract<FromWorker, { type: "listed" }>["ids"]): void {
    const at = this.#listings.findIndex((listing) => listing.worker === worker);
    const [listing] = at === -1 ? [] : this.#listings.splice(at, 1);
    const named = ids.map(([scope, keys]) => [this.#names.nameOf(scope) ?? "", keys] as const);
    listing?.ids.resolve(new Map(named));
  }

  #failListings(worker: number | null, error: EmbedError): void {
    const [failed, others] = [[] as Listing[], [] as Listing[]];
    for (const listing of this.#listings) {
      (worker === null || listing.worker === worker ? failed : others).push(listing);
    }
    this.#listings = others;
    for (const { ids } of failed) ids.reject(error);
  }

  #isSettled(): boolean {
    const { isReady, confirmed, last } = this.#state;
    return isReady && confirmed === last && this.#counts?.backlog === 0;
  }

  #settle(): void {
    if (this.#closing === null && !this.#isSettled()) return;
    for (const settling of this.#settling) settling.resolve();
    this.#settling = [];
  }

  /** Asks the index to save; the number of the worker that was asked, or `null`. */
  #postSave(generation: number): number | null {
    const { index, isReady } = this.#state;
    if (!isReady) return null;
    this.#fleet.post(index, { type: "save", generation, scopes: this.#names.table() });
    return index;
  }
}

const UNFIT = {
  dims: "Cannot search: the vector has another length than the index",
  unusable: "Cannot search: the vector is not finite, or of length 0",
} as const;

function closed(): EmbedError {
  return new EmbedError("closed", "Cannot search: the index is closed");
}

function lostWorker(): EmbedError {
  return new EmbedError("failed", "Cannot search: the worker of the index died");
}
