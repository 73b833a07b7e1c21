/**
 * Who a data directory belongs to: `identity.json`.
 *
 * A node is its data directory. A wiped disk is a new node, never the old one
 * with amnesia, and a copied directory is not a second node of the same name.
 *
 * @module
 */
import { type Disk, DiskError } from "../ports.ts";
import { diskErrorOf } from "./disk_errors.ts";
import { uuidOf } from "../uuid.ts";
import { openFolder } from "./folder.ts";
import { LOCK_NAME } from "./folder_lock.ts";

/** Name of the file. */
export const IDENTITY_NAME = "identity.json";

const TEMPORARY_NAME = "identity.json.new";
const FORMAT = 1;
const SIZE_BYTES_MAX = 4_096;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Who a data directory belongs to. */
export interface Identity {
  /** Layout of the data directory. */
  readonly format: number;
  /** UUID of the cluster. */
  readonly cluster: string;
  /** UUID of the node. */
  readonly node: string;
}

/** A data directory that this node must not use. */
export class IdentityError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "IdentityError";
}

/** How a file is told from its copy, as far as the file system tells. */
interface Origin {
  readonly inode: number;
  readonly bornMs: number;
}

interface StoredIdentity extends Identity {
  /** Absent after an operator has removed it, and where the file system does not tell. */
  readonly origin: Origin | null;
}

/**
 * Reads the identity of a data directory, or makes one if the directory is new.
 * To be called under its lock.
 *
 * A copy is told by inode *and* time of birth of the file: both are new in a
 * copy made file by file, both stay when a volume is moved, cloned or renamed.
 * Deleting `origin` in the file adopts a copy.
 *
 * @param random16 16 random bytes, new ones at each call.
 * @throws {IdentityError} If the directory is not empty and has no identity, or one that
 * is unreadable, of another format, or copied from elsewhere.
 * @throws {DiskError} If the disk fails.
 */
export async function openIdentity(path: string, random16: () => Uint8Array): Promise<Identity> {
  const disk = openFolder(path);
  const text = readText(disk);
  if (text === null) {
    refuseUsed(path);
    const identity = { format: FORMAT, cluster: uuidOf(random16()), node: uuidOf(random16()) };
    await writeIdentity(disk, path, identity);
    return identity;
  }
  const { origin, ...identity } = parseIdentity(text);
  const present = originOf(path, IDENTITY_NAME);
  if (origin === null) {
    if (present !== null) await writeIdentity(disk, path, identity);
  } else if (
    present !== null && present.inode !== origin.inode && present.bornMs !== origin.bornMs
  ) {
    throw refusal(
      "it is a copy of another one, and two nodes must not be the same; if the original " +
        `never runs again, remove "origin" from ${IDENTITY_NAME}`,
    );
  }
  return identity;
}

/**
 * Reads the identity of a data directory without using the directory: of a copy, too.
 *
 * @returns `null` if there is none.
 * @throws {IdentityError} If it is unreadable, or of another format.
 * @throws {DiskError} If the disk fails.
 */
export function readIdentity(path: string): Identity | null {
  const text = readText(openFolder(path));
  if (text === null) return null;
  const { format, cluster, node } = parseIdentity(text);
  return { format, cluster, node };
}

function readText(disk: Disk): string | null {
  try {
    const file = disk.open(IDENTITY_NAME, "read");
    try {
      const bytes = new Uint8Array(SIZE_BYTES_MAX);
      return new TextDecoder().decode(bytes.subarray(0, file.read(0, bytes)));
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof DiskError && error.kind === "missing") return null;
    throw error;
  }
}

/** A new directory holds nothing but its lock, and perhaps what an interrupted start left. */
function refuseUsed(path: string): void {
  const own = new Set([LOCK_NAME, TEMPORARY_NAME, "lost+found"]);
  let entries: readonly Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(path)];
  } catch (cause) {
    throw diskErrorOf(cause, "list data directory");
  }
  if (entries.some((entry) => !own.has(entry.name))) {
    throw refusal(
      `it is not empty and has no ${IDENTITY_NAME}; give it back, or use an empty directory`,
    );
  }
}

/** Written beside, synced, renamed, synced: at every moment all of it is there, or nothing. */
async function writeIdentity(disk: Disk, path: string, identity: Identity): Promise<void> {
  if (disk.list().includes(TEMPORARY_NAME)) disk.remove(TEMPORARY_NAME);
  const file = disk.open(TEMPORARY_NAME, "create");
  try {
    const stored: StoredIdentity = { ...identity, origin: originOf(path, TEMPORARY_NAME) };
    file.write(0, new TextEncoder().encode(`${JSON.stringify(stored, null, 2)}\n`));
    await file.sync();
  } finally {
    file.close();
  }
  disk.rename(TEMPORARY_NAME, IDENTITY_NAME);
  await disk.sync();
}

function originOf(path: string, name: string): Origin | null {
  const { ino, birthtime } = Deno.statSync(`${path}/${name}`);
  return ino === null || birthtime === null ? null : { inode: ino, bornMs: birthtime.getTime() };
}

function parseIdentity(text: string): StoredIdentity {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refusal(`${IDENTITY_NAME} is not JSON; restore it from a backup`);
  }
  if (!isRecord(value)) throw refusal(`${IDENTITY_NAME} is not an object`);
  const { format, cluster, node, origin = null } = value;
  if (format !== FORMAT) {
    throw refusal(
      typeof format === "number" && format > FORMAT
        ? `its format is ${format}, and this version reads ${FORMAT} only; use a newer version`
        : `${IDENTITY_NAME} is not one of this program`,
    );
  }
  if (!isUuid(cluster)) throw refusal(`"cluster" in ${IDENTITY_NAME} is not a UUID`);
  if (!isUuid(node)) throw refusal(`"node" in ${IDENTITY_NAME} is not a UUID`);
  return { format, cluster, node, origin: parseOrigin(origin) };
}

function parseOrigin(value: unknown): Origin | null {
  if (value === null) return null;
  if (isRecord(value)) {
    const { inode, bornMs } = value;
    if (typeof inode === "number" && typeof bornMs === "number") return { inode, bornMs };
  }
  throw refusal(`"origin" in ${IDENTITY_NAME} is unreadable; remove it to adopt the directory`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isUuid(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}

function refusal(reason: string): IdentityError {
  return new IdentityError(`Cannot use data directory: ${reason}`);
}
