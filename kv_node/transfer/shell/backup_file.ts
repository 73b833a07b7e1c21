/**
 * A backup in a file: verified, and made into a data directory.
 *
 * @module
 */
import { STATE_FILES } from "../../store/sqlite_state.ts";
import { StateInstaller } from "../../store/state_installer.ts";
import { BackupCheck } from "../backup_check.ts";
import { BackupDecoder } from "../backup_decoder.ts";
import type { BackupManifest } from "../backup_format.ts";
import type { NewDirectory } from "./new_directory.ts";

const PIECE_BYTES = 1_048_576;

/** Told how many bytes more were read. */
export type StepListener = (bytes: number) => void;

/** A backup that is read from its file. */
export class BackupFile implements Disposable {
  /** Its length in bytes. */
  readonly sizeBytes: number;
  readonly #file: Deno.FsFile;

  /** Opens a file. */
  constructor(path: string) {
    this.#file = Deno.openSync(path, { read: true });
    this.sizeBytes = this.#file.statSync().size;
  }

  /**
   * Reads all of it and checks all that can be checked.
   *
   * @throws {BackupError} If anything in it is not as it was written.
   */
  async verify(onStep: StepListener): Promise<BackupManifest> {
    const check = new BackupCheck();
    for await (const piece of this.#pieces(onStep)) check.push(piece);
    return check.end();
  }

  /**
   * Makes the states of its groups in a new directory; each is on disk when this settles.
   *
   * @throws {BackupError} If anything in it is not as it was written.
   * @throws {DiskError} If there is no room.
   */
  async install(directory: NewDirectory, onStep: StepListener): Promise<void> {
    const decoder = new BackupDecoder();
    using installation = new Installation(directory);
    for await (const piece of this.#pieces(onStep)) {
      for (const { group, bytes } of decoder.push(piece)) installation.push(group, bytes);
    }
    decoder.end();
    installation.finish();
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  async *#pieces(onStep: StepListener): AsyncGenerator<Uint8Array, void, undefined> {
    this.#file.seekSync(0, Deno.SeekMode.Start);
    const piece = new Uint8Array(PIECE_BYTES);
    for (;;) {
      const count = await this.#file.read(piece);
      if (count === null) return;
      yield piece.subarray(0, count);
      onStep(count);
    }
  }
}

/** Makes one state after the other. */
class Installation implements Disposable {
  readonly #directory: NewDirectory;
  #group = -1;
  #state: StateInstaller | null = null;

  constructor(directory: NewDirectory) {
    this.#directory = directory;
  }

  push(group: number, bytes: Uint8Array): void {
    if (this.#state === null || this.#group !== group) {
      this.finish();
      const { cluster } = this.#directory.identity;
      const options = { cluster, group, fromAnyCluster: true };
      this.#state = new StateInstaller(STATE_FILES, this.#directory.statePath(group), options);
      this.#group = group;
    }
    this.#state.push(bytes);
  }

  finish(): void {
    this.#state?.finish();
    this.#state = null;
  }

  [Symbol.dispose](): void {
    this.#state?.abandon();
  }
}
