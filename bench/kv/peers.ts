/**
 * The node and those it is compared with: processes on the loopback, each with a folder
 * of its own on the same disk.
 *
 * @module
 */
import type { BenchWorld } from "../load/bench_run.ts";
import { Child } from "../load/children.ts";
import type { LoadCommand, LoadResult } from "./load.ts";
import type { SubjectKind } from "./client.ts";

/** A KV node that serves. */
export interface BenchNode {
  /** Its process. */
  readonly child: Child;
  /** Its data directory. */
  readonly folder: string;
  /** Where KV Connect is served. */
  readonly url: string;
  /** Where operators connect. */
  readonly adminUrl: string;
  /** Entries that its start replayed, and how long that took. */
  readonly replay: { readonly entries: number; readonly seconds: number };
}

/** A server that the node is compared with. */
export interface Peer {
  /** What exactly runs. */
  readonly version: string;
  /** Its process. */
  readonly child: Child;
  /** Its port. */
  readonly port: number;
}

const PROJECT_FOLDER = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const DENO = [Deno.execPath(), "run", "--quiet", "--no-prompt"];
const READY_MS = 20_000;
const PAUSE_MS = 50;

/**
 * Starts a node as it is documented, and waits until it serves.
 *
 * @param flags More flags of the command.
 * @throws {Error} If it ends before.
 */
export async function startNode(
  { folder: parent, track }: BenchWorld,
  name: string,
  flags: readonly string[] = [],
): Promise<BenchNode> {
  const folder = `${parent}/${name}`;
  const child = track(
    new Child([
      ...DENO,
      "--allow-net=127.0.0.1",
      `--allow-read=${folder},kv_node`,
      `--allow-write=${folder}`,
      "--allow-env=WEIR_KV_TOKEN",
      ...["mod.ts", "kv", "--data", folder],
      ...["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--link", "127.0.0.1:0", ...flags],
    ], { lines: true, cwd: PROJECT_FOLDER }),
  );
  let replay: BenchNode["replay"] = { entries: 0, seconds: 0 };
  for (;;) {
    const line = JSON.parse(await child.read());
    if (line.event === "kv.replayed") replay = line;
    if (line.event !== "kv.serving") continue;
    const { url, adminUrl } = line;
    return { child, folder, url, adminUrl, replay };
  }
}

/** Ends a process as a power cut would, as far as the process can tell. */
export async function kill(child: Child): Promise<void> {
  if (!child.ended) Deno.kill(child.pid, "SIGKILL");
  await child.stop();
}

/** Reads a metric of a node that has no labels. */
export async function metricOf(node: BenchNode, name: string): Promise<number> {
  const response = await fetch(`${node.adminUrl}/metrics`);
  const text = await response.text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  if (line === undefined) throw new Error(`Cannot find the metric ${name}`);
  return Number(line.slice(name.length + 1));
}

/** Starts a client process for one store; `environment` is what that client needs. */
export async function startClient(
  { folder, track }: BenchWorld,
  kind: SubjectKind,
  address: string,
): Promise<Child> {
  const child = track(
    new Child([
      ...DENO,
      `--config=${PROJECT_FOLDER}/tests/deno.json`,
      ...["--allow-net=127.0.0.1", "--allow-env=DENO_KV_ACCESS_TOKEN"],
      ...[`--allow-read=${folder}`, `--allow-write=${folder}`],
      ...[`${PROJECT_FOLDER}/bench/kv/client.ts`, kind, address],
    ], { lines: true, env: { DENO_KV_ACCESS_TOKEN: "bench-token" } }),
  );
  await child.read();
  return child;
}

/** Puts a load on the store of a client process. */
export async function load(client: Child, command: LoadCommand): Promise<LoadResult> {
  await client.write(JSON.stringify(command));
  return JSON.parse(await client.read());
}

/** Starts the handler that answers from a Map; returns its process and its address. */
export async function startMap(
  { track }: BenchWorld,
): Promise<{ readonly child: Child; readonly url: string }> {
  const script = `${PROJECT_FOLDER}/bench/kv/map_server.ts`;
  const child = track(new Child([...DENO, "--allow-net=127.0.0.1", script], { lines: true }));
  const { port } = JSON.parse(await child.read());
  return { child, url: `http://127.0.0.1:${port}` };
}

/** Starts Redis, which syncs every write before it answers; `null` where it is not installed. */
export async function startRedis({ folder, track }: BenchWorld): Promise<Peer | null> {
  const version = await versionOf("redis-server");
  if (version === null) return null;
  const data = `${folder}/redis`;
  await Deno.mkdir(data);
  const port = freePort();
  const child = track(
    new Child([
      ...["redis-server", "--bind", "127.0.0.1", "--port", `${port}`, "--dir", data],
      ...["--appendonly", "yes", "--appendfsync", "always", "--save", ""],
    ]),
  );
  await until(child, () => Deno.connect({ hostname: "127.0.0.1", port }).then((it) => it.close()));
  return { version, child, port };
}

/** Starts one member of etcd; `null` where it is not installed. */
export async function startEtcd({ folder, track }: BenchWorld): Promise<Peer | null> {
  const version = await versionOf("etcd");
  if (version === null) return null;
  const [port, peerPort] = [freePort(), freePort()];
  const [url, peerUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  const child = track(
    new Child([
      ...["etcd", "--name", "bench", "--data-dir", `${folder}/etcd`, "--log-level", "error"],
      ...["--listen-client-urls", url, "--advertise-client-urls", url],
      ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ...["--initial-cluster", `bench=${peerUrl}`],
    ]),
  );
  await until(child, async () => {
    const response = await fetch(`${url}/health`);
    const { health } = await response.json();
    if (health !== "true") throw new Error("Cannot use etcd yet: it is not healthy");
  });
  return { version, child, port };
}

/** Whether a program is installed. */
export async function isInstalled(program: string): Promise<boolean> {
  const found = await new Deno.Command("sh", { args: ["-c", `command -v ${program}`] }).output();
  return found.success;
}

/** The first line of what a program says of its version; `null` where it is not installed. */
async function versionOf(program: string): Promise<string | null> {
  if (!await isInstalled(program)) return null;
  const { stdout } = await new Deno.Command(program, { args: ["--version"] }).output();
  return new TextDecoder().decode(stdout).split("\n")[0] ?? "";
}

/** A port that was free a moment ago: these programs cannot say which one they were given. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function until(child: Child, isReady: () => Promise<void>): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  let problem: unknown = null;
  while (performance.now() < deadlineMs) {
    if (child.ended) throw new Error(`Cannot start a peer: it ended\n${await child.errors}`);
    try {
      return await isReady();
    } catch (error) {
      problem = error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(`Cannot start a peer: no answer within ${READY_MS} ms`, { cause: problem });
}
