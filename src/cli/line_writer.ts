/**
 * Lines to standard output that the event loop never waits for.
 *
 * Lines gather for a moment and go out together. A reader that is too slow loses
 * lines, counted in a line of their own, rather than the gateway its time.
 *
 * @module
 */

/** Writes lines, sooner or later. */
export interface LineWriter {
  /** Takes a line, without its end. */
  write(line: string): void;
  /** Writes what is still here, before the process ends. */
  flush(): void;
}

/** Where lines go. */
export interface LineSink {
  /** Writes some of the bytes, and says how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** The same, at once. */
  writeSync(bytes: Uint8Array): number;
}

/** How long lines gather, in milliseconds. */
const GATHER_MS = 20;
/** How much may wait for a slow reader, in characters. */
const WAITING_MAX = 4_000_000;

const encoder = new TextEncoder();

/** Starts to write lines to a sink. */
export function createLineWriter(sink: LineSink): LineWriter {
  let waiting: string[] = [];
  let waitingLength = 0;
  let dropped = 0;
  let scheduled = false;

  function take(): Uint8Array {
    if (dropped > 0) waiting.push(`{"level":"warn","event":"log.dropped","lines":${dropped}}`);
    dropped = 0;
    const bytes = encoder.encode(waiting.map((line) => `${line}\n`).join(""));
    waiting = [];
    waitingLength = 0;
    return bytes;
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0 || dropped > 0) {
      let bytes = take();
      while (bytes.length > 0) bytes = bytes.subarray(await sink.write(bytes));
    }
    scheduled = false;
  }

  return {
    write(line) {
      if (waitingLength > WAITING_MAX) {
        dropped++;
        return;
      }
      waiting.push(line);
      waitingLength += line.length;
      if (scheduled) return;
      scheduled = true;
      const timer = setTimeout(() => drain().catch(ignoreClosed), GATHER_MS);
      Deno.unrefTimer(timer);
    },
    flush() {
      let bytes = take();
      try {
        while (bytes.length > 0) bytes = bytes.subarray(sink.writeSync(bytes));
      } catch (error) {
        ignoreClosed(error);
      }
    },
  };
}

/** Whoever read along has gone; that is no reason to stop serving. */
function ignoreClosed(error: unknown): void {
  if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
}
