/**
 * Signals to processes that may end by themselves at that very moment.
 *
 * @module
 */

/** Sends a signal; nothing happens if the process has ended. */
export function signalIfThere(process: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    process.kill(name);
  } catch (error) {
    // What `kill` throws once the status was taken, and before.
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
}
