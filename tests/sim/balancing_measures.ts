/**
 * Figures of simulated runs: isolation, latency, errors, recovery.
 *
 * @module
 */
import type { Run } from "./balancing_run.ts";

/** A span of time, `from` included, `to` not. */
export interface Span {
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

/** Attempts to a backend within a span. */
export function attemptsTo(run: Run, place: number, span: Span): number {
  return count(run.attempts, span, (attempt) => attempt.place === place);
}

/** Share of a backend in all attempts within a span. */
export function shareOf(run: Run, place: number, span: Span): number {
  return attemptsTo(run, place, span) / Math.max(1, attemptsIn(run, span));
}

/** All attempts within a span. */
export function attemptsIn(run: Run, span: Span): number {
  return count(run.attempts, span, () => true);
}

/** Requests that came within a span. */
export function clientsIn(run: Run, span: Span): number {
  return count(run.clients, span, () => true);
}

/** Share of the clients of a span that saw an error. */
export function errorShare(run: Run, span: Span): number {
  const errors = count(run.clients, span, (client) => client.failedAtSeconds !== null);
  return errors / Math.max(1, clientsIn(run, span));
}

/**
 * Percentile of the time to the first token over the clients of all runs.
 *
 * An error counts as 99 s.
 */
export function ttftSeconds(runs: readonly Run[], share: number, span: Span): number {
  const values = runs.flatMap((run) =>
    run.clients.filter((client) => isIn(client, span)).map((client) => client.ttftSeconds ?? 99)
  ).sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.ceil(share * values.length) - 1)] ?? Number.NaN;
}

/**
 * Seconds after `endSeconds` until a backend is back at 80 % of its fair share,
 * as the start of the first 5 s window, moved by 1 s, in which it is; the
 * longest time looked at where it never is.
 */
export function recoverySeconds(
  run: Run,
  { place, fairShare, fromSeconds, toSeconds }: Span & {
    readonly place: number;
    readonly fairShare: number;
  },
): number {
  for (let at = fromSeconds; at + 5 <= toSeconds; at++) {
    const share = shareOf(run, place, { fromSeconds: at, toSeconds: at + 5 });
    if (share >= 0.8 * fairShare) return at - fromSeconds;
  }
  return toSeconds - 5 - fromSeconds;
}

/**
 * Largest number of attempts to a backend, in any second of a span that starts
 * at a whole second, beyond its fair share of that second's attempts (rounded up).
 */
export function excessSecond(run: Run, place: number, fairShare: number, span: Span): number {
  let excess = Number.NEGATIVE_INFINITY;
  for (let at = span.fromSeconds; at < span.toSeconds; at++) {
    const second = { fromSeconds: at, toSeconds: at + 1 };
    const fair = Math.ceil(fairShare * attemptsIn(run, second));
    excess = Math.max(excess, attemptsTo(run, place, second) - fair);
  }
  return excess;
}

/** Seconds from `endSeconds` to the last client error of the run; 0 if there is none after it. */
export function errorsLastSeconds(run: Run, endSeconds: number): number {
  const times = run.clients.map((client) => client.failedAtSeconds ?? 0);
  return Math.max(0, Math.max(...times) - endSeconds);
}

/** Arithmetic mean. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function count<T extends { readonly atSeconds: number }>(
  records: readonly T[],
  span: Span,
  test: (record: T) => boolean,
): number {
  let found = 0;
  for (const record of records) if (isIn(record, span) && test(record)) found++;
  return found;
}

function isIn({ atSeconds }: { readonly atSeconds: number }, span: Span): boolean {
  return atSeconds >= span.fromSeconds && atSeconds < span.toSeconds;
}
