/**
 * Writes what can be read of a damaged log into a new one.
 *
 * @module
 */
import type { Disk, LogRecord } from "../ports.ts";
import { openLog } from "./open_log.ts";
import {
  LogCorruptError,
  type LogIdentity,
  readHeader,
  segmentName,
  sequencesOf,
} from "./segment.ts";
import { type LogExtent, type LogProblem, walkLog } from "./walk.ts";

/** How a log is salvaged. */
export interface SalvageOptions {
  /** Whose log it is; needed if no header in the source is good. */
  readonly identity?: LogIdentity;
  /** Length of a new segment; as in `openLog`. */
  readonly segmentBytes?: number;
  /**
   * What to do with records of a group behind a gap in its entries: `keep` all that can
   * be read (the default), or `drop` them, so that a node starts from what is complete.
   */
  readonly behindGaps?: "keep" | "drop";
  /** Called about once a MiB and waited for. */
  onProgress?(doneBytes: number, totalBytes: number): void | Promise<void>;
}

/** Entries that are not there. */
export interface MissingEntries {
  /** Their group. */
  readonly group: number;
  /** First index that is missing. */
  readonly fromIndex: number;
  /** Last index that is missing. */
  readonly toIndex: number;
}

/** What came of it. */
export interface SalvageReport extends LogExtent {
  /** Records written. */
  readonly records: number;
  /** Records that can be read and were dropped, being behind a gap. */
  readonly dropped: number;
  /** Gaps between entries. What is missing at a log's end shows only in `problems`. */
  readonly missing: readonly MissingEntries[];
  /** Damaged places. */
  readonly problems: readonly LogProblem[];
}

const BATCH_BYTES = 1 << 20;
const QUEUE_BYTES = 256 << 20;

/**
 * Copies every record that can be read from one folder into a new log in another.
 *
 * An entry whose index follows on the last one of its group, or lies before it (a
 * later term overwrote it), leaves no gap. Records of other types are only carried.
 *
 * @throws {RangeError} If the target holds a log, or nobody knows whose the source is.
 * @throws {DiskError} If the source's folder cannot be read or the target not be written.
 */
export async function salvageLog(
  source: Disk,
  target: Disk,
  options: SalvageOptions = {},
): Promise<SalvageReport> {
  if (sequencesOf(target.list()).length > 0) {
    throw new RangeError("Cannot salvage the log: there is a log in the target folder already");
  }
  const identity = options.identity ?? ownerOf(source);
  let failure: Error | null = null;
  const { segmentBytes, behindGaps = "keep" } = options;
  const { log } = await openLog(target, {
    ...identity,
    ...(segmentBytes === undefined ? {} : { segmentBytes }),
    isReserved: false,
    queueBytesMax: QUEUE_BYTES,
    nowMs: () => 0,
    onFatal: (error) => failure = error,
  });
  const gaps = new GapFinder();
  const problems: LogProblem[] = [];
  let [records, dropped] = [0, 0];
  try {
    const writer = new Collector((batch) => log.append(batch));
    const extent = await walkLog(source, {
      async record(record) {
        if (gaps.isBehindGap(record) && behindGaps === "drop") return void dropped++;
        records++;
        await writer.add(record);
      },
      problem: (problem) => void problems.push(problem),
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    });
    await writer.flush();
    return { ...extent, records, dropped, missing: gaps.missing, problems };
  } catch (error) {
    throw failure ?? error;
  } finally {
    await log.close();
  }
}

/** Puts records together, so that not each of them waits for the disk. */
class Collector {
  readonly #append: (records: readonly LogRecord[]) => Promise<void>;
  #records: LogRecord[] = [];
  #bytes = 0;

  constructor(append: (records: readonly LogRecord[]) => Promise<void>) {
    this.#append = append;
  }

  async add(record: LogRecord): Promise<void> {
    this.#records.push(record);
    this.#bytes += record.payload.length + 64;
    if (this.#bytes >= BATCH_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    await this.#append(records);
  }
}

/** Follows the indexes of every group's entries. */
class GapFinder {
  readonly missing: MissingEntries[] = [];
  readonly #lastIndexes = new Map<number, number>();
  readonly #broken = new Set<number>();

  isBehindGap({ type, group, index }: LogRecord): boolean {
    if (type === "entry") {
      const last = this.#lastIndexes.get(group);
      if (last !== undefined && index > last + 1) {
        this.missing.push({ group, fromIndex: last + 1, toIndex: index - 1 });
        this.#broken.add(group);
      }
      this.#lastIndexes.set(group, index);
    }
    // A node must remember whom it voted for, whatever else is lost.
    return type !== "vote" && this.#broken.has(group);
  }
}

/** Whose log it is, by the first header that is good. */
function ownerOf(disk: Disk): LogIdentity {
  for (const sequence of sequencesOf(disk.list())) {
    const file = disk.open(segmentName(sequence), "read");
    try {
      return readHeader(file, sequence);
    } catch (error) {
      if (!(error instanceof LogCorruptError)) throw error;
    } finally {
      file.close();
    }
  }
  const why = "no header in it is good, so the ids of cluster and node have to be given";
  throw new RangeError(`Cannot salvage the log: ${why}`);
}
