/**
 * Child processes of a benchmark: started, spoken to by lines, ended for sure.
 *
 * @module
 */

const STOP_MS = 2_000;

/** One child process. */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string> | null;
  readonly #errors: Promise<string>;
  #ended = false;
  #text = "";

  /** Starts `command`. With `lines` its standard input and output are pipes, else closed. */
  constructor(command: readonly string[], options: {
    readonly lines?: boolean;
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
  } = {}) {
    const [program = "", ...args] = command;
    const lines = options.lines ?? false;
    this.#process = new Deno.Command(program, {
      args,
      stdin: lines ? "piped" : "null",
      stdout: lines ? "piped" : "null",
      stderr: "piped",
      ...(options.env ? { env: { ...options.env } } : {}),
      ...(options.cwd ? { cwd: options.cwd } : {}),
    }).spawn();
    this.#lines = lines
      ? this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader()
      : null;
    this.#errors = lastOf(this.#process.stderr);
    this.#process.status.then(() => this.#ended = true);
  }

  /** Its process number. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Whether it has ended by itself or was stopped. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The end of what it wrote to standard error; settles when it has ended. */
  get errors(): Promise<string> {
    return this.#errors;
  }

  /** Writes one line to it. */
  async write(line: string): Promise<void> {
    const writer = this.#process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(line + "\n"));
    writer.releaseLock();
  }

  /**
   * Reads one line of it.
   *
   * @throws {Error} If it ended first.
   */
  async read(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end !== -1) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#lines?.read() ?? { done: true };
      if (done) throw new Error(`Cannot read from child: it ended\n${await this.#errors}`);
      this.#text += value ?? "";
    }
  }

  /** Ends it: SIGTERM (with which nginx ends its workers too), and SIGKILL two seconds later. */
  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    const kill = setTimeout(() => this.#signal("SIGKILL"), STOP_MS);
    await this.#process.status;
    clearTimeout(kill);
    await this.#lines?.cancel().catch(() => {});
    if (this.#lines !== null) await this.#process.stdin.close().catch(() => {});
    await this.#errors;
  }

  #signal(name: "SIGTERM" | "SIGKILL"): void {
    if (this.#ended) return;
    try {
      this.#process.kill(name);
    } catch {
      // It ended in between: that is what was wanted.
    }
  }
}

async function lastOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text = (text + piece).slice(-2_000);
  }
  return text;
}
