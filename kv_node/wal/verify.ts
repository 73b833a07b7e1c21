/**
 * Reads every checksum of a log.
 *
 * @module
 */
import type { Disk } from "../ports.ts";
import { type LogIdentity, segmentName } from "./segment.ts";
import { isSameOwner, type LogExtent, type LogProblem, walkLog } from "./walk.ts";

/** What a log holds of one group. */
export interface GroupExtent {
  /** Records of all types. */
  records: number;
  /** Least index of its entries; `null` if there is none. */
  firstIndex: number | null;
  /** Greatest index of its entries. */
  lastIndex: number | null;
}

/** The state of a log. */
export interface LogReport extends LogExtent {
  /** Valid records. */
  readonly records: number;
  /** Bytes of their payloads. */
  readonly payloadBytes: number;
  /** By group. */
  readonly groups: ReadonlyMap<number, GroupExtent>;
  /** The first thousand damaged places; none if the log can be opened. */
  readonly problems: readonly LogProblem[];
  /** How many damaged places there are. */
  readonly problemCount: number;
}

const PROBLEMS_MAX = 1_000;

/**
 * Reads a whole log that nobody has open for writing, and does not stop at damage.
 *
 * @param onProgress Called about once a MiB and waited for.
 * @throws {DiskError} If the folder cannot be read.
 */
export async function verifyLog(
  disk: Disk,
  onProgress?: (doneBytes: number, totalBytes: number) => void | Promise<void>,
): Promise<LogReport> {
  const groups = new Map<number, GroupExtent>();
  const problems: LogProblem[] = [];
  let [records, payloadBytes, problemCount] = [0, 0, 0];
  let owner: LogIdentity | null = null;
  function report(problem: LogProblem): void {
    problemCount++;
    if (problems.length < PROBLEMS_MAX) problems.push(problem);
  }
  const extent = await walkLog(disk, {
    record(record) {
      records++;
      payloadBytes += record.payload.length;
      count(groups, record.group, record.type === "entry" ? record.index : null);
    },
    problem: report,
    header(header) {
      owner ??= header;
      if (isSameOwner(owner, header)) return;
      const reason = "the segment belongs to another cluster or node than the one before it";
      report({ file: segmentName(header.sequence), offset: 0, reason });
    },
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return { ...extent, records, payloadBytes, groups, problems, problemCount };
}

function count(groups: Map<number, GroupExtent>, group: number, index: number | null): void {
  let extent = groups.get(group);
  if (extent === undefined) {
    extent = { records: 0, firstIndex: null, lastIndex: null };
    groups.set(group, extent);
  }
  extent.records++;
  if (index === null) return;
  if (extent.firstIndex === null || index < extent.firstIndex) extent.firstIndex = index;
  if (extent.lastIndex === null || index > extent.lastIndex) extent.lastIndex = index;
}
