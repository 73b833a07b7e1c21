/**
 * What a worker does, apart from being one.
 *
 * Searches are answered at once. Changes wait in a queue and are applied in
 * slices of about a millisecond, with a turn of the event loop between, so that
 * a search waits for one slice at most; what time they leave goes into graphs,
 * and what those leave into measuring recall.
 *
 * @module
 */
import type { VectorQuery } from "../ports.ts";
import type { VectorDisk } from "./disk/disk.ts";
import { loadStore, saveStore } from "./disk/keeping.ts";
import type { Change, Counts, FromWorker, ToWorker } from "./messages.ts";
import type { GraphMaker } from "./store/graph.ts";
import { RecallSampler } from "./store/recall.ts";
import { cosineOf, type Unfit, unitOf } from "./store/vector.ts";
import { VectorStore } from "./store/vector_store.ts";

/** How long a slice may last before the next search gets its turn. */
const SLICE_MS = 1;
/** Slices without a change after which counts are sent all the same. */
const SLICES_MAX = 64;

/** The worker's surroundings. */
export interface HostOptions {
  /** Sends a message to the client. */
  readonly post: (message: FromWorker, transfer?: Transferable[]) => void;
  /** Runs something after the messages that are waiting. */
  readonly later: (run: () => void) => void;
  /** Milliseconds on a monotonic clock. */
  readonly nowMs: () => number;
  /** The built-in embedder. */
  readonly embed: (text: string) => Float32Array | null;
  /** Loads the native library; throws if it cannot. */
  readonly graphs: (path: string, dims: number) => GraphMaker;
  /** Opens a directory; throws if it cannot. */
  readonly disk: (directory: string) => VectorDisk;
}

type Open = Extract<ToWorker, { type: "open" }>;
type Save = Extract<ToWorker, { type: "save" }>;

interface Opened {
  readonly open: Open;
  readonly store: VectorStore;
  readonly recall: RecallSampler;
  readonly disk: VectorDisk | null;
}

/** Holds vectors and answers a client. */
export class VectorHost {
  readonly #options: HostOptions;
  #opened: Opened | null = null;
  /** Changes to apply, from `#head` on. */
  #queue: Change[] = [];
  #head = 0;
  #sequence = 0;
  #isScheduled = false;
  #save: Save | null = null;
  #isSaving = false;
  #slices = 0;
  #busyMs = 0;
  #emptied: number[] = [];
  #unfit: Unfit[] = [];

  /** Waits for `open`. */
  constructor(options: HostOptions) {
    this.#options = options;
  }

  /**
   * Takes a message.
   *
   * @throws {Error} If it comes before `open`, or is none of the protocol's. What it throws,
   * here or later, is meant to end the worker.
   */
  handle(message: ToWorker): void {
    if (message.type === "open") return void this.#open(message);
    const opened = this.#opened;
    if (opened === null) throw new Error(`Cannot handle ${message.type}: the worker is not open`);
    switch (message.type) {
      case "search":
        return this.#search(opened, message);
      case "compare":
        return this.#compare(opened, message);
      case "changes":
        for (const change of message.changes) this.#queue.push(change);
        return this.#schedule();
      case "read": {
        const { piece, next } = opened.store.piece(message.cursor, message.rowsMax);
        const transfer = [piece.ids.buffer, piece.scopes.buffer, piece.halves.buffer];
        return this.#options.post(
          { type: "piece", builder: message.builder, piece, next },
          transfer,
        );
      }
      case "feed":
        return this.#feed(opened, message);
      case "save":
        this.#save = message;
        return this.#schedule();
      case "list":
        return this.#options.post({ type: "listed", ids: opened.store.ids() });
      case "census":
        return this.#options.post({ type: "census", scopes: [...opened.store.sets.keys()] });
      default:
        throw new TypeError("Cannot handle a message: its type is unknown");
    }
  }

  async #open(open: Open): Promise<void> {
    const { graphs, problem } = this.#graphsOf(open);
    const store = new VectorStore({
      dims: open.dims,
      graphFrom: open.graphFrom,
      graphs,
      onSegment: (buffer) => this.#options.post({ type: "segment", buffer }),
    });
    store.adopt(open.segments);
    this.#sequence = open.sequence;
    const disk = open.directory === null ? null : this.#options.disk(open.directory);
    const loaded = open.load && disk !== null ? await loadStore(store, disk, open) : null;
    store.resetChanges();
    this.#opened = { open, store, recall: new RecallSampler(store), disk };
    this.#options.post({
      type: "opened",
      native: graphs !== null,
      nativeProblem: problem,
      scopes: loaded?.scopes ?? [],
      generation: loaded?.generation ?? 0,
      refusals: loaded?.refusals ?? [],
      counts: store.counts(null),
    });
    this.#schedule();
  }

  #graphsOf(
    open: Open,
  ): { readonly graphs: GraphMaker | null; readonly problem: string | null } {
    if (open.native === null) return { graphs: null, problem: null };
    try {
      return { graphs: this.#options.graphs(open.native, open.dims), problem: null };
    } catch (error) {
      // Another libc, no permission, no such file: whatever it is, scanning goes on without it.
      return { graphs: null, problem: error instanceof Error ? error.message : String(error) };
    }
  }

  #search(opened: Opened, message: Extract<ToWorker, { type: "search" }>): void {
    const { ticket } = message;
    const unit = this.#unitOf(opened, message.query);
    if (typeof unit === "string") {
      return this.#options.post({ type: "unfit", ticket, reason: unit });
    }
    const matches = opened.store.search(message.scope, unit);
    this.#options.post({
      type: "found",
      ticket,
      ids: matches.map((match) => match.id),
      similarities: matches.map((match) => match.similarity),
    });
  }

  #compare(opened: Opened, message: Extract<ToWorker, { type: "compare" }>): void {
    const one = this.#unitOf(opened, { text: message.one });
    const other = this.#unitOf(opened, { text: message.other });
    const isFit = typeof one !== "string" && typeof other !== "string";
    const similarities = isFit ? [cosineOf(one, other)] : [];
    const ids = similarities.map(() => 0);
    this.#options.post({ type: "found", ticket: message.ticket, ids, similarities });
  }

  #feed(opened: Opened, message: Extract<ToWorker, { type: "feed" }>): void {
    const startMs = this.#options.nowMs();
    opened.store.feed(message.piece);
    this.#sequence = Math.max(this.#sequence, message.sequence);
    // Nobody searches here yet, and the client paces this by what it took.
    while (opened.store.advance());
    opened.store.resetChanges();
    const busyMs = this.#options.nowMs() - startMs;
    this.#options.post({ type: "fed", busyMs, counts: this.#counts(opened) });
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isSaving || this.#opened === null) return;
    this.#isScheduled = true;
    this.#options.later(() => this.#slice());
  }

  #slice(): void {
    this.#isScheduled = false;
    const opened = this.#opened;
    if (opened === null || this.#isSaving) return;
    const startMs = this.#options.nowMs();
    const before = this.#sequence;
    let isBusy = this.#advance(opened);
    while (isBusy && this.#options.nowMs() - startMs < SLICE_MS) isBusy = this.#advance(opened);
    this.#busyMs += this.#options.nowMs() - startMs;
    this.#slices++;
    if (this.#sequence !== before || !isBusy || this.#slices >= SLICES_MAX) this.#confirm(opened);
    const isDrained = this.#head === this.#queue.length;
    if (this.#save !== null && isDrained) return this.#beginSave(opened, this.#save);
    if (isBusy) this.#schedule();
  }

  /** Does the most urgent piece of work; `false` if there is none. */
  #advance(opened: Opened): boolean {
    const change = this.#queue[this.#head];
    if (change === undefined) return opened.store.advance() || opened.recall.advance();
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    }
    this.#apply(opened, change);
    return true;
  }

  #apply(opened: Opened, change: Change): void {
    this.#sequence = change.sequence;
    let emptied: number | null = null;
    if (change.type === "remove") {
      emptied = opened.store.remove(change.scope, change.id);
    } else {
      const unit = this.#unitOf(opened, change.query);
      if (typeof unit === "string") this.#unfit.push(unit);
      else emptied = opened.store.add(change.scope, change.id, unit);
    }
    if (emptied !== null) this.#emptied.push(emptied);
    // Also where the change did nothing: the client may have named the scope for its sake.
    if (!opened.store.sets.has(change.scope)) this.#emptied.push(change.scope);
  }

  #unitOf(opened: Opened, query: VectorQuery): Float32Array | Unfit {
    const { dims, builtin } = opened.open;
    if ("vector" in query) return unitOf(query.vector, dims);
    const vector = builtin ? this.#options.embed(query.text) : null;
    return vector === null ? "unusable" : unitOf(vector, dims);
  }

  #confirm(opened: Opened): void {
    const emptied = this.#emptied.filter((scope) => !opened.store.sets.has(scope));
    this.#options.post({
      type: "confirmed",
      sequence: this.#sequence,
      busyMs: this.#busyMs,
      counts: this.#counts(opened),
      emptied,
      unfit: this.#unfit,
    });
    this.#busyMs = 0;
    this.#slices = 0;
    this.#emptied = [];
    this.#unfit = [];
  }

  /** Holds changes back until all is written; searches go on. */
  #beginSave(opened: Opened, save: Save): void {
    this.#save = null;
    this.#isSaving = true;
    this.#write(opened, save).then((result) => {
      this.#isSaving = false;
      this.#options.post({ type: "saved", generation: save.generation, ...result });
      this.#schedule();
    });
  }

  async #write(
    opened: Opened,
    save: Save,
  ): Promise<{ readonly bytes: number; readonly problem: string | null }> {
    if (opened.disk === null) return { bytes: 0, problem: "There is no directory" };
    try {
      const bytes = await saveStore(opened.store, opened.disk, {
        embedderId: opened.open.embedderId,
        dims: opened.open.dims,
        generation: save.generation,
        sequence: this.#sequence,
        scopes: new Map(save.scopes),
      });
      return { bytes, problem: null };
    } catch (error) {
      return { bytes: 0, problem: error instanceof Error ? error.message : String(error) };
    }
  }

  #counts(opened: Opened): Counts {
    return opened.store.counts(opened.recall.latest);
  }
}
