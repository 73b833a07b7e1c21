/**
 * How long something has been waited for, by one who looks now and then.
 *
 * @module
 */

/** A wait that begins when it is first seen: so a limit is never kept too early. */
export class Wait {
  #sinceMs = -1;
  #mark = 0;

  /**
   * Looks.
   *
   * @param isWaiting Whether it is waited for now.
   * @param mark Another number whenever there was progress.
   * @returns For how long, in milliseconds.
   */
  look(isWaiting: boolean, mark: number, nowMs: number): number {
    if (!isWaiting) this.#sinceMs = -1;
    else if (this.#sinceMs < 0 || mark !== this.#mark) this.#sinceMs = nowMs;
    this.#mark = mark;
    return isWaiting ? nowMs - this.#sinceMs : 0;
  }
}
