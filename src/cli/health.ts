/**
 * `health`: the question a container asks every few seconds.
 *
 * Also a program by itself, since loading all of `mod.ts` for one question costs
 * ten times the processor time.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "./arguments.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

const ANSWER_MS = 3_000;

/** Asks a gateway's admin listener; 0 if it is well, 1 if not. */
export async function health(options: Options, terminal: Terminal): Promise<number> {
  const url = textOption(options, "url") ?? "http://127.0.0.1:8081/healthz";
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new UsageError(
      "Cannot use --url: it must be an absolute http:// or https:// URL",
      null,
    );
  }
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    await response.body?.cancel();
    terminal.print(`${url} answers ${response.status}`);
    return response.ok ? 0 : 1;
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const { message } = cause.cause instanceof Error ? cause.cause : cause;
    terminal.complain(`Cannot ask ${url}: ${message}`);
    return 1;
  }
}

if (import.meta.main) {
  const [url] = Deno.args;
  Deno.exit(await health(url === undefined ? {} : { url }, systemTerminal));
}
