/**
 * The gateways that are compared, each started on loopback in front of the same
 * backend.
 *
 * @module
 */
import { Child } from "./children.ts";

/** Names that `--peers` takes; "direct" (no gateway at all) is always there. */
export const PEER_NAMES = ["nginx", "portkey", "passthrough", "weir"] as const;

/** A gateway to compare. */
export type PeerName = typeof PEER_NAMES[number];

/** A data path under test. */
export interface Peer {
  /** What it is called in the table. */
  readonly name: PeerName | "direct";
  /** What exactly ran. */
  readonly version: string;
  /** Port it listens on. */
  readonly port: number;
  /** Headers it needs. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  /** Its process, or `null` for "direct". */
  readonly child: Child | null;
}

/** What starting a peer needs. */
export interface PeerSetting {
  /** Where the backend listens. */
  readonly backendPort: number;
  /** A folder for configuration files, removed afterwards. */
  readonly folder: string;
  /** A folder for what is installed, kept for the next time. */
  readonly cacheFolder: string;
  /** The project's folder. */
  readonly projectFolder: string;
  /** Is told of every child as soon as it runs, so that nothing survives a Ctrl-C. */
  readonly track: (child: Child) => Child;
}

const READY_MS = 20_000;

/**
 * Starts a peer and waits until it answers.
 *
 * @throws {Error} If it cannot be had, or does not answer within 20 s.
 */
export async function startPeer(name: PeerName, setting: PeerSetting): Promise<Peer> {
  const start = { nginx, portkey, passthrough, weir }[name];
  const peer = await start(setting, freePort());
  await ready(peer);
  return peer;
}

/** A port that was free a moment ago: none of these programs can say which one it was given. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function ready(peer: Peer): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  let problem = "no answer";
  while (performance.now() < deadlineMs) {
    if (peer.child?.ended) {
      throw new Error(`Cannot start ${peer.name}: it ended\n${await peer.child.errors}`);
    }
    try {
      const response = await fetch(`http://127.0.0.1:${peer.port}/v1/chat/completions`, {
        method: "POST",
        headers: [["content-type", "application/json"], ...peer.headers.map(([n, v]) => [n, v])],
        body: JSON.stringify({ model: "instant", messages: [{ role: "user", content: "ready?" }] }),
        signal: AbortSignal.timeout(2_000),
      });
      problem = `status ${response.status}: ${(await response.text()).slice(0, 300)}`;
      if (response.status === 200) return;
    } catch (error) {
      problem = String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`Cannot start ${peer.name}: ${problem}`);
}

async function output(command: readonly string[], cwd?: string): Promise<string> {
  const [program = "", ...args] = command;
  const options = { args, stdout: "piped", stderr: "piped", ...(cwd ? { cwd } : {}) } as const;
  const { success, stdout, stderr } = await new Deno.Command(program, options).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!success) throw new Error(`Cannot run ${program}: ${text.slice(-500)}`);
  return text.trim();
}

async function nginx(setting: PeerSetting, port: number): Promise<Peer> {
  const program = await firstOf(["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"]);
  const folder = `${setting.folder}/nginx`;
  await Deno.mkdir(folder, { recursive: true });
  // A worker of root's nginx changes its user, and could not write here then.
  const user = Deno.uid() === 0 ? "user root;" : "";
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path ${folder}/${kind};`).join("\n");
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    `${user}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 8192; }
http {
${paths}
  access_log off;
  keepalive_requests 100000000;
  upstream backend {
    server 127.0.0.1:${setting.backendPort};
    keepalive 512;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`,
  );
  const command = [
    program,
    "-p",
    folder,
    "-c",
    `${folder}/nginx.conf`,
    "-e",
    `${folder}/error.log`,
  ];
  return {
    name: "nginx",
    version: await output([program, "-v"]),
    port,
    headers: [],
    child: setting.track(new Child(command)),
  };
}

async function firstOf(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
  throw new Error(`Cannot find ${paths[0]}: is the package installed?`);
}

const PORTKEY_VERSION = "1.15.2";

async function portkey(setting: PeerSetting, port: number): Promise<Peer> {
  const folder = `${setting.cacheFolder}/portkey-${PORTKEY_VERSION}`;
  const script = `${folder}/node_modules/@portkey-ai/gateway/build/start-server.js`;
  if (!await Deno.stat(script).then(() => true, () => false)) {
    await Deno.mkdir(folder, { recursive: true });
    // With what a plain install resolves, every stream of this version fails.
    const manifest = {
      private: true,
      dependencies: { "@portkey-ai/gateway": PORTKEY_VERSION },
      overrides: { "@hono/node-server": "1.13.5", "hono": "4.9.7" },
    };
    await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify(manifest));
    await output(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], folder);
  }
  const preload = `${setting.projectFolder}/bench/load/loopback_only.cjs`;
  const command = ["node", "--require", preload, script, "--headless", `--port=${port}`];
  return {
    name: "portkey",
    version: `@portkey-ai/gateway ${PORTKEY_VERSION}, Node ${await output(["node", "--version"])}`,
    port,
    headers: [
      ["authorization", "Bearer bench"],
      ["x-portkey-provider", "openai"],
      ["x-portkey-custom-host", `http://127.0.0.1:${setting.backendPort}/v1`],
    ],
    child: setting.track(new Child(command, { env: { NODE_ENV: "production" } })),
  };
}

function passthrough(setting: PeerSetting, port: number): Promise<Peer> {
  const script = `${setting.projectFolder}/bench/load/passthrough.ts`;
  const command = [Deno.execPath(), "run", "--no-prompt", "--allow-net=127.0.0.1", script];
  return Promise.resolve({
    name: "passthrough",
    version: `fetch and Deno.serve, Deno ${Deno.version.deno}`,
    port,
    headers: [],
    child: setting.track(new Child([...command, `${port}`, `${setting.backendPort}`])),
  });
}

/** The gateway with its defaults: routing, breaker, metrics and access to a log all on. */
async function weir(setting: PeerSetting, port: number): Promise<Peer> {
  const { projectFolder, folder, backendPort } = setting;
  await firstOf([`${projectFolder}/mod.ts`]);
  const models = ["instant", "paced-10", "paced-20", "paced-50", "paced-100"];
  const config = {
    listen: { host: "127.0.0.1", port },
    admin: { host: "127.0.0.1", port: freePort() },
    backends: [
      { name: "bench", protocol: "openai", baseUrl: `http://127.0.0.1:${backendPort}/v1` },
    ],
    models: models.map((model) => ({ name: model, targets: [{ backend: "bench", model }] })),
  };
  // JSON is YAML.
  await Deno.writeTextFile(`${folder}/weir.yaml`, JSON.stringify(config, null, 2));
  const command = [
    ...[Deno.execPath(), "run", "--no-prompt", "--allow-net=127.0.0.1", "--allow-env"],
    ...[`--allow-read=${folder},/proc`, `${projectFolder}/mod.ts`],
    ...["serve", "--config", `${folder}/weir.yaml`],
  ];
  return {
    name: "weir",
    version: `Deno ${Deno.version.deno}`,
    port,
    headers: [],
    child: setting.track(new Child(command, { cwd: projectFolder })),
  };
}
