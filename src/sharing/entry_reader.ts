/**
 * Reads entries that other gateways, or an earlier run of this one, have stored.
 *
 * The invalidation counter is read with the head, as of one moment: if it has
 * moved, the invalidations are read before the entry is judged.
 *
 * @module
 */
import type { Store, StoreEntryMaybe, StoreKey } from "deno-kv-compat";
import type { CacheEntry } from "../cache/types.ts";
import type { Clock } from "../ports.ts";
import type { InvalidationLog } from "./invalidation_log.ts";
import {
  type AnswerCodec,
  decodeEntry,
  decodeEntryHead,
  type EntryHead,
} from "./records/entry_record.ts";
import { LAYOUT } from "./records/layout.ts";
import { decodeVector } from "./records/vector_bytes.ts";
import type { Outcome, StoreLink } from "./store_link.ts";

/** Keys that a store reads together. */
const KEYS_MAX = 10;

/** What a read came to. */
export type ReadOutcome =
  | "hit"
  | "miss" // nothing there
  | "expired"
  | "void" // invalidated
  | "unusable" // torn, garbled, or of another release
  | "late"
  | "failed" // the store said no
  | "skipped"; // not asked: the store is down, or too much is open

/** An entry with its vector, as it comes from the store. */
export interface SharedEntry {
  /** The entry. */
  readonly entry: CacheEntry;
  /** Its vector by the present embedder; `null` where there is none. */
  readonly vector: Float32Array | null;
}

/** Whose vectors are read. */
export interface EmbedderIdentity {
  /** Identity of embedder and model. */
  readonly id: string;
  /** Length of its vectors. */
  readonly dims: number;
}

/** What reading needs. */
export interface EntryReaderOptions {
  /** The way to the store. */
  readonly link: StoreLink;
  /** Tells what is expired. */
  readonly clock: Clock;
  /** Tells what is void. */
  readonly log: InvalidationLog;
  /** Reads answers. */
  readonly codec: AnswerCodec;
  /** Whose vectors are read; `null` for none. */
  readonly embedder: EmbedderIdentity | null;
}

type Found = { readonly entry: CacheEntry } | { readonly outcome: ReadOutcome };

/** Reads entries. */
export class EntryReader {
  readonly #options: EntryReaderOptions;

  /** Reads by these means. */
  constructor(options: EntryReaderOptions) {
    this.#options = options;
  }

  /** Looks for an entry until a time on the clock. */
  async read(
    layer: "exact" | "canonical",
    key: string,
    deadlineMs: number,
  ): Promise<{ readonly outcome: ReadOutcome; readonly entry: CacheEntry | null }> {
    const { link, clock } = this.#options;
    const leftMs = deadlineMs - clock.nowMs();
    if (!link.isUp) return { outcome: "skipped", entry: null };
    if (leftMs <= 0) return { outcome: "late", entry: null };
    if (!link.mayRead()) return { outcome: "skipped", entry: null };
    const found = await link.read(leftMs, (store) => this.#find(store, layer, key, deadlineMs));
    if (found.type !== "done") return { outcome: OUTCOMES[found.type], entry: null };
    // It may have been invalidated since the store was asked.
    if ("outcome" in found.value) return { outcome: found.value.outcome, entry: null };
    const { entry } = found.value;
    if (this.#options.log.isVoid(entry)) return { outcome: "void", entry: null };
    return { outcome: "hit", entry };
  }

  /** Reads entries by their exact keys, with vectors, ten at a time; what is no use is left out. */
  async readMany(store: Store, exactKeys: readonly string[]): Promise<readonly SharedEntry[]> {
    const heads = await getAll(store, exactKeys.map((key) => LAYOUT.head(key)));
    const entries: CacheEntry[] = [];
    for (const { value } of heads) {
      const head = decodeEntryHead(value);
      if (head === null || this.refusalOf(head) !== null) continue;
      const entry = await this.complete(store, head);
      if (entry !== null) entries.push(entry);
    }
    const { embedder, log } = this.#options;
    const vectors = embedder === null ? [] : await getAll(
      store,
      entries.map(({ exactKey, id }) => LAYOUT.vector(embedder.id, exactKey, id)),
    );
    return entries
      .map((entry, i) => ({ entry, vector: this.vectorOf(vectors[i]?.value) }))
      .filter(({ entry }) => !log.isVoid(entry));
  }

  /** Why an entry is no use; `null` if it is. */
  refusalOf({ fields }: EntryHead): "expired" | "void" | null {
    const nowMs = this.#options.clock.wallMs();
    if (nowMs >= Math.max(fields.expiresMs, fields.staleUntilMs)) return "expired";
    return this.#options.log.isVoid(fields) ? "void" : null;
  }

  /** Reads the parts of an entry, if it has any; `null` unless all is there. */
  async complete(store: Store, head: EntryHead): Promise<CacheEntry | null> {
    const { partCount } = head.document;
    const keys = Array.from({ length: partCount }, (_, i) => LAYOUT.part(head.fields.id, i));
    const parts = partCount === 0 ? [] : await getAll(store, keys);
    return decodeEntry(head, parts.map(({ value }) => value), this.#options.codec);
  }

  /** Reads a vector's value; `null` if it is none of the present embedder. */
  vectorOf(value: unknown): Float32Array | null {
    const { embedder } = this.#options;
    return embedder === null ? null : decodeVector(value, embedder.dims);
  }

  async #find(
    store: Store,
    layer: "exact" | "canonical",
    key: string,
    deadlineMs: number,
  ): Promise<Found> {
    const { clock, log } = this.#options;
    let exactKey = key;
    if (layer === "canonical") {
      const { value } = await store.get(LAYOUT.canonical(key));
      if (typeof value !== "string") return { outcome: value === null ? "miss" : "unusable" };
      exactKey = value;
    }
    // Nobody waits any more: the store is spared the rest.
    if (clock.nowMs() >= deadlineMs) return { outcome: "late" };
    const [stored, counter] = await store.getMany([LAYOUT.head(exactKey), LAYOUT.counter]);
    if (stored?.versionstamp === null) return { outcome: "miss" };
    const head = decodeEntryHead(stored?.value);
    if (head === null || !isAnswerTo(head, layer, key)) return { outcome: "unusable" };
    if (!log.isCurrent(counter?.value) && !await this.#hasCaughtUp(counter?.value)) {
      return { outcome: "failed" };
    }
    const refusal = this.refusalOf(head);
    if (refusal !== null) return { outcome: refusal };
    const entry = await this.complete(store, head);
    return entry === null ? { outcome: "unusable" } : { entry };
  }

  async #hasCaughtUp(counter: unknown): Promise<boolean> {
    const { log } = this.#options;
    if (!await log.refresh()) return false;
    // It may have joined a look that had begun before the counter moved.
    return log.hasSeen(counter) || (await log.refresh() && log.hasSeen(counter));
  }
}

const OUTCOMES: Readonly<Record<Exclude<Outcome<unknown>["type"], "done">, ReadOutcome>> = {
  late: "late",
  full: "skipped",
  failed: "failed",
};

/** An entry under a key that is not its own was put there by mistake. */
function isAnswerTo({ fields }: EntryHead, layer: "exact" | "canonical", key: string): boolean {
  return (layer === "exact" ? fields.exactKey : fields.canonicalKey) === key;
}

/** Reads any number of keys, ten at a time, all at once. */
async function getAll(
  store: Store,
  keys: readonly StoreKey[],
): Promise<readonly StoreEntryMaybe[]> {
  const batches = [];
  for (let start = 0; start < keys.length; start += KEYS_MAX) {
    batches.push(store.getMany(keys.slice(start, start + KEYS_MAX)));
  }
  return (await Promise.all(batches)).flat();
}
