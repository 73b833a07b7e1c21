/**
 * What a power cut does to the state files of a node, and a kill does not.
 *
 * What SQLite has written is in the page cache and outlives every process: after a
 * kill the state has all that was applied, and the log is hardly needed. After a
 * power cut it is as the last checkpoint left it, or later. Here a dead node's files
 * are made so, by two ways: its write-ahead file is dropped, or an older copy is put
 * back. The next start has to find the rest in the log.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/**
 * In the shared index of a write-ahead file (SQLite's "WAL-mode file format"): whether it
 * is filled, and how many frames a checkpoint has copied, and has begun to copy.
 */
const FILLED_AT = 12;
const BACKFILLED_AT = 96;
const ATTEMPTED_AT = 128;

/** The state files of a node that does not run. */
export class CrashState {
  readonly #folder: string;
  #kept = new Map<string, Uint8Array>();
  #first = 0;
  /** State files as they were when they needed no write-ahead file. */
  readonly #whole = new Map<string, Uint8Array>();

  /** Those of the data directory `folder`. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Keeps a copy as it is now. */
  keep(): void {
    this.#first = firstSegment(this.#folder);
    this.#kept = new Map(
      this.#names().map((name) => [name, Deno.readFileSync(this.#path(name))]),
    );
  }

  /** Puts back what was kept, once, if the log still has all that came after it. */
  putBack(): boolean {
    if (this.#kept.size === 0 || this.#first !== firstSegment(this.#folder)) return false;
    for (const name of this.#names()) Deno.removeSync(this.#path(name));
    for (const [name, bytes] of this.#kept) {
      Deno.writeFileSync(this.#path(name), bytes, { mode: 0o600 });
    }
    this.#kept.clear();
    return true;
  }

  /**
   * Drops what no checkpoint has brought into the state files; the log must have been
   * cut no further. Returns whether that could be done: a file in the middle of a
   * checkpoint needs its write-ahead file, which was synced before.
   */
  dropUnsynced(): boolean {
    const names = this.#names();
    const states = names.filter((name) => name.endsWith(".db"));
    // All are looked at, for the next time.
    if (states.map((name) => this.#isWhole(name)).includes(false)) return false;
    for (const name of names) if (!states.includes(name)) Deno.removeSync(this.#path(name));
    return true;
  }

  /** Whether no checkpoint was under way, or none has begun since that was so. */
  #isWhole(name: string): boolean {
    const bytes = Deno.readFileSync(this.#path(name));
    if (this.#isCopied(`${name}-shm`)) this.#whole.set(name, bytes);
    const known = this.#whole.get(name);
    return known !== undefined && Buffer.compare(known, bytes) === 0;
  }

  #isCopied(name: string): boolean {
    if (!this.#names().includes(name)) return false;
    const bytes = Deno.readFileSync(this.#path(name));
    // A start that was killed too early has emptied it: nobody can tell then.
    if (bytes.length < ATTEMPTED_AT + 4 || bytes[FILLED_AT] !== 1) return false;
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    return words[BACKFILLED_AT / 4] === words[ATTEMPTED_AT / 4];
  }

  #names(): string[] {
    return Array.from(Deno.readDirSync(`${this.#folder}/state`), ({ name }) => name);
  }

  #path(name: string): string {
    return `${this.#folder}/state/${name}`;
  }
}

/** Sequence of the oldest segment of the log: those before it were cut away. */
export function firstSegment(folder: string): number {
  const names = [...Deno.readDirSync(`${folder}/wal`)].map(({ name }) => name).sort();
  return Number(names.find((name) => name.endsWith(".wal"))?.slice(0, -4) ?? 0);
}
