/**
 * Signals that end a program.
 *
 * @module
 */

/** What the system says when it wants the process to end. */
export type StopSignal = "SIGINT" | "SIGTERM";

/**
 * Waits for a signal; from then on a second one ends the process at once.
 *
 * @returns The signal that came.
 */
export function stopSignal(): Promise<StopSignal> {
  const signals: readonly StopSignal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  const first = Promise.withResolvers<StopSignal>();
  let count = 0;
  for (const signal of signals) {
    Deno.addSignalListener(signal, () => {
      if (++count > 1) Deno.exit(1);
      first.resolve(signal);
    });
  }
  return first.promise;
}
