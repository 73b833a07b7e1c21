/**
 * A progress bar for long work: on a terminal only, on standard error.
 *
 * @module
 */

/** How far a piece of work has come. */
export interface Progress {
  /** So much more is done. */
  step(count: number): void;
  /** The line is taken away. */
  end(): void;
}

const WIDTH = 30;

const encoder = new TextEncoder();

/** Shows a bar until it is ended; nothing where nobody watches. */
export function createProgress(what: string, total: number): Progress {
  if (!Deno.stderr.isTerminal()) return { step: () => {}, end: () => {} };
  let done = 0;
  let shown = -1;
  const write = (text: string): void => void Deno.stderr.writeSync(encoder.encode(text));
  return {
    step(count) {
      done += count;
      const share = total === 0 ? 1 : Math.min(1, done / total);
      const percent = Math.floor(share * 100);
      if (percent === shown) return;
      shown = percent;
      const full = Math.round(share * WIDTH);
      write(`\r${what} [${"#".repeat(full)}${".".repeat(WIDTH - full)}] ${percent} %`);
    },
    end: () => write("\r\x1b[2K"),
  };
}
