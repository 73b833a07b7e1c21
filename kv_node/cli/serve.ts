/**
 * `kv serve`, and `kv` alone: runs a node until it is told to end.
 *
 * @module
 */
import { type Options, textOption } from "../../src/cli/arguments.ts";
import { CommandError, systemRefusal } from "../../src/cli/command_error.ts";
import { stopSignal } from "../../src/cli/stop_signal.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { hostAndPort, isLoopback } from "../../src/runtime/address.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { createLog, type Log } from "../../src/telemetry/log.ts";
import { VERSION } from "../../src/version.ts";
import { KvError } from "../errors.ts";
import { DiskError } from "../ports.ts";
import { KvNode, type NodeEvent, type NodeOptions } from "../node.ts";
import { StateError } from "../store/state_error.ts";
import { addressOption, choiceOption, countOption, tokenOption } from "./options.ts";

const DATABASES_MAX = 1_024;
const SEGMENT_BYTES = 64 * 1_048_576;
const WAITING_BYTES = 64 * 1_048_576;
const CONNECTIONS_MAX = 10_000;
const IDLE_SECONDS = 75;

/** Runs a node; 0 after it was told to end, 1 if it could not go on. */
export async function serve(options: Options, terminal: Terminal): Promise<number> {
  const failed = Promise.withResolvers<"failed">();
  const secrets = new Set<string>();
  const log = createLog({ clock: systemClock, level: "info", secrets, write: terminal.print });
  const nodeOptions = optionsFrom(options, (event) => tell(log, event, failed));
  const { accessToken, listen, folder } = nodeOptions;
  if (accessToken !== null) secrets.add(accessToken);
  if (accessToken === null && !isLoopback(listen.host)) {
    throw new CommandError(
      `Cannot listen on ${listen.host} without an access token: anyone could read and write; ` +
        "give one by --token-file or the variable WEIR_KV_TOKEN, or listen on 127.0.0.1",
    );
  }
  const node = open(nodeOptions);
  const stopped = stopSignal();
  log.info("kv.starting", { version: VERSION, folder, adminUrl: node.adminUrl });
  try {
    await node.start();
  } catch (error) {
    await node.stop();
    throw startFailure(folder, error);
  }
  log.info("kv.serving", {
    url: node.url,
    link: node.linkAddress,
    adminUrl: node.adminUrl,
    connect: `Deno.openKv("${node.url}")`,
    token: accessToken === null ? "none is needed: any DENO_KV_ACCESS_TOKEN will do" : "required",
  });
  const reason = await Promise.race([stopped, failed.promise]);
  if (reason === "failed") return 1;
  log.info("kv.stopping", { signal: reason });
  await node.stop();
  log.info("kv.stopped");
  return 0;
}

function optionsFrom(options: Options, onEvent: (event: NodeEvent) => void): NodeOptions {
  const folder = textOption(options, "data");
  if (folder === undefined) {
    throw new CommandError("Cannot start: --data DIR says where the node keeps what it stores");
  }
  return {
    folder,
    listen: addressOption(options, "listen", { host: "127.0.0.1", port: 4512 }),
    admin: addressOption(options, "admin", { host: "127.0.0.1", port: 4513 }),
    link: addressOption(options, "link", { host: "127.0.0.1", port: 4514 }),
    accessToken: tokenOption(options),
    publicUrl: textOption(options, "public-url") ?? null,
    publicLink: textOption(options, "public-link") ?? null,
    databasesMax: countOption(options, "databases-max", DATABASES_MAX),
    mayCreate: choiceOption(options, "create-databases", ["yes", "no"]) !== "no",
    segmentBytes: countOption(options, "segment-bytes", SEGMENT_BYTES),
    waitingBytesMax: countOption(options, "waiting-bytes", WAITING_BYTES),
    connectionsMax: countOption(options, "connections-max", CONNECTIONS_MAX),
    idleMs: countOption(options, "idle-seconds", IDLE_SECONDS) * 1_000,
    clock: systemClock,
    onEvent,
  };
}

function open(options: NodeOptions): KvNode {
  try {
    return new KvNode(options);
  } catch (cause) {
    const places = [options.listen, options.admin, options.link]
      .map(({ host, port }) => hostAndPort(host, port)).join(",");
    const why = systemRefusal(cause, `--allow-net=${places}`);
    if (why === null) throw cause;
    throw new CommandError(`Cannot listen on ${places}: ${why}`, { cause });
  }
}

/** Expected failures in one sentence; others are bugs and keep their stack. */
function startFailure(folder: string, error: unknown): unknown {
  const why = systemRefusal(error, `--allow-read=${folder},kv_node --allow-write=${folder}`);
  if (why !== null) {
    return new CommandError(`Cannot use ${folder}: ${why}`, { cause: error });
  }
  // A row that the node needs in order to begin; the state error names the file.
  if (error instanceof KvError && error.cause instanceof StateError) {
    return new CommandError(error.cause.message, { cause: error });
  }
  const isExpected = error instanceof DiskError ||
    (error instanceof Error && EXPECTED.has(error.name));
  return isExpected ? new CommandError(error.message, { cause: error }) : error;
}

const EXPECTED: ReadonlySet<string> = new Set([
  "IdentityError",
  "LogCorruptError",
  "ReplayError",
  "StateError",
]);

function tell(log: Log, event: NodeEvent, failed: PromiseWithResolvers<"failed">): void {
  switch (event.type) {
    case "replayed": {
      const { entries, seconds, torn } = event.report;
      log.info("kv.replayed", { entries, seconds });
      if (torn !== null) log.warn("kv.torn_tail", { ...torn, hint: "cut off; nothing was lost" });
      return;
    }
    case "problem":
      return log.warn("kv.problem", { what: event.what, error: event.error });
    case "failed":
      log.error("kv.failed", { error: event.error });
      failed.resolve("failed");
  }
}
