/**
 * Waiting, by a clock that is given.
 *
 * @module
 */
import type { Clock, Random } from "../ports.ts";

/** Waits; a negative time is none. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}

/** A pause that doubles with each try, between half and all of it, so that many spread out. */
export function backOffMs(tries: number, firstMs: number, mostMs: number, random: Random): number {
  const fullMs = Math.min(mostMs, firstMs * 2 ** Math.min(30, tries));
  return fullMs * (0.5 + random() / 2);
}
