/**
 * Everything of a node at one moment, as a stream of bytes.
 *
 * Snapshots of both groups begin before the first byte is sent: first that of the
 * rows, then that of the databases. Nothing happens in between that would matter:
 * a database is registered before its first row is written, and never goes away,
 * so every row in the first snapshot belongs to a database in the second. A
 * database that was made between the two is in the backup without rows. The other
 * way round a row could be there whose database is not.
 *
 * While a snapshot is read, SQLite keeps all that is written meanwhile in its
 * write-ahead file. So there is one backup at a time, and one that nobody reads
 * is given up.
 *
 * @module
 */
import type { Clock } from "../../../src/ports.ts";
import { KvError } from "../../errors.ts";
import type { SnapshotChunk } from "../../store/snapshot_encoder.ts";
import type { SnapshotHeader } from "../../store/snapshot_format.ts";
import type { StateSnapshot, StateWorker } from "../../store/worker_client.ts";
import { encodeBackup } from "../backup_encoder.ts";
import type { BackupManifest } from "../backup_format.ts";

/** What is backed up. */
export interface BackupOrigin {
  /** Identity of the cluster. */
  readonly cluster: string;
  /** Identity of the node. */
  readonly node: string;
  /** Version of the program. */
  readonly program: string;
  /** Reads states. */
  readonly worker: StateWorker;
  /** State files, in the order in which their snapshots begin. */
  readonly paths: readonly string[];
  /** Time. */
  readonly clock: Clock;
  /** Told which state could not be read; the backup fails then. */
  readonly onUnreadable?: (path: string, error: unknown) => void;
}

/** A snapshot on its way. */
interface Snapshot {
  readonly header: SnapshotHeader;
  readonly chunks: AsyncGenerator<SnapshotChunk, void, undefined>;
}

/** How long a stream may wait for its reader, in milliseconds. */
const STALL_MS = 60_000;

/** Gives out backups, one at a time. */
export class BackupSource {
  #isBusy = false;

  /**
   * Begins a backup when its first byte is asked for.
   *
   * @throws {KvError} `overloaded` if another one is under way.
   */
  stream(origin: BackupOrigin): ReadableStream<Uint8Array<ArrayBuffer>> {
    if (this.#isBusy) throw busy();
    const pieces = backupOf(origin);
    let isBegun = false;
    let stall: Disposable | null = null;
    const end = async (): Promise<void> => {
      stall?.[Symbol.dispose]();
      if (!isBegun) return;
      await pieces.return().finally(() => {
        this.#isBusy = false;
      });
    };
    const next = async (): Promise<Uint8Array<ArrayBuffer> | null> => {
      if (!isBegun) {
        // Not before: a stream that nobody ever reads, as after a HEAD, is never ended either.
        if (this.#isBusy) throw busy();
        this.#isBusy = isBegun = true;
      }
      const { value } = await pieces.next();
      return value ?? null;
    };
    return new ReadableStream({
      async pull(controller) {
        stall?.[Symbol.dispose]();
        try {
          const piece = await next();
          if (piece === null) {
            await end();
            return controller.close();
          }
          stall = origin.clock.after(STALL_MS, () => {
            controller.error(new Error("Cannot go on with the backup: nobody reads it"));
            end().catch(() => {});
          });
          controller.enqueue(piece);
        } catch (error) {
          await end().catch(() => {});
          throw error;
        }
      },
      cancel: end,
    }, { highWaterMark: 0 });
  }
}

function busy(): KvError {
  return new KvError("overloaded", "Cannot back up: another backup is under way; try again");
}

/** A backup, piece by piece; memory is that of one chunk of a snapshot. */
export async function* backupOf(
  origin: BackupOrigin,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const { cluster, node, program, worker, paths, clock, onUnreadable } = origin;
  await using opened = new AsyncDisposableStack();
  const createdMs = clock.wallMs();
  const snapshots: Snapshot[] = [];
  for (const path of paths) {
    try {
      const snapshot = opened.use(await worker.snapshot(path));
      const chunks = telling(snapshot, (error) => onUnreadable?.(path, error));
      snapshots.push({ header: snapshot.header, chunks });
    } catch (error) {
      onUnreadable?.(path, error);
      throw error;
    }
  }
  // Small things first: whoever reads a backup knows the databases before the rows.
  const inOrder = snapshots.toSorted((one, other) => one.header.group - other.header.group);
  const manifest: BackupManifest = {
    cluster,
    node,
    program,
    createdMs,
    groups: inOrder.map(({ header: { group, applied, rows } }) => ({ ...applied, group, rows })),
  };
  yield* encodeBackup(
    manifest,
    inOrder.map(({ header: { group }, chunks }) => ({ group, chunks })),
  );
}

/** The same, with its failure told to somebody else as well. */
async function* telling(
  snapshot: StateSnapshot,
  failed: (error: unknown) => void,
): AsyncGenerator<SnapshotChunk, void, undefined> {
  try {
    yield* snapshot;
  } catch (error) {
    failed(error);
    throw error;
  }
}
