/**
 * How much of what serves no request a client may do.
 *
 * Resets of streams cost a server a started request each, and frames such as
 * pings cost an answer each; a client that sends nothing else can keep a server
 * busy at no cost of its own ("rapid reset", CVE-2023-44487, and its relatives).
 *
 * @module
 */

import { ConnectionFault, ErrorCode } from "./error_code.ts";

/** Part of the resets that a sweep grants again. */
const RESETS_SHARE = 0.1;

/** Counts what one connection may still do. */
export class Allowance {
  readonly #resetsMax: number;
  readonly #idleFramesMax: number;
  #resets = 0;
  #idleFrames = 0;

  /** Everything is allowed at first. */
  constructor(resetsMax: number, idleFramesMax: number) {
    this.#resetsMax = resetsMax;
    this.#idleFramesMax = idleFramesMax;
  }

  /**
   * A request was given up or broken.
   *
   * @throws {ConnectionFault} If it was one too many.
   */
  spendReset(): void {
    if (++this.#resets > this.#resetsMax) {
      throw new ConnectionFault(ErrorCode.enhanceYourCalm, "too many requests were given up");
    }
  }

  /**
   * A frame came that serves no request.
   *
   * @throws {ConnectionFault} If it was one too many.
   */
  spendFrame(): void {
    if (++this.#idleFrames > this.#idleFramesMax) {
      throw new ConnectionFault(ErrorCode.enhanceYourCalm, "too many frames serve no request");
    }
  }

  /** Something useful happened: so many frames come with it. */
  earn(frames: number): void {
    this.#idleFrames = Math.max(-this.#idleFramesMax, this.#idleFrames - frames);
  }

  /** Some time has gone by: two sweeps are a second. */
  sweep(): void {
    this.#resets = Math.max(0, this.#resets - this.#resetsMax * RESETS_SHARE);
    this.#idleFrames = Math.min(0, this.#idleFrames);
  }
}
