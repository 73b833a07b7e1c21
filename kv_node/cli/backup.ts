/**
 * `kv backup`: everything as of one moment, in one file.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import { CommandError } from "../../src/cli/command_error.ts";
import { createProgress, type Progress } from "../../src/cli/progress.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { VERSION } from "../../src/version.ts";
import { sizeText } from "../admin/size_text.ts";
import type { NodeStatus } from "../admin/status.ts";
import { DATA_GROUP, META_GROUP } from "../assembly/storage.ts";
import { BackupCheck } from "../transfer/backup_check.ts";
import type { BackupManifest } from "../transfer/backup_format.ts";
import { backupOf } from "../transfer/shell/backup_source.ts";
import { NewFile } from "../transfer/shell/new_file.ts";
import { type AdminClient, openAdmin } from "./admin_client.ts";
import { attempt } from "./failures.ts";
import { countText, secondsSince } from "./figures.ts";
import { openStopped } from "./stopped_node.ts";

/** What was written. */
interface Written {
  readonly manifest: BackupManifest;
  readonly bytes: number;
}

/** Writes a backup. */
export async function backup(
  options: Options,
  terminal: Terminal,
  operands: readonly string[],
): Promise<number> {
  const [file = ""] = operands;
  const folder = textOption(options, "data");
  if (folder !== undefined && textOption(options, "admin") !== undefined) {
    throw new UsageError("Cannot back up: give --admin or --data, not both", null);
  }
  const startMs = performance.now();
  const { manifest, bytes } = folder === undefined
    ? await fromNode(options, file)
    : await fromFolder(folder, file);
  const rows = manifest.groups.reduce((sum, group) => sum + group.rows, 0);
  const seconds = secondsSince(startMs);
  if (options["json"] === true) {
    const { cluster, node, createdMs } = manifest;
    const created = new Date(createdMs).toISOString();
    terminal.print(JSON.stringify({ file, cluster, node, created, rows, bytes, seconds }));
  } else {
    terminal.print(`${file}: ${countText(rows, "row")}, ${sizeText(bytes)}, ${seconds} s`);
  }
  return 0;
}

async function fromNode(options: Options, file: string): Promise<Written> {
  const admin = openAdmin(options);
  const permissions = `${admin.permission} --allow-read and --allow-write for the file's folder`;
  return await attempt({ what: `Cannot write ${file}`, permissions }, async () => {
    const body = await admin.stream("/backup");
    return await write(file, unbroken(body, () => damagedFiles(admin)));
  });
}

async function fromFolder(folder: string, file: string): Promise<Written> {
  const permissions = `--allow-read=${folder},kv_node --allow-write=${folder} and both for the ` +
    "file's folder";
  return await attempt({ what: `Cannot write ${file}`, permissions }, async () => {
    const storage = await openStopped(folder);
    try {
      const { identity: { cluster, node }, states, worker } = storage;
      // In this order: see `BackupSource`.
      const paths = [DATA_GROUP, META_GROUP].map((group) => states.get(group)?.path ?? "");
      const origin = { cluster, node, program: VERSION, worker, paths, clock: systemClock };
      return await write(file, backupOf(origin));
    } finally {
      await storage.close();
    }
  });
}

/** Writes what comes, if it is a whole backup. */
async function write(file: string, pieces: AsyncIterable<Uint8Array>): Promise<Written> {
  using target = new NewFile(file);
  const check = new BackupCheck();
  let progress: Progress | null = null;
  let [bytes, rows] = [0, 0];
  try {
    for await (const piece of pieces) {
      check.push(piece);
      await target.write(piece);
      bytes += piece.length;
      const total = check.manifest?.groups.reduce((sum, group) => sum + group.rows, 0);
      if (total !== undefined) progress ??= createProgress("backing up", total);
      progress?.step(check.rows - rows);
      rows = check.rows;
    }
    const manifest = check.end();
    await target.finish();
    return { manifest, bytes };
  } finally {
    progress?.end();
  }
}

/** A stream whose breaking off is told in words. */
async function* unbroken(
  body: ReadableStream<Uint8Array>,
  damaged: () => Promise<readonly string[]>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = body.getReader();
  for (;;) {
    let piece: ReadableStreamReadResult<Uint8Array>;
    try {
      piece = await reader.read();
    } catch (cause) {
      const files = await damaged();
      const why = files.length === 0
        ? "the node broke off; its log may say why"
        : `${files.join(" and ")} of the node cannot be read: damaged, see its log`;
      throw new CommandError(`Cannot back up: ${why}; nothing was kept`, { cause });
    }
    if (piece.done) return;
    yield piece.value;
  }
}

/** State files that a node knows to be damaged; none if it does not say. */
async function damagedFiles(admin: AdminClient): Promise<readonly string[]> {
  try {
    const status = await admin.call("GET", "/status") as Partial<NodeStatus>;
    return status.damagedFiles ?? [];
  } catch {
    return [];
  }
}
