/**
 * A KV node as a real process that is killed and started again, at any moment of
 * its life: while it starts, while it replays, while it serves, while it stops.
 *
 * Its addresses stay the same over all starts, so that clients find it again by
 * themselves. Ports are taken from below the range that the system gives to
 * outgoing connections: while the node is down nobody else gets them, and no
 * client that tries to connect is connected to itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TextLineStream } from "./lines.ts";
import { signalIfThere } from "./process_signal.ts";

/** The end of a process. */
export interface ProcessEnd {
  /** Exit status, or `null` if a signal ended it. */
  readonly code: number | null;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;
}

/** How a node is started. */
export interface NodeStart {
  /** Data directory. */
  readonly folder: string;
  /** Ports of clients, operators, links, in this order. */
  readonly ports: readonly [number, number, number];
  /** More flags. */
  readonly flags?: readonly string[];
  /** Access token, if it wants one. */
  readonly token?: string;
  /** A program and its arguments that runs it, such as a tracer. */
  readonly wrapper?: readonly string[];
}

/** A line of its log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

const PORT_FIRST = 12_000;
const PORT_COUNT = 18_000;

/** One run of a node. */
export class NodeRun {
  /** Process id; of the wrapper, if there is one. */
  readonly pid: number;
  /** Settles when it has ended. */
  readonly ended: Promise<ProcessEnd>;
  /** What it logged so far. */
  readonly lines: LogLine[] = [];
  /** What it wrote to its error output. */
  errorText = "";
  readonly #child: Deno.ChildProcess;
  readonly #waiting = new Map<string, PromiseWithResolvers<LogLine>>();
  #end: ProcessEnd | null = null;

  /** Starts it; nothing is waited for. */
  constructor({ folder, ports, flags = [], token, wrapper = [] }: NodeStart) {
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const [listen, admin, link] = ports.map((port) => `127.0.0.1:${port}`);
    const [program = "", ...parameters] = [
      ...wrapper,
      Deno.execPath(),
      ...["run", "--quiet", "--no-prompt", `--config=${root}deno.json`, "--allow-net=127.0.0.1"],
      ...[`--allow-read=${folder},${root}kv_node`, `--allow-write=${folder}`],
      ...["--allow-env=WEIR_KV_TOKEN", `${root}mod.ts`, "kv", "--data", folder],
      ...["--listen", String(listen), "--admin", String(admin), "--link", String(link)],
      ...flags,
    ];
    const env = { NO_COLOR: "1", WEIR_KV_TOKEN: token ?? "" };
    const pipes = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
    this.#child = new Deno.Command(program, { args: parameters, env, ...pipes }).spawn();
    this.pid = this.#child.pid;
    this.ended = this.#follow();
  }

  /** Settles with the first line of that event; rejects if the process ends without one. */
  event(name: string): Promise<LogLine> {
    const line = this.lines.find(({ event }) => event === name);
    if (line !== undefined) return Promise.resolve(line);
    if (this.#end !== null) return Promise.reject(this.#endError());
    const waiting = this.#waiting.get(name) ?? Promise.withResolvers<LogLine>();
    this.#waiting.set(name, waiting);
    return waiting.promise;
  }

  /** Sends a signal. */
  signal(name: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    signalIfThere(this.#child, name);
  }

  /** Kills it with SIGKILL and waits for its end. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  async #follow(): Promise<ProcessEnd> {
    const { stdout, stderr, status } = this.#child;
    const reading = async (): Promise<void> => {
      const lines = stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
      for await (const line of lines) this.#read(line);
    };
    const complaints = async (): Promise<void> => {
      for await (const piece of stderr.pipeThrough(new TextDecoderStream())) {
        this.errorText += piece;
      }
    };
    const [{ code, signal }] = await Promise.all([status, reading(), complaints()]);
    this.#end = { code: signal === null ? code : null, signal };
    for (const { reject } of this.#waiting.values()) reject(this.#endError());
    return this.#end;
  }

  #read(text: string): void {
    let line: LogLine;
    try {
      line = JSON.parse(text);
    } catch {
      // A line that a kill cut off.
      return;
    }
    this.lines.push(line);
    this.#waiting.get(line.event)?.resolve(line);
    this.#waiting.delete(line.event);
  }

  #endError(): Error {
    const how = JSON.stringify(this.#end);
    const logged = this.lines.map((line) => JSON.stringify(line)).join("\n");
    return new Error(`Cannot go on: the node has ended (${how})\n${logged}\n${this.errorText}`);
  }
}

/** A node with a folder of its own, over all its runs. */
export class KillableNode implements AsyncDisposable {
  /** Its data directory. */
  readonly folder: string;
  /** How it is started. */
  readonly start: NodeStart;
  /** Where stock clients connect. */
  readonly url: string;
  /** What the own client opens. */
  readonly weirUrl: string;
  /** Where operators connect. */
  readonly adminUrl: string;
  /** Starts so far. */
  runs = 0;
  readonly #isOwnFolder: boolean;
  #run: NodeRun | null = null;

  /** Chooses ports; does not start it. `folder` is made, and removed in the end, if it is left out. */
  constructor(options: Partial<NodeStart> = {}) {
    this.#isOwnFolder = options.folder === undefined;
    this.folder = options.folder ?? Deno.makeTempDirSync({ prefix: "weir-kv-" });
    const ports = options.ports ?? freePorts();
    this.start = { ...options, folder: this.folder, ports };
    this.url = `http://127.0.0.1:${ports[0]}`;
    this.weirUrl = `weir://127.0.0.1:${ports[0]}`;
    this.adminUrl = `http://127.0.0.1:${ports[1]}`;
  }

  /** The present run. */
  get run(): NodeRun {
    assert.ok(this.#run !== null, "the node was not started");
    return this.#run;
  }

  /** Starts it, without waiting for anything. */
  begin(more: Partial<NodeStart> = {}): NodeRun {
    this.runs++;
    this.#run = new NodeRun({ ...this.start, ...more });
    return this.#run;
  }

  /** Starts it and waits until it serves. */
  async serve(more: Partial<NodeStart> = {}): Promise<NodeRun> {
    const run = this.begin(more);
    await run.event("kv.serving");
    return run;
  }

  /** Status and body of `/readyz`; status 0 if nobody answers. */
  async readiness(): Promise<{ readonly status: number; readonly body: string }> {
    try {
      const response = await fetch(`${this.adminUrl}/readyz`);
      return { status: response.status, body: await response.text() };
    } catch (error) {
      if (error instanceof TypeError) return { status: 0, body: "" };
      throw error;
    }
  }

  /** `/status`. */
  async status(): Promise<Readonly<Record<string, unknown>>> {
    return await (await fetch(`${this.adminUrl}/status`)).json();
  }

  /** Resident memory of the present run, in bytes, as it says itself. */
  async residentBytes(): Promise<number> {
    const page = await (await fetch(`${this.adminUrl}/metrics`)).text();
    return Number(/^process_resident_memory_bytes (\S+)$/m.exec(page)?.[1]);
  }

  /** Kills what runs and removes the folder, if it was made here. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run?.kill();
    if (this.#isOwnFolder) await Deno.remove(this.folder, { recursive: true });
  }
}

/** Three ports that nobody listens on. */
export function freePorts(): [number, number, number] {
  const found: number[] = [];
  while (found.length < 3) {
    const port = PORT_FIRST + Math.floor(Math.random() * PORT_COUNT);
    if (found.includes(port)) continue;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      found.push(port);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  const [one = 0, two = 0, three = 0] = found;
  return [one, two, three];
}
