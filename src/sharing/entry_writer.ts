/**
 * Writes batches of entries.
 *
 * Parts first, in commits of their own; then the heads, together with everything
 * that leads to them: canonical key, id, vector, place in the feed. So a head
 * never precedes its parts, and whatever leads to an entry leads to a whole one.
 *
 * A batch may be written again after an unclear end: it says the same.
 *
 * @module
 */
import type { Store, StoreAtomic, StoreKey } from "deno-kv-compat";
import type { Clock } from "../ports.ts";
import type { InvalidationLog } from "./invalidation_log.ts";
import type { EncodedDocument } from "./records/document.ts";
import { type AnswerCodec, encodeEntry } from "./records/entry_record.ts";
import { LAYOUT } from "./records/layout.ts";
import { encodeVector } from "./records/vector_bytes.ts";
import { reasonOf, type StoreLink } from "./store_link.ts";
import type { EntryVector, Waiting } from "./write_queue.ts";

/** A commit takes 819,200 bytes, keys and marks included. */
const COMMIT_BYTES_MAX = 600 * 1024;
/** Entries in a commit: their keys come to less than the 81,920 bytes it takes. */
const COMMIT_ENTRIES_MAX = 64;
/** How long other gateways find an entry in the feed, in milliseconds. */
const FEED_KEPT_MS = 3_600_000;
/** How long the end of a feed is known, in milliseconds; longer than anything in it. */
const WRITER_KEPT_MS = 2 * FEED_KEPT_MS;

/** What became of a batch. */
export interface Written {
  /** Entries that are in the store now. */
  readonly written: number;
  /** Entries that had expired or been invalidated meanwhile. */
  readonly outdated: number;
  /** Entries that no store takes: too large. */
  readonly refused: number;
  /** Entries that are still to be written. */
  readonly left: readonly Waiting[];
  /** Why; `null` if nothing is left. */
  readonly failure: string | null;
}

/** What writing needs. */
export interface EntryWriterOptions {
  /** The way to the store. */
  readonly link: StoreLink;
  /** Tells how long entries have to live. */
  readonly clock: Clock;
  /** Tells what is void. */
  readonly log: InvalidationLog;
  /** Writes answers. */
  readonly codec: AnswerCodec;
  /** Name of this gateway's feed. */
  readonly writer: string;
  /** How long the store may take for one commit, in milliseconds. */
  readonly timeoutMs: number;
}

interface Prepared {
  readonly waiting: Waiting;
  readonly document: EncodedDocument;
  readonly vector: { readonly embedder: string; readonly bytes: Uint8Array } | null;
  readonly leftMs: number;
}

type Committed = "done" | "refused" | { readonly failure: string };

/** Writes entries, one batch at a time. */
export class EntryWriter {
  readonly #options: EntryWriterOptions;
  #position = 0;

  /** Its feed begins. */
  constructor(options: EntryWriterOptions) {
    this.#options = options;
  }

  /** Writes a batch. */
  async write(batch: readonly Waiting[]): Promise<Written> {
    const prepared: Prepared[] = [];
    let outdated = 0;
    let refused = 0;
    for (const waiting of batch) {
      const leftMs = this.#leftMs(waiting);
      const document = leftMs <= 0 ? null : encodeEntry(waiting.entry, this.#options.codec);
      if (leftMs <= 0) outdated++;
      else if (document === null) refused++;
      else prepared.push({ waiting, document, vector: bytesOf(waiting.vector), leftMs });
    }
    const queue = groupsOf(prepared);
    let written = 0;
    for (let group = queue.shift(); group !== undefined; group = queue.shift()) {
      const committed = await this.#writeGroup(group);
      if (committed === "done") written += group.length;
      // One of them is beyond a limit: alone, the others are not.
      else if (committed === "refused" && group.length > 1) {
        queue.unshift(...group.map((one) => [one]));
      } else if (committed === "refused") refused++;
      else {
        const left = [group, ...queue].flat().map(({ waiting }) => waiting);
        return { written, outdated, refused, left, failure: committed.failure };
      }
    }
    return { written, outdated, refused, left: [], failure: null };
  }

  #leftMs({ entry }: Waiting): number {
    const { clock, log } = this.#options;
    if (log.isVoid(entry)) return 0;
    return Math.floor(Math.max(entry.expiresMs, entry.staleUntilMs) - clock.wallMs());
  }

  async #writeGroup(group: readonly Prepared[]): Promise<Committed> {
    for (const prepared of group) {
      const committed = await this.#writeParts(prepared);
      if (committed !== "done") return committed;
    }
    return await this.#commit((atomic) => this.#addHeads(atomic, group));
  }

  async #writeParts({ waiting, document, leftMs }: Prepared): Promise<Committed> {
    const partsMax = Math.floor(COMMIT_BYTES_MAX / (document.parts[0]?.length ?? 1));
    for (let start = 0; start < document.parts.length; start += partsMax) {
      const committed = await this.#commit((atomic) => {
        for (const [i, part] of document.parts.slice(start, start + partsMax).entries()) {
          atomic.set(LAYOUT.part(waiting.entry.id, start + i), part, { expireIn: leftMs });
        }
      });
      if (committed !== "done") return committed;
    }
    return "done";
  }

  #addHeads(atomic: StoreAtomic, group: readonly Prepared[]): void {
    const { writer } = this.#options;
    for (const { waiting: { entry }, document, vector, leftMs } of group) {
      const { id, exactKey, canonicalKey } = entry;
      const set = (key: StoreKey, value: unknown, mostMs = Infinity): void => {
        atomic.set(key, value, { expireIn: Math.min(leftMs, mostMs) });
      };
      set(LAYOUT.head(exactKey), document.head);
      set(LAYOUT.id(id), exactKey);
      if (canonicalKey !== null) set(LAYOUT.canonical(canonicalKey), exactKey);
      if (vector !== null) set(LAYOUT.vector(vector.embedder, exactKey, id), vector.bytes);
      this.#position += 1;
      set(LAYOUT.feed(writer, this.#position), exactKey, FEED_KEPT_MS);
    }
    atomic.set(LAYOUT.writer(writer), this.#position, { expireIn: WRITER_KEPT_MS });
    atomic.set(LAYOUT.bump, `${writer} ${this.#position}`);
  }

  async #commit(fill: (atomic: StoreAtomic) => void): Promise<Committed> {
    const { link, timeoutMs } = this.#options;
    const outcome = await link.work(timeoutMs, (store: Store) => {
      const atomic = store.atomic();
      fill(atomic);
      return atomic.commit();
    });
    if (outcome.type === "done") return "done";
    if (outcome.type !== "failed") return { failure: "it does not answer" };
    return isRefusal(outcome.error) ? "refused" : { failure: reasonOf(outcome.error) };
  }
}

/** Whether a store's error is about a limit, which another try does not change. */
function isRefusal(error: unknown): boolean {
  return error instanceof TypeError && /too (large|many)/i.test(error.message);
}

function bytesOf(vector: EntryVector | null): Prepared["vector"] {
  const bytes = vector === null ? null : encodeVector(vector.vector);
  return vector === null || bytes === null ? null : { embedder: vector.embedder, bytes };
}

/** Divides a batch into commits. */
function groupsOf(batch: readonly Prepared[]): Prepared[][] {
  const groups: Prepared[][] = [];
  let bytes = Infinity;
  for (const prepared of batch) {
    const more = prepared.document.head.length + (prepared.vector?.bytes.length ?? 0);
    const last = groups.at(-1);
    if (
      last === undefined || last.length >= COMMIT_ENTRIES_MAX || bytes + more > COMMIT_BYTES_MAX
    ) {
      groups.push([prepared]);
      bytes = more;
    } else {
      last.push(prepared);
      bytes += more;
    }
  }
  return groups;
}
