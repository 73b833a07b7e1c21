/**
 * The models of FailoverBench's catalogue, as faults of ours.
 *
 * A name `fb-sNN-anything` (a provider's prefix before a `/` is ignored) stands
 * for one way to misbehave; `fb-ok` never does. What each does is described in
 * the public catalogue, failoverbench/failoverbench `scenarios/catalogue.yaml`.
 *
 * @module
 */

import type { Faults } from "./faults.ts";

/** The times and counts of the catalogue's faults. */
export interface FailoverTiming {
  /** What S01's `Retry-After` says, in whole seconds. */
  readonly retryAfterSeconds: number;
  /** S07: wait between headers and first token. */
  readonly slowSeconds: number;
  /** S09: silence before the connection is closed. */
  readonly stallSeconds: number;
  /** S06: how long nothing comes back at all. */
  readonly silenceSeconds: number;
  /** S15: how long after a reset of the simulator the model is down. */
  readonly flapDownSeconds: number;
  /** Time between two tokens, in milliseconds. */
  readonly tokenMs: number;
  /** S08, S14: tokens before the cut. */
  readonly cutAfterTokens: number;
  /** S09: tokens before the stall. */
  readonly stallAfterTokens: number;
  /** S10: the token before which the unreadable event comes, counted from 0. */
  readonly malformedAtToken: number;
}

/** Two sets of times: `full` as the catalogue has them, `fast` for a quick look. */
export const FAILOVER_TIMINGS: Readonly<Record<"full" | "fast", FailoverTiming>> = {
  full: {
    retryAfterSeconds: 2,
    slowSeconds: 20,
    stallSeconds: 30,
    silenceSeconds: 120,
    flapDownSeconds: 60,
    tokenMs: 15,
    cutAfterTokens: 40,
    stallAfterTokens: 20,
    malformedAtToken: 10,
  },
  fast: {
    retryAfterSeconds: 2,
    slowSeconds: 3,
    stallSeconds: 4,
    silenceSeconds: 15,
    flapDownSeconds: 6,
    tokenMs: 5,
    cutAfterTokens: 40,
    stallAfterTokens: 20,
    malformedAtToken: 10,
  },
};

/** What every healthy `fb-` model says, whatever it is asked: exactly sixty words. */
export const FAILOVER_ANSWER = "Nobody thanks a switchboard for a quiet afternoon. " +
  "Its worth shows when one line goes dead in the middle of a word and the caller hears " +
  "the sentence end all the same. So count these words with care: there are sixty, " +
  "neither more nor fewer, and anything shorter means that somewhere upstream a failure " +
  "was quietly passed off as success.";

/** The names for `GET /v1/models`. */
export const FAILOVER_MODELS: readonly string[] = [
  "fb-ok",
  "fb-ok-noprefill",
  "fb-s01-429-retry-after",
  "fb-s02-429-persistent",
  "fb-s03-500-then-200",
  "fb-s04-503-persistent",
  "fb-s05-reset",
  "fb-s06-no-response",
  "fb-s07-slow-ttft",
  "fb-s08-stream-cut",
  "fb-s09-stream-stall",
  "fb-s10-malformed-chunk",
  "fb-s11-no-done",
  "fb-s12-context-length",
  "fb-s13-content-filter",
  "fb-s14-stream-cut",
  "fb-s15-flap",
  "fb-s16-503-persistent",
];

/** Whether `model` belongs to the catalogue's name space. */
export function isFailoverModel(model: string): boolean {
  return bareName(model).startsWith("fb-");
}

/**
 * What goes wrong with `model`.
 *
 * @returns The fault; `null` if the catalogue has no such model.
 */
export function failoverFaults(model: string, timing: FailoverTiming): Faults | null {
  const name = bareName(model);
  if (name === "fb-ok") return {};
  if (name === "fb-ok-noprefill") return { noPrefill: true };
  const cutTokens = timing.cutAfterTokens;
  switch (/^fb-(s\d\d)(?:-|$)/.exec(name)?.[1]) {
    case "s01":
      return { status: 429, retryAfterSeconds: timing.retryAfterSeconds, times: 1 };
    case "s02":
      return { status: 429 };
    case "s03":
      return { status: 500, times: 1 };
    case "s04":
    case "s16":
      return { status: 503 };
    case "s05":
      return { reset: true, times: 1 };
    case "s06":
      return { silenceSeconds: timing.silenceSeconds };
    case "s07":
      return { slowSeconds: timing.slowSeconds };
    case "s08":
    case "s14":
      return { cutTokens };
    case "s09":
      return { stallTokens: timing.stallAfterTokens, stallSeconds: timing.stallSeconds };
    case "s10":
      return { malformedToken: timing.malformedAtToken };
    case "s11":
      return { noDone: true };
    case "s12":
      return { contextLength: true };
    case "s13":
      return { contentFilter: true };
    case "s15":
      return { flapDownSeconds: timing.flapDownSeconds };
    default:
      return null;
  }
}

function bareName(model: string): string {
  return model.slice(model.lastIndexOf("/") + 1).trim().toLowerCase();
}
