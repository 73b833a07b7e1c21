/**
 * `kv restore`: a data directory out of a backup.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import { createProgress } from "../../src/cli/progress.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { DATA_GROUP, META_GROUP } from "../assembly/storage.ts";
import { backupDamage, type BackupManifest } from "../transfer/backup_format.ts";
import { BackupFile } from "../transfer/shell/backup_file.ts";
import { NewDirectory } from "../transfer/shell/new_directory.ts";
import { attempt } from "./failures.ts";
import { countText, secondsSince } from "./figures.ts";

/** Restores a backup. */
export async function restore(
  options: Options,
  terminal: Terminal,
  operands: readonly string[],
): Promise<number> {
  const [file = ""] = operands;
  const folder = textOption(options, "data");
  if (folder === undefined) {
    throw new UsageError("Cannot restore: --data DIR says into which directory", null);
  }
  const startMs = performance.now();
  const permissions = `--allow-read=${folder},${file} --allow-write=${folder}`;
  const { manifest, node, cluster } = await attempt(
    { what: `Cannot restore ${file}`, permissions },
    () => restoreInto(file, folder),
  );
  const rows = manifest.groups.reduce((sum, group) => sum + group.rows, 0);
  const seconds = secondsSince(startMs);
  const created = new Date(manifest.createdMs).toISOString();
  if (options["json"] === true) {
    terminal.print(JSON.stringify({ folder, created, rows, cluster, node, seconds }));
  } else {
    terminal.print(`${folder}: ${countText(rows, "row")} as of ${created}, ${seconds} s`);
    terminal.print(`Serve it with: mod.ts kv --data ${folder}`);
  }
  return 0;
}

async function restoreInto(file: string, folder: string): Promise<{
  readonly manifest: BackupManifest;
  readonly node: string;
  readonly cluster: string;
}> {
  using backup = new BackupFile(file);
  const manifest = await watched("verifying", backup, (onStep) => backup.verify(onStep));
  const groups = manifest.groups.map(({ group }) => group);
  if (groups.join() !== [META_GROUP, DATA_GROUP].join()) {
    throw backupDamage(0, "it is not of a node with the groups that this version has");
  }
  using directory = await NewDirectory.begin(folder);
  await watched("restoring", backup, (onStep) => backup.install(directory, onStep));
  directory.finish();
  const { node, cluster } = directory.identity;
  return { manifest, node, cluster };
}

async function watched<Result>(
  what: string,
  { sizeBytes }: BackupFile,
  run: (onStep: (bytes: number) => void) => Promise<Result>,
): Promise<Result> {
  const progress = createProgress(what, sizeBytes);
  try {
    return await run((bytes) => progress.step(bytes));
  } finally {
    progress.end();
  }
}
