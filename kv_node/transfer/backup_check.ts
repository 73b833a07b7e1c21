/**
 * Reads a backup to its end and checks all that can be checked: frames, snapshots,
 * rows, and that the manifest tells the truth.
 *
 * @module
 */
import { SnapshotDecoder } from "../store/snapshot_decoder.ts";
import { SnapshotError } from "../store/snapshot_format.ts";
import { BackupDecoder } from "./backup_decoder.ts";
import { backupDamage, type BackupGroup, type BackupManifest } from "./backup_format.ts";

/** Checks a backup as its bytes come. */
export class BackupCheck {
  readonly #decoder = new BackupDecoder();
  #snapshot: { readonly group: number; readonly decoder: SnapshotDecoder } | null = null;
  #groups = 0;
  #rows = 0;

  /** What it says of itself; `null` before that has come. */
  get manifest(): BackupManifest | null {
    return this.#decoder.manifest;
  }

  /** Rows that were read. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Takes the next bytes.
   *
   * @throws {BackupError} If anything in them is not as it was written.
   */
  push(bytes: Uint8Array): void {
    for (const chunk of this.#decoder.push(bytes)) {
      try {
        this.#rows += this.#snapshotOf(chunk.group).push(chunk.bytes).length;
      } catch (error) {
        throw failureAt(chunk.offset, error);
      }
    }
  }

  /**
   * Says that nothing more comes.
   *
   * @throws {BackupError} If it is not whole.
   */
  end(): BackupManifest {
    const manifest = this.#decoder.end();
    this.#endSnapshot();
    if (this.#groups !== manifest.groups.length) {
      throw backupDamage(this.#decoder.offset, "the snapshot of a group is missing");
    }
    return manifest;
  }

  #snapshotOf(group: number): SnapshotDecoder {
    if (this.#snapshot?.group === group) return this.#snapshot.decoder;
    this.#endSnapshot();
    if (this.manifest?.groups[this.#groups]?.group !== group) {
      throw backupDamage(this.#decoder.offset, `a snapshot of group ${group} is out of place`);
    }
    const decoder = new SnapshotDecoder();
    this.#snapshot = { group, decoder };
    return decoder;
  }

  #endSnapshot(): void {
    if (this.#snapshot === null) return;
    const { group, decoder } = this.#snapshot;
    this.#snapshot = null;
    const said = this.manifest?.groups[this.#groups];
    this.#groups++;
    try {
      const { cluster, applied, rows } = decoder.end();
      const found = { group, term: applied.term, index: applied.index, stamp: applied.stamp, rows };
      if (said !== undefined && isSame(said, found) && cluster === this.manifest?.cluster) return;
    } catch (error) {
      throw failureAt(this.#decoder.offset, error);
    }
    throw backupDamage(
      this.#decoder.offset,
      `the snapshot of group ${group} is not the one that the manifest tells of`,
    );
  }
}

function isSame(one: BackupGroup, other: BackupGroup): boolean {
  return one.group === other.group && one.term === other.term && one.index === other.index &&
    one.rows === other.rows && one.stamp?.toHex() === other.stamp?.toHex();
}

function failureAt(offset: number, error: unknown): unknown {
  return error instanceof SnapshotError ? backupDamage(offset, error.message) : error;
}
