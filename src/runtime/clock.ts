/**
 * Real time and real chance.
 *
 * The only place that asks the machine what time it is: everything else is
 * given a {@linkcode Clock}, so that a simulation can decide it.
 *
 * @module
 */

import type { Clock, Random } from "../ports.ts";

/** The longest delay a runtime timer takes; a longer one would fire at once. */
const DELAY_MAX_MS = 2 ** 31 - 1;

/** The machine's clocks: monotonic for durations, wall for log lines. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: startTimer,
};

/** The runtime's generator; fit for spreading load, not for secrets. */
export const randomSource: Random = (): number => Math.random();

function startTimer(delayMs: number, run: () => void): Disposable {
  if (Number.isNaN(delayMs)) throw new RangeError("Cannot start a timer: delayMs is not a number");
  let timer: ReturnType<typeof setTimeout>;
  let leftMs = Math.max(0, delayMs);
  const arm = (): void => {
    const stepMs = Math.min(leftMs, DELAY_MAX_MS);
    leftMs -= stepMs;
    timer = setTimeout(leftMs > 0 ? arm : run, stepMs);
  };
  arm();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
