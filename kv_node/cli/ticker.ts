/**
 * How many are done, on a terminal's standard error, where nobody knows how many there will be.
 *
 * @module
 */

/** A count that is shown. */
export interface Ticker {
  /** So many are done. */
  show(count: number): void;
  /** The line is taken away. */
  end(): void;
}

const EVERY_MS = 200;

const encoder = new TextEncoder();

/** Shows a count until it is ended; nothing where nobody watches. */
export function createTicker(what: string): Ticker {
  if (!Deno.stderr.isTerminal()) return { show: () => {}, end: () => {} };
  let shownMs = 0;
  const write = (text: string): void => void Deno.stderr.writeSync(encoder.encode(text));
  return {
    show(count) {
      const nowMs = performance.now();
      if (nowMs - shownMs < EVERY_MS) return;
      shownMs = nowMs;
      write(`\r${what}: ${count.toLocaleString("en-US")} rows`);
    },
    end: () => write("\r\x1b[2K"),
  };
}
