/**
 * A directory on the machine's disk.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { FileDigest, VectorDisk } from "./disk/disk.ts";

const READ_BYTES = 1 << 20;

/** Opens a directory, made if need be; `onProgress` is called during long work. */
export function openDirectory(directory: string, onProgress: () => void): VectorDisk {
  Deno.mkdirSync(directory, { recursive: true });
  const path = (name: string): string => join(directory, name);

  return {
    path,
    async list() {
      const names: string[] = [];
      for await (const entry of Deno.readDir(directory)) if (entry.isFile) names.push(entry.name);
      return names;
    },
    read: (name) => orNull(readWhole(path(name), onProgress)),
    async write(name, parts) {
      using file = await Deno.open(path(name), { write: true, create: true, truncate: true });
      for (const part of parts) {
        for (let done = 0; done < part.length;) done += await file.write(part.subarray(done));
        onProgress();
      }
      await file.sync();
    },
    digest: (name) => orNull(digestOf(path(name), onProgress)),
    async rename(from, to) {
      await Deno.rename(path(from), path(to));
      await syncDirectory(directory);
    },
    async remove(name) {
      await orNull(Deno.remove(path(name)));
    },
  };
}

/** Reads a file into memory of its size: several times as fast as memory that grows. */
async function readWhole(path: string, onProgress: () => void): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path, { read: true });
  const bytes = new Uint8Array((await file.stat()).size);
  let length = 0;
  while (length < bytes.length) {
    const count = await file.read(bytes.subarray(length, length + READ_BYTES));
    if (count === null) break;
    length += count;
    onProgress();
  }
  return bytes.subarray(0, length);
}

async function digestOf(path: string, onProgress: () => void): Promise<FileDigest> {
  using file = await Deno.open(path, { read: true });
  const hash = createHash("sha256");
  const buffer = new Uint8Array(READ_BYTES);
  let bytes = 0;
  for (;;) {
    const count = await file.read(buffer);
    if (count === null) break;
    hash.update(buffer.subarray(0, count));
    bytes += count;
    onProgress();
  }
  // The native library does not do it for its own files.
  await file.syncData();
  return { bytes, sha256: hash.digest("hex") };
}

/** Makes a rename last; some systems cannot open a directory, and need not. */
async function syncDirectory(directory: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using handle = await Deno.open(directory, { read: true });
  await handle.sync();
}

async function orNull<Value>(result: Promise<Value>): Promise<Value | null> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
