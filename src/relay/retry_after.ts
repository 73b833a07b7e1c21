/**
 * How long a backend asks to be left alone.
 *
 * `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3); OpenAI and
 * Azure also send `retry-after-ms`, which is finer and wins.
 *
 * @module
 */

/** Longest wait that is believed, in seconds. */
const SECONDS_MAX = 24 * 3_600;

/**
 * Reads the wait from response headers.
 *
 * @param header Reads a header by lower-case name.
 * @param wallMs The present, in milliseconds since the epoch.
 * @returns Seconds from now, at least 0; `null` where none was given or readable.
 */
export function retryAfterSeconds(
  header: (name: string) => string | null,
  wallMs: number,
): number | null {
  const fine = header("retry-after-ms");
  if (fine !== null && /^\d+(\.\d+)?$/.test(fine.trim())) return bounded(Number(fine) / 1_000);

  const value = header("retry-after")?.trim();
  if (value === undefined) return null;
  if (/^\d+(\.\d+)?$/.test(value)) return bounded(Number(value));
  // Date.parse alone also takes "-1" and other things that are no HTTP date.
  const dateMs = /^[A-Za-z]{3,9},? /.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(dateMs) ? null : bounded((dateMs - wallMs) / 1_000);
}

function bounded(seconds: number): number {
  return Math.min(SECONDS_MAX, Math.max(0, seconds));
}
