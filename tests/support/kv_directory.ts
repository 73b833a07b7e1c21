/**
 * Looks into, and damages, the data directory of a stopped node.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";

/** All rows of a group as text, for comparison: key, versionstamp, encoding, expiry, value. */
export function stateRows(folder: string, group: number): string[] {
  const database = new DatabaseSync(`${folder}/state/${group}.db`, { readOnly: true });
  try {
    return database.prepare("SELECT key, stamp, encoding, expires, value FROM entry ORDER BY key")
      .all().map(({ key, stamp, encoding, expires, value }) =>
        JSON.stringify([hex(key), hex(stamp), encoding, expires, hex(value)])
      );
  } finally {
    database.close();
  }
}

function hex(bytes: unknown): string {
  return bytes instanceof Uint8Array ? bytes.toHex() : String(bytes);
}

/** Turns a bit of a file. */
export function flipBit(path: string, offset: number, bit = 0): void {
  using file = Deno.openSync(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  file.seekSync(offset, Deno.SeekMode.Start);
  if (file.readSync(byte) !== 1) throw new Error("Cannot flip a bit: the file ends before it");
  byte[0] = (byte[0] ?? 0) ^ (1 << bit);
  file.seekSync(offset, Deno.SeekMode.Start);
  file.writeSync(byte);
}

/** Where these bytes stand in a file; the last place, if there are several. */
export function findBytes(path: string, bytes: Uint8Array): number {
  const content = Deno.readFileSync(path);
  for (let at = content.length - bytes.length; at >= 0; at--) {
    if (bytes.every((byte, place) => content[at + place] === byte)) return at;
  }
  throw new Error("Cannot find the bytes in the file");
}

/** The file of the log that holds these bytes. */
export function segmentWith(folder: string, bytes: Uint8Array): string {
  for (const { name } of Deno.readDirSync(`${folder}/wal`)) {
    const path = `${folder}/wal/${name}`;
    try {
      findBytes(path, bytes);
      return path;
    } catch {
      continue;
    }
  }
  throw new Error("Cannot find the bytes in the log");
}
