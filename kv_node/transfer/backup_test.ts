import assert from "node:assert/strict";
import { encodeSnapshot } from "../store/snapshot_encoder.ts";
import type { Row } from "../types.ts";
import { BackupCheck } from "./backup_check.ts";
import { encodeBackup } from "./backup_encoder.ts";
import { BackupError, type BackupManifest } from "./backup_format.ts";

const STAMP = Uint8Array.from([0, 0, 1, 2, 3, 4, 5, 6, 0, 1]);
const APPLIED = { term: 1, index: 7, stamp: STAMP };

function rowsOf(group: number, count: number): Row[] {
  return Array.from({ length: count }, (_, number) => ({
    key: Uint8Array.of(0, 0, 0, group, number >>> 8, number),
    data: new Uint8Array(40).fill(number),
    encoding: 3,
    stamp: STAMP,
    expiresMs: number % 3 === 0 ? 1_800_000_000_000 + number : null,
  }));
}

function manifestOf(counts: readonly number[]): BackupManifest {
  return {
    cluster: "c",
    node: "n",
    program: "0.0.0",
    createdMs: 1_700_000_000_000,
    groups: counts.map((rows, group) => ({ ...APPLIED, group, rows })),
  };
}

async function backupOf(counts: readonly number[], manifest = manifestOf(counts)): Promise<
  Uint8Array<ArrayBuffer>
> {
  const parts = counts.map((rows, group) => {
    const header = { cluster: "c", group, applied: APPLIED, rows };
    return { group, chunks: asyncOf(encodeSnapshot(header, rowsOf(group, rows))) };
  });
  const pieces: Uint8Array[] = [];
  for await (const piece of encodeBackup(manifest, parts)) pieces.push(piece);
  return await new Blob(pieces as BlobPart[]).bytes();
}

async function* asyncOf<T>(items: Iterable<T>): AsyncGenerator<T, void, undefined> {
  for (const item of items) yield await Promise.resolve(item);
}

function check(bytes: Uint8Array, pieceBytes = bytes.length): BackupManifest {
  const backup = new BackupCheck();
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    backup.push(bytes.subarray(at, at + pieceBytes));
  }
  return backup.end();
}

Deno.test("BackupCheck reads what encodeBackup wrote, in pieces of any length", async () => {
  const bytes = await backupOf([3, 200]);
  for (const pieceBytes of [1, 7, 100, 4_096]) {
    assert.deepEqual(check(bytes, pieceBytes), manifestOf([3, 200]));
  }
  assert.deepEqual(check(await backupOf([0, 0])), manifestOf([0, 0]));
});

Deno.test("BackupCheck refuses a backup with any bit turned, and says where", async () => {
  const bytes = await backupOf([2, 8]);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice();
    damaged[at] = (damaged[at] ?? 0) ^ (1 << at % 8);
    assert.throws(
      () => check(damaged),
      (error) => error instanceof BackupError && error.offset <= at,
      `byte ${at} of ${bytes.length}`,
    );
  }
});

Deno.test("BackupCheck refuses a backup that is cut anywhere, or has more behind it", async () => {
  const bytes = await backupOf([2, 8]);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => check(bytes.subarray(0, length)), BackupError, `cut to ${length}`);
  }
  assert.throws(() => check(Uint8Array.from([...bytes, 0])), /bytes behind its end/);
});

Deno.test("BackupCheck refuses a manifest that tells of something else", async () => {
  const lies = [manifestOf([2, 9]), manifestOf([2]), { ...manifestOf([2, 8]), cluster: "other" }];
  for (const manifest of lies) {
    const bytes = await backupOf([2, 8], manifest);
    assert.throws(() => check(bytes), BackupError);
  }
  const fewer = await backupOf([2], manifestOf([2, 8]));
  assert.throws(() => check(fewer), /snapshot of a group is missing/);
});
