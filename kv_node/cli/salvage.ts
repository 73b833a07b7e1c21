/**
 * `kv salvage`: what can be read of a damaged data directory, in a new one.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { type SalvagedGroup, salvageDirectory, type SalvageOutcome } from "./directory_salvage.ts";
import { attempt } from "./failures.ts";
import { countText, secondsSince } from "./figures.ts";
import { holdFolder } from "./stopped_node.ts";

/** Salvages; 1 if something is missing. */
export async function salvage(options: Options, terminal: Terminal): Promise<number> {
  const from = textOption(options, "data");
  const into = textOption(options, "into");
  if (from === undefined || into === undefined) {
    throw new UsageError("Cannot salvage: it takes --data DIR and --into DIR", null);
  }
  const startMs = performance.now();
  const permissions = `--allow-read=${from},${into} --allow-write=${into}`;
  const outcome = await attempt({ what: `Cannot salvage ${from}`, permissions }, async () => {
    using _held = holdFolder(from);
    return await salvageDirectory(from, into);
  });
  const seconds = secondsSince(startMs);
  const missing = linesOfLoss(outcome);
  const isWhole = missing.length === 0;
  if (options["json"] === true) {
    terminal.print(JSON.stringify({ into, complete: isWhole, ...outcome, seconds }));
    return isWhole ? 0 : 1;
  }
  for (const { file, offset, reason } of outcome.problems) {
    terminal.print(`${offset === null ? file : `${file} at byte ${offset}`}: ${reason}`);
  }
  for (const { group, rows, applied, lastIndex } of outcome.groups) {
    terminal.print(
      `group ${group}: ${countText(rows, "row")}, ${
        countText(applied, "entry", "entries")
      } from the log, up to entry ${lastIndex}`,
    );
  }
  for (const line of missing) terminal.complain(line);
  terminal.print(
    isWhole ? `Nothing is missing, ${seconds} s` : `All that can be read is saved, ${seconds} s`,
  );
  terminal.print(`Serve it with: mod.ts kv --data ${into}`);
  return isWhole ? 0 : 1;
}

/** Everything that was lost, or may have been. */
function linesOfLoss({ groups, renamed }: SalvageOutcome): string[] {
  const lines = groups.flatMap(lossOf);
  for (const name of renamed) {
    lines.push(`The name of a database is lost, with its tokens and limits: it is ${name} now`);
  }
  return lines;
}

function lossOf(salvaged: SalvagedGroup): string[] {
  const { group, rowsLost, hasState, isPositionCertain } = salvaged;
  const { missing, leftOut, lastIndex, isEndUnknown } = salvaged;
  const lines: string[] = [];
  if (!isPositionCertain) {
    lines.push(
      `group ${group}: how far the log was in the state is damaged; entries of the log may be ` +
        "applied twice, or left out",
    );
  }
  if (!hasState) lines.push(`group ${group}: the state is lost; the log alone was read`);
  if (rowsLost > 0) lines.push(`group ${group}: ${countText(rowsLost, "row")} of the state`);
  for (const { fromIndex, toIndex } of missing) {
    lines.push(`group ${group}: entries ${fromIndex} to ${toIndex} are missing`);
  }
  if (leftOut > 0) {
    lines.push(
      `group ${group}: ${leftOut} entries behind entry ${lastIndex} can be read and were left ` +
        "out, since something before them is missing",
    );
  }
  if (isEndUnknown) {
    lines.push(
      `group ${group}: entries behind ${lastIndex} may be missing: the log is damaged, and none ` +
        "follows",
    );
  }
  return lines;
}
