/**
 * Who asks when no client does: checks in the background.
 *
 * @module
 */
import type { Departure } from "../ports.ts";

/** A client that never leaves. */
export const NOBODY: Departure = {
  aborted: false,
  addEventListener: (): void => {},
  removeEventListener: (): void => {},
};
