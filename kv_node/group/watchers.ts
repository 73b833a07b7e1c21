/**
 * Who wants to know when which keys change.
 *
 * @module
 */

/** Watchers of keys and of prefixes. */
export class Watchers {
  readonly #byKey = new Map<string, Set<() => void>>();
  readonly #byPrefix = new Map<() => void, string>();
  #size = 0;

  /** How many watches there are. */
  get size(): number {
    return this.#size;
  }

  /** Calls `changed` once for each commit that touched one or several of the keys. */
  watch(keys: readonly Uint8Array[], changed: () => void): Disposable {
    const names = [...new Set(keys.map(nameOf))];
    // A function of its own for each watch: the same listener may be given twice.
    const listener = (): void => changed();
    for (const name of names) {
      const listeners = this.#byKey.get(name) ?? new Set();
      this.#byKey.set(name, listeners.add(listener));
    }
    this.#size++;
    return this.#once(() => {
      for (const name of names) {
        const listeners = this.#byKey.get(name);
        listeners?.delete(listener);
        if (listeners?.size === 0) this.#byKey.delete(name);
      }
    });
  }

  /** Calls `changed` once for each commit that touched keys below the prefix. */
  watchPrefix(prefix: Uint8Array, changed: () => void): Disposable {
    const listener = (): void => changed();
    this.#byPrefix.set(listener, nameOf(prefix));
    this.#size++;
    return this.#once(() => this.#byPrefix.delete(listener));
  }

  /** Tells everybody concerned that these keys were touched. */
  tell(keys: readonly Uint8Array[]): void {
    const concerned = new Set<() => void>();
    for (const key of keys) {
      const name = nameOf(key);
      for (const listener of this.#byKey.get(name) ?? []) concerned.add(listener);
      for (const [listener, prefix] of this.#byPrefix) {
        if (name.startsWith(prefix)) concerned.add(listener);
      }
    }
    for (const listener of concerned) listener();
  }

  #once(end: () => void): Disposable {
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        this.#size--;
        end();
      },
    };
  }
}

/** A key as text, a character for each byte. */
function nameOf(key: Uint8Array): string {
  let name = "";
  for (const byte of key) name += String.fromCharCode(byte);
  return name;
}
