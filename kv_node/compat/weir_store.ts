/**
 * A store on Weir nodes, over a framed connection: many operations at once, each
 * with a deadline, over whichever node can be reached.
 *
 * A commit whose answer is lost fails with a `StoreOperationError` of kind
 * `outcome_unknown`: it may have been carried out. It is not tried again here, as
 * nothing tells a second try from another commit. Whoever needs certainty reads, or
 * gives the commit a check that fails once it was carried out.
 *
 * @module
 */
import { rangeOfKey } from "../keyspace/selector.ts";
import type { Row } from "../types.ts";
import { encodeSnapshotRead } from "../wire/read.ts";
import type {
  Store,
  StoreEntryMaybe,
  StoreIterator,
  StoreKey,
  StoreListOptions,
  StoreSelector,
} from "./store.ts";
import type { WeirAddress } from "./weir_address.ts";
import { commitBody, setMutation, WeirAtomic } from "./weir_atomic.ts";
import { entryOf, keyBytesOf } from "./weir_entry.ts";
import { checkReadKey, checkReadKeys, checkWatchedKeys } from "./weir_limits.ts";
import { type LinkSettings, WeirLink } from "./weir_link.ts";
import { WeirIterator } from "./weir_list.ts";
import { WeirWatch } from "./weir_watch.ts";

/** A store on Weir nodes. */
export class WeirStore implements Store {
  readonly #link: WeirLink;

  private constructor(link: WeirLink) {
    this.#link = link;
  }

  /**
   * Connects to the first node that lets it in.
   *
   * @throws {StoreOpenError} If none does.
   */
  static async open(address: WeirAddress, settings: LinkSettings): Promise<WeirStore> {
    return new WeirStore(await WeirLink.open(address, settings));
  }

  /** Reads one key. */
  async get(key: StoreKey): Promise<StoreEntryMaybe> {
    const link = this.#link;
    const bytes = keyBytesOf(key);
    checkReadKey(bytes, link.limits);
    const body = encodeSnapshotRead([{ ...rangeOfKey(bytes), limit: 1, reverse: false }]);
    return await link.read(body, ([rows]) => entryOf(key, rows?.[0]));
  }

  /** Reads up to ten keys, as of one moment. */
  async getMany(keys: readonly StoreKey[]): Promise<readonly StoreEntryMaybe[]> {
    const link = this.#link;
    checkReadKeys(keys.length, link.limits);
    if (keys.length === 0) return [];
    const ranges = keys.map((key) => {
      const bytes = keyBytesOf(key);
      checkReadKey(bytes, link.limits);
      return { ...rangeOfKey(bytes), limit: 1, reverse: false };
    });
    const asked = [...keys];
    return await link.read(
      encodeSnapshotRead(ranges),
      (rows) => asked.map((key, place) => entryOf(key, rows[place]?.[0])),
    );
  }

  /** Sets a value; `expireIn` is in milliseconds. */
  async set(
    key: StoreKey,
    value: unknown,
    options?: { expireIn?: number },
  ): Promise<{ readonly ok: true; readonly versionstamp: string }> {
    const link = this.#link;
    const body = commitBody([], [setMutation(key, value, options)], link.limits);
    const versionstamp = await link.write(body);
    if (versionstamp !== null) return { ok: true, versionstamp };
    throw new Error("Cannot set: the node answered that a check failed, and there was none");
  }

  /** Deletes a key. */
  async delete(key: StoreKey): Promise<void> {
    const link = this.#link;
    await link.write(commitBody([], [{ type: "delete", key: keyBytesOf(key) }], link.limits));
  }

  /** Lists entries. */
  list(selector: StoreSelector, options: StoreListOptions = {}): StoreIterator {
    return new WeirIterator(this.#link, selector, options);
  }

  /** Begins a commit. */
  atomic(): WeirAtomic {
    return new WeirAtomic(this.#link);
  }

  /** Tells the values of up to ten keys, now and after they have changed. */
  watch(keys: readonly StoreKey[]): ReadableStream<readonly StoreEntryMaybe[]> {
    const link = this.#link;
    const bytes = keys.map(keyBytesOf);
    checkWatchedKeys(bytes, link.limits);
    const asked = [...keys];
    const watch = new WeirWatch({
      keys: bytes,
      entryOf: (place: number, row: Row | null) => entryOf(asked[place] ?? [], row),
      onStale: (connection) => link.renew(connection),
      onEnd: (ended) => link.unwatch(ended),
    });
    if (keys.length === 0) watch.end();
    else link.watch(watch);
    return watch.stream;
  }

  /** Ends it: pending reads reject, watches end. */
  close(): void {
    this.#link.close();
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    this.#link.close();
  }
}
