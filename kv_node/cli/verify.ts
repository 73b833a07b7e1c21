/**
 * `kv verify`: reads every checksum of a data directory or of a backup.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import { createProgress } from "../../src/cli/progress.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { sizeText } from "../admin/size_text.ts";
import { BackupError } from "../transfer/backup_format.ts";
import { BackupFile } from "../transfer/shell/backup_file.ts";
import { checkDirectory, type Finding } from "./directory_check.ts";
import { attempt } from "./failures.ts";
import { countText, secondsSince } from "./figures.ts";
import { holdFolder } from "./stopped_node.ts";

/** What was found. */
interface Verdict {
  /** What is wrong. */
  readonly problems: readonly Finding[];
  /** What a start would mend by itself. */
  readonly notes: readonly Finding[];
  /** What was read, for scripts. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** What was read, for people. */
  readonly lines: readonly string[];
}

/** Verifies; 1 if anything is wrong. */
export async function verify(options: Options, terminal: Terminal): Promise<number> {
  const folder = textOption(options, "data");
  const file = textOption(options, "file");
  if ((folder === undefined) === (file === undefined)) {
    throw new UsageError("Cannot verify: give either --data DIR or --file FILE", null);
  }
  const startMs = performance.now();
  const { problems, notes, facts, lines } = folder !== undefined
    ? await verifyFolder(folder)
    : await verifyFile(file ?? "");
  const seconds = secondsSince(startMs);
  const isSound = problems.length === 0;
  if (options["json"] === true) {
    terminal.print(JSON.stringify({ ok: isSound, problems, notes, ...facts, seconds }));
    return isSound ? 0 : 1;
  }
  for (const line of lines) terminal.print(line);
  for (const note of notes) terminal.print(`note: ${placeText(note)}`);
  for (const problem of problems) terminal.complain(placeText(problem));
  terminal.print(
    isSound
      ? `All is well, ${seconds} s`
      : `${countText(problems.length, "problem")}, ${seconds} s`,
  );
  return isSound ? 0 : 1;
}

async function verifyFolder(folder: string): Promise<Verdict> {
  const permissions = `--allow-read=${folder}`;
  return await attempt({ what: `Cannot verify ${folder}`, permissions }, async () => {
    using _held = holdFolder(folder);
    const { problems, notes, groups, log } = await checkDirectory(folder);
    const lines = groups.map(({ group, rows, appliedIndex }) =>
      `state/${group}.db: ${countText(rows, "row")}, up to entry ${appliedIndex}`
    );
    lines.push(
      `wal: ${countText(log.segments, "segment")}, ${sizeText(log.bytes)}, ` +
        countText(log.entries, "entry", "entries"),
    );
    return { problems, notes, facts: { groups, log }, lines };
  });
}

async function verifyFile(file: string): Promise<Verdict> {
  const permissions = `--allow-read=${file}`;
  return await attempt({ what: `Cannot verify ${file}`, permissions }, async () => {
    using backup = new BackupFile(file);
    const { sizeBytes: bytes } = backup;
    const progress = createProgress("verifying", bytes);
    try {
      const manifest = await backup.verify((step) => progress.step(step));
      const { cluster, node, program, createdMs } = manifest;
      const created = new Date(createdMs).toISOString();
      const groups = manifest.groups.map(({ group, rows, index }) => ({ group, rows, index }));
      const lines = [
        `${file}: ${sizeText(bytes)}, made ${created} by node ${node}`,
        ...groups.map(({ group, rows, index }) =>
          `group ${group}: ${countText(rows, "row")}, up to entry ${index}`
        ),
      ];
      const facts = { cluster, node, program, created, groups, bytes };
      return { problems: [], notes: [], facts, lines };
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      const { offset, reason } = error;
      return { problems: [{ file, offset, reason }], notes: [], facts: { bytes }, lines: [] };
    } finally {
      progress.end();
    }
  });
}

function placeText({ file, offset, reason }: Finding): string {
  return offset === null ? `${file}: ${reason}` : `${file} at byte ${offset}: ${reason}`;
}
