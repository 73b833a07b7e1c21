/**
 * What the figures of a soak have to be like: level, and within what the node's
 * settings promise.
 *
 * @module
 */
import { type Level, levelOf, type Sample } from "./kv_soak_gauges.ts";
import type { SoakWorld } from "./kv_soak_world.ts";

const MEBIBYTE = 1_048_576;

/** Size of a segment of the log in a soak: small, so that it is cut all the time. */
export const SEGMENT_BYTES = MEBIBYTE / 4;

/** A checkpoint is due when the log has grown by two segments; the one being written stays. */
const LOG_SEGMENTS = 3;
/** What is on disk besides: a spare and the reserve, and one that is being made. */
const MORE_SEGMENTS = 3;
/** What may be written to the log while a checkpoint is waited for: that of so many seconds. */
const CHECKPOINT_SECONDS = 20;

/**
 * What has to be level. The heap alone goes up and down by 30 MiB, and resident memory
 * with it; what is left of it after collections says most. Resident memory finds its
 * size in the first two or three minutes only, so that a short soak sees some of that.
 */
const LEVELS: readonly Level[] = [
  {
    name: "resident memory",
    of: ({ residentBytes }) => residentBytes,
    by: "median",
    share: 0.2,
    more: 8 * MEBIBYTE,
  },
  {
    name: "heap after collections",
    of: ({ heapBytes }) => heapBytes,
    by: "least",
    share: 0.08,
    more: MEBIBYTE,
  },
  {
    name: "descriptors",
    of: ({ descriptors }) => descriptors,
    by: "median",
    share: 0,
    more: 6,
  },
  {
    name: "state file",
    of: ({ stateBytes }) => stateBytes,
    by: "greatest",
    share: 0.1,
    more: MEBIBYTE,
  },
  {
    name: "state with its own log",
    of: ({ stateAllBytes }) => stateAllBytes,
    by: "median",
    share: 0.2,
    more: 4 * MEBIBYTE,
  },
  { name: "rows", of: ({ rows }) => rows, by: "median", share: 0.05, more: 100 },
  {
    name: "log",
    of: ({ logBytes }) => logBytes,
    by: "median",
    share: 0.5,
    more: 4 * SEGMENT_BYTES,
  },
  { name: "watches", of: ({ watches }) => watches, by: "median", share: 0, more: 6 },
  { name: "links", of: ({ links }) => links, by: "median", share: 0, more: 4 },
];

/** Whether the log is as short as it has to be when little is written. */
export function isLogShort({ logBytes }: Sample): boolean {
  return logBytes <= LOG_SEGMENTS * SEGMENT_BYTES;
}

/**
 * Judges the samples of the load, one a second, and those before and after it, at rest.
 *
 * @returns What was compared, a line for each.
 */
export function judgeFigures(
  world: SoakWorld,
  samples: readonly Sample[],
  before: Sample,
  after: Sample,
): readonly string[] {
  const lines: string[] = [];
  for (const level of LEVELS) {
    const { name, middle, late, most } = levelOf(level, samples);
    const text = `${shown(middle)} then ${shown(late)}, at most ${shown(most)}`;
    lines.push(`level: ${name}, ${level.by}: ${text}`);
    // Also where a figure is missing.
    if (late <= most) continue;
    world.complain(`${name} (${level.by}) rose from the second to the last third: ${text}`);
  }
  const worst = worstLog(samples);
  lines.push(
    `log: at most ${shown(worst.bytes)} of ${shown(worst.most)} allowed then, ` +
      `${shown(after.logBytes)} at rest; ${after.checkpoints} checkpoints, ` +
      `${shown(after.writtenBytes)} written`,
  );
  if (!(worst.bytes <= worst.most)) {
    world.complain(`the log was ${shown(worst.bytes)} long, at most ${shown(worst.most)} is due`);
  }
  if (!isLogShort(after)) world.complain(`the log is ${shown(after.logBytes)} long at rest`);
  if (after.watches !== before.watches) {
    world.complain(`${after.watches} watches are open at rest, ${before.watches} were before`);
  }
  for (const [name, count] of after.refusals) {
    if (count > 0) world.complain(`the node counted ${name} ${count}`);
  }
  return lines;
}

/** A count, or bytes. */
export function shown(value: number): string {
  return value < 100_000 ? String(Math.round(value)) : `${(value / MEBIBYTE).toFixed(1)} MiB`;
}

/** The sample whose log was longest, as compared with what was written shortly before. */
function worstLog(samples: readonly Sample[]): { readonly bytes: number; readonly most: number } {
  let worst = { bytes: 0, most: Infinity };
  for (const [at, { logBytes, logFolderBytes, writtenBytes }] of samples.entries()) {
    const late = writtenBytes - (samples[at - CHECKPOINT_SECONDS]?.writtenBytes ?? 0);
    const most = LOG_SEGMENTS * SEGMENT_BYTES + late;
    const bytes = Math.max(logBytes, logFolderBytes - MORE_SEGMENTS * SEGMENT_BYTES);
    if (!(bytes / most <= worst.bytes / worst.most)) worst = { bytes, most };
  }
  return worst;
}
