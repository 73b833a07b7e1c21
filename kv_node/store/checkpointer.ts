/**
 * What a state needs to be checkpointed off the event loop.
 *
 * @module
 */

/** How far a checkpoint came, in pages of the write-ahead file. */
export interface CheckpointProgress {
  /** 1 if another checkpoint was under way; nothing was done then. */
  readonly busy: number;
  /** Pages in it. */
  readonly log: number;
  /** How many of them are in the main file. */
  readonly checkpointed: number;
}

/** Copies pages off the event loop. */
export interface Checkpointer {
  /**
   * Copies what it can of the state at `path` into its main file.
   *
   * @throws {DiskError} If the disk failed.
   * @throws {StateError} If the worker ended.
   */
  checkpoint(path: string): Promise<CheckpointProgress>;
}
