/**
 * How a node is: one object for the status page, for `/status` and for scripts.
 *
 * @module
 */

/** Where a node is in its life. */
export type NodePhase = "starting" | "replaying" | "serving" | "stopping" | "failed";

/** How one group of a node is. */
export interface GroupStatus {
  /** Its number: 0 holds databases and tokens, 1 the data. */
  readonly group: number;
  /** Last applied entry. */
  readonly appliedIndex: number;
  /** Last entry that needs no log any more. */
  readonly durableIndex: number;
  /** Rows. */
  readonly rows: number;
  /** Bytes on disk. */
  readonly bytes: number;
}

/** How a node is. */
export interface NodeStatus {
  /** Where it is in its life. */
  readonly phase: NodePhase;
  /** Program version. */
  readonly version: string;
  /** Identity of the cluster, and of the node in it. */
  readonly cluster: string;
  /** Identity of the node. */
  readonly node: string;
  /** Seconds since its start. */
  readonly uptimeSeconds: number;
  /** Where clients connect; `null` until it serves. */
  readonly url: string | null;
  /** Share of the log that was replayed, 0 to 1. */
  readonly replayed: number;
  /** Why writes are refused now, or `null`. */
  readonly writesRefused: string | null;
  /** Whether that is for want of room on the disk. */
  readonly diskFull: boolean;
  /** State files in which something damaged was found since the start. */
  readonly damagedFiles: readonly string[];
  /** Commits that wait for the disk. */
  readonly waitingCommits: number;
  /** Bytes of them. */
  readonly waitingBytes: number;
  /** Segments of the log. */
  readonly logSegments: number;
  /** Bytes of them. */
  readonly logBytes: number;
  /** Open watches. */
  readonly watches: number;
  /** Open connections of the own client. */
  readonly linkConnections: number;
  /** Number of databases. */
  readonly databases: number;
  /** Its groups. */
  readonly groups: readonly GroupStatus[];
}
