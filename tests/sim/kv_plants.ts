/**
 * Bugs put in on purpose, to see that the simulation of a node finds them.
 *
 * Each is a wrapper around a part of the node that does one thing wrong, such as
 * a programmer, or an operating system, may do it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Disk, DiskFile, State, StateWriter } from "../../kv_node/ports.ts";
import { encodeNoop } from "../../kv_node/txn/command_codec.ts";
import type { Row } from "../../kv_node/types.ts";
import type { SteppedTime } from "../support/stepped_time.ts";
import type { KvPlant } from "./kv_life.ts";

/** One entry in so many is not replayed. */
const SKIPPED_EVERY = 7;
/** Entries by which the log is cut too far. */
const CUT_AHEAD_ENTRIES = 20;

/** All planted bugs. */
export const KV_PLANTS: readonly KvPlant[] = [
  {
    name: "a commit is acknowledged before it is synced",
    log: (log) => ({
      append: (records) => {
        log.append(records).catch(() => {});
        return Promise.resolve();
      },
      cut: (needed) => log.cut(needed),
      close: () => log.close(),
    }),
  },
  {
    name: "the log is cut too early",
    log: (log) => ({
      append: (records) => log.append(records),
      cut: (needed) =>
        log.cut(new Map([...needed].map(([group, index]) => [group, index + CUT_AHEAD_ENTRIES]))),
      close: () => log.close(),
    }),
  },
  { name: "the folder is not synced", disk: (disk) => wrapDisk(disk, {}, () => Promise.resolve()) },
  {
    name: "a failed sync of the log is passed over",
    disk: (disk) => wrapDisk(disk, { sync: (file) => file.sync().catch(() => {}) }),
  },
  {
    name: "a new checkpoint is not synced before it takes the place of the old one",
    disk: (disk) =>
      wrapDisk(disk, {
        sync: (file, name) => name.startsWith("state") ? Promise.resolve() : file.sync(),
      }),
  },
  {
    name: "a checkpoint is reported before it is on disk",
    state: (state) =>
      wrapState(state, {
        checkpoint: () => {
          state.checkpoint().catch(() => {});
          return Promise.resolve(state.applied);
        },
      }),
  },
  {
    name: "what is left behind a torn end is not erased",
    disk: (disk) =>
      wrapDisk(disk, {
        write: (file, name, offset, bytes) => {
          const isErasing = name.endsWith(".wal") && bytes.every((byte) => byte === 0);
          if (!isErasing) file.write(offset, bytes);
        },
      }),
  },
  {
    name: "the last batch is trusted to be on disk when it was read from the cache",
    disk: (disk) =>
      wrapDisk(disk, {
        write: (file, name, offset, bytes) => {
          const there = new Uint8Array(bytes.length);
          if (name.endsWith(".wal")) file.read(offset, there);
          if (Buffer.compare(there, bytes) !== 0) file.write(offset, bytes);
        },
      }),
  },
  { name: "the clock forgets which stamps were given before", isForgetful: true },
  {
    name: "checks are not evaluated",
    command: ({ mutations }) => ({ checks: [], mutations }),
  },
  {
    name: "expiry is judged by the clock of whoever applies",
    state: (state, time) => wrapState(state, { writer: (writer) => judgeByClock(writer, time) }),
  },
  {
    name: "an entry is left out of the replay",
    record: (record) =>
      record.index % SKIPPED_EVERY === 3 ? { ...record, payload: encodeNoop() } : record,
  },
  {
    name: "the last entry of a checkpoint is replayed once more",
    state: (state) => {
      const { term, index, stamp } = state.applied;
      let isReplaying = index > 0;
      return wrapState(state, {
        applied: () => isReplaying ? { term, index: index - 1, stamp } : state.applied,
        changed: () => isReplaying = false,
      });
    },
  },
  {
    name: "the last change of a long transaction is lost",
    state: (state) => wrapState(state, { isLastLost: true }),
  },
];

/** What is done instead of the proper thing. */
interface FileFaults {
  write?(file: DiskFile, name: string, offset: number, bytes: Uint8Array): void;
  sync?(file: DiskFile, name: string): Promise<void>;
}

function wrapDisk(disk: Disk, faults: FileFaults, sync?: () => Promise<void>): Disk {
  return {
    list: () => disk.list(),
    rename: (from, to) => disk.rename(from, to),
    remove: (name) => disk.remove(name),
    sync: sync ?? (() => disk.sync()),
    open: (name, mode) => {
      const file = disk.open(name, mode);
      return {
        size: () => file.size(),
        read: (offset, bytes) => file.read(offset, bytes),
        truncate: (sizeBytes) => file.truncate(sizeBytes),
        close: () => file.close(),
        write: (offset, bytes) =>
          faults.write === undefined
            ? file.write(offset, bytes)
            : faults.write(file, name, offset, bytes),
        sync: () => faults.sync === undefined ? file.sync() : faults.sync(file, name),
      };
    },
  };
}

interface StateFaults {
  writer?(writer: StateWriter): StateWriter;
  applied?(): State["applied"];
  checkpoint?(): ReturnType<State["checkpoint"]>;
  changed?(): void;
  readonly isLastLost?: boolean;
}

function wrapState(state: State, faults: StateFaults): State {
  return {
    get applied() {
      return faults.applied?.() ?? state.applied;
    },
    get: (key) => state.get(key),
    scan: (range, nowMs) => state.scan(range, nowMs),
    expired: (nowMs, limit) => state.expired(nowMs, limit),
    transact: (position, run) => {
      faults.changed?.();
      state.transact(position, (writer) => {
        const judged = faults.writer?.(writer) ?? writer;
        if (faults.isLastLost) loseLast(judged, run);
        else run(judged);
      });
    },
    checkpoint: () => faults.checkpoint?.() ?? state.checkpoint(),
    size: () => state.size(),
    close: () => state.close(),
  };
}

/** Shows rows as if they had no expiry, or were not there if it has passed on the clock. */
function judgeByClock(writer: StateWriter, time: SteppedTime): StateWriter {
  return {
    get: (key) => {
      const row = writer.get(key);
      if (row === null || row.expiresMs === null) return row;
      return row.expiresMs <= time.wallMs() ? null : { ...row, expiresMs: null };
    },
    put: (row) => writer.put(row),
    remove: (key) => writer.remove(key),
  };
}

/** Each change is made when the next one comes; of four or more the last never is. */
function loseLast(writer: StateWriter, run: (writer: StateWriter) => void): void {
  let changes = 0;
  let held: Row | null = null;
  const flush = (): void => {
    if (held !== null) writer.put(held);
    held = null;
  };
  run({
    get: (key) => {
      flush();
      return writer.get(key);
    },
    put: (row) => {
      flush();
      held = row;
      changes++;
    },
    remove: (key) => {
      flush();
      writer.remove(key);
      changes++;
    },
  });
  if (changes < 4) flush();
}
