/**
 * A data directory as a real node left it, to be damaged in many ways.
 *
 * @module
 */
import assert from "node:assert/strict";
import { openStore } from "../../kv_node/compat/mod.ts";
import { openFolder } from "../../kv_node/disk/folder.ts";
import { SegmentScanner } from "../../kv_node/wal/scan.ts";
import { readHeader, segmentName, sequencesOf } from "../../kv_node/wal/segment.ts";
import { KillableNode } from "./kv_killable_node.ts";

/** One record of the log. */
export interface PristineRecord {
  /** File below the data directory. */
  readonly file: string;
  /** Its first byte. */
  readonly start: number;
  /** The byte behind it. */
  readonly end: number;
  /** Of which group it is; −1 for the log's own. */
  readonly group: number;
}

/** What a node left. */
export interface PristineFolder {
  /** Its files by name, without those of the state: all of it is in the log. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** Its records, oldest first. */
  readonly records: readonly PristineRecord[];
  /** Versionstamps of its commits, oldest first: the key of each is its place. */
  readonly stamps: readonly string[];
}

/** Flags of a node whose log has small segments. */
export const SMALL_SEGMENTS: readonly string[] = ["--segment-bytes", "16384"];

/** Runs a node, commits so often, each commit alone in its batch, and ends it. */
export async function pristineFolder(
  commits: number,
  ending: "SIGKILL" | "SIGTERM",
): Promise<PristineFolder> {
  await using node = new KillableNode({ flags: SMALL_SEGMENTS });
  await node.serve();
  const stamps: string[] = [];
  using store = await openStore(node.weirUrl, { token: "any" });
  for (let number = 0; number < commits; number++) {
    const filling = "v".repeat(40 + number % 9);
    stamps.push((await store.set(["k", number], filling)).versionstamp);
  }
  node.run.signal(ending);
  await node.run.ended;
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const path of ["identity.json", ...namesIn(`${node.folder}/wal`)]) {
    files.set(path, Deno.readFileSync(`${node.folder}/${path}`));
  }
  files.set("identity.json", withoutOrigin(files.get("identity.json")));
  const records = recordsIn(`${node.folder}/wal`);
  assert.ok(records.length >= commits, "the log was cut: fewer commits, please");
  return { files, records, stamps };
}

/** A copy of a folder says that it is one, unless it is told that the original is gone. */
function withoutOrigin(bytes: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const { origin: _, ...identity } = JSON.parse(new TextDecoder().decode(bytes));
  return new TextEncoder().encode(JSON.stringify(identity));
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => `wal/${name}`);
}

function recordsIn(folder: string): PristineRecord[] {
  const disk = openFolder(folder);
  const records: PristineRecord[] = [];
  for (const sequence of sequencesOf(disk.list())) {
    const file = disk.open(segmentName(sequence), "read");
    const scanner = new SegmentScanner(file, sequence, readHeader(file, sequence).sizeBytes);
    for (;;) {
      const start = scanner.offset;
      const record = scanner.next();
      if (record === null) break;
      const group = "group" in record && record.type === "entry" ? record.group : -1;
      records.push({
        file: `wal/${segmentName(sequence)}`,
        start,
        end: scanner.offset,
        group,
      });
    }
    file.close();
  }
  return records;
}

/** Writes a folder as it was, with some files as they are given; `null` leaves one out. */
export function writeFolder(
  folder: string,
  { files }: PristineFolder,
  changed: Readonly<Record<string, Uint8Array<ArrayBuffer> | null>> = {},
): void {
  Deno.mkdirSync(`${folder}/wal`, { recursive: true });
  for (const [name, bytes] of [...files, ...Object.entries(changed)]) {
    const content = name in changed ? changed[name] : bytes;
    if (content !== null && content !== undefined) Deno.writeFileSync(`${folder}/${name}`, content);
  }
}
