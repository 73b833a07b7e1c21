/**
 * Where commands write.
 *
 * @module
 */

/** Standard output and standard error, line by line. */
export interface Terminal {
  /** Writes what was asked for. */
  readonly print: (line: string) => void;
  /** Writes what went wrong. */
  readonly complain: (line: string) => void;
}

const encoder = new TextEncoder();

/** The process's own terminal. */
export const systemTerminal: Terminal = {
  print: (line) => write(Deno.stdout, line),
  complain: (line) => write(Deno.stderr, line),
};

function write(
  stream: { writeSync(bytes: Uint8Array): number },
  line: string,
): void {
  let bytes = encoder.encode(`${line}\n`);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  } catch (error) {
    // Whoever read along has gone; that is no reason to stop serving.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
