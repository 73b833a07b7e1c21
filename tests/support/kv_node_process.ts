/**
 * A KV node as users run it: a process of its own, started by the documented command
 * with the documented permissions.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** How a node is started; everything may be left out. */
export interface KvNodeProcessOptions {
  /** Its data directory; without one a new one, removed at the end. */
  readonly folder?: string;
  /** The access token, given by the variable WEIR_KV_TOKEN. */
  readonly token?: string;
  /** A file with the access token, given by --token-file. */
  readonly tokenFile?: string;
  /** Further flags of `kv serve`. */
  readonly flags?: readonly string[];
}

/** A signal that tests send. */
export type KvNodeSignal = "SIGTERM" | "SIGINT" | "SIGKILL" | "SIGSTOP" | "SIGCONT";

type Line = Readonly<Record<string, unknown>>;

interface Places {
  readonly url: string;
  readonly link: string;
  readonly adminUrl: string;
}

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly places: Places;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Small segments: a new one is filled with zeros before the node serves. */
const SEGMENT_BYTES = 4 * 1_048_576;

/**
 * Starts a node on free ports of 127.0.0.1 and waits until it serves.
 *
 * @throws {Error} If it ends before; what it said goes to the standard error output.
 */
export async function spawnKvNode(options: KvNodeProcessOptions = {}): Promise<KvNodeProcess> {
  const folder = options.folder ?? await Deno.makeTempDir({ prefix: "weir-kv-test-" });
  const lines: Line[] = [];
  try {
    const run = await start(folder, options, lines);
    return new KvNodeProcess(folder, options, lines, run);
  } catch (error) {
    if (options.folder === undefined) await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

/** A node in another process. */
export class KvNodeProcess implements AsyncDisposable {
  /** Its data directory. */
  readonly folder: string;
  /** What it logged so far, of all its runs. */
  readonly lines: readonly Line[];
  readonly #options: KvNodeProcessOptions;
  readonly #log: Line[];
  #run: Run;

  /** Takes over a node that serves: see {@linkcode spawnKvNode}. */
  constructor(folder: string, options: KvNodeProcessOptions, log: Line[], run: Run) {
    this.folder = folder;
    this.lines = log;
    this.#options = options;
    this.#log = log;
    this.#run = run;
  }

  /** Where KV Connect is served, without a path. */
  get url(): string {
    return this.#run.places.url;
  }

  /** `HOST:PORT` of the link. */
  get link(): string {
    return this.#run.places.link;
  }

  /** Where operators connect. */
  get adminUrl(): string {
    return this.#run.places.adminUrl;
  }

  /** Process id of the present run. */
  get pid(): number {
    return this.#run.child.pid ?? 0;
  }

  /** Settles with the exit status of the present run; `null` if a signal ended it. */
  get ended(): Promise<number | null> {
    return this.#run.ended;
  }

  /** Address for `Deno.openKv` of one of its databases. */
  httpUrl(database: string): string {
    return `${this.url}/${database}`;
  }

  /** Address for `openStore` of one of its databases, over the link. */
  weirUrl(database: string): string {
    return `weir://${new URL(this.url).host}/${database}`;
  }

  /** Sends a signal. */
  kill(signal: KvNodeSignal): void {
    this.#run.child.kill(signal);
  }

  /** Ends it as an operator would; the exit status. */
  async stop(): Promise<number | null> {
    this.kill("SIGTERM");
    return await this.ended;
  }

  /** Ends it, if it still runs, and starts it again: same directory, same ports, new process. */
  async restart(): Promise<void> {
    const { url, link, adminUrl } = this;
    await this.stop();
    this.#run = await start(this.folder, this.#options, this.#log, { url, link, adminUrl });
  }

  /** Ends it at once, and removes its directory if that was made for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.ended;
    if (this.#options.folder === undefined) await Deno.remove(this.folder, { recursive: true });
  }
}

async function start(
  folder: string,
  options: KvNodeProcessOptions,
  log: Line[],
  before: Places | null = null,
): Promise<Run> {
  const { token, tokenFile, flags = [] } = options;
  const { WEIR_KV_TOKEN: _, ...environment } = process.env;
  const child = spawn(process.execPath, [
    "run",
    "--quiet",
    "--no-prompt",
    `--config=${ROOT}deno.json`,
    "--allow-net=127.0.0.1",
    `--allow-read=${[folder, `${ROOT}kv_node`, ...(tokenFile === undefined ? [] : [tokenFile])]}`,
    `--allow-write=${folder}`,
    "--allow-env=WEIR_KV_TOKEN",
    `${ROOT}mod.ts`,
    "kv",
    ...["--data", folder],
    ...["--listen", before === null ? "127.0.0.1:0" : new URL(before.url).host],
    ...["--admin", before === null ? "127.0.0.1:0" : new URL(before.adminUrl).host],
    ...["--link", before?.link ?? "127.0.0.1:0"],
    ...["--segment-bytes", String(SEGMENT_BYTES)],
    ...(tokenFile === undefined ? [] : ["--token-file", tokenFile]),
    ...flags,
  ], {
    stdio: ["ignore", "pipe", "inherit"],
    env: token === undefined ? environment : { ...environment, WEIR_KV_TOKEN: token },
  });
  const ended = once(child, "exit").then(([code]) => (typeof code === "number" ? code : null));
  const serving = Promise.withResolvers<Places>();
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line: Line = JSON.parse(text);
    log.push(line);
    if (line.event === "kv.serving") serving.resolve(placesIn(line));
  });
  void ended.then((code) =>
    serving.reject(new Error(`Cannot use node: its process ended early with status ${code}`))
  );
  return { child, ended, places: await serving.promise };
}

function placesIn({ url, link, adminUrl }: Line): Places {
  return { url: String(url), link: String(link), adminUrl: String(adminUrl) };
}
