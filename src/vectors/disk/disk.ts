/**
 * The directory an index is kept in, as an interface.
 *
 * @module
 */

/** Size and digest of a file. */
export interface FileDigest {
  /** Length, in bytes. */
  readonly bytes: number;
  /** SHA-256, in hexadecimal. */
  readonly sha256: string;
}

/** Files of one directory, by name. */
export interface VectorDisk {
  /** The names of all files. */
  list(): Promise<readonly string[]>;
  /** The whole file, or `null` if there is none. */
  read(name: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Writes a file in parts; when it settles, the bytes are on the medium. */
  write(name: string, parts: Iterable<Uint8Array<ArrayBuffer>>): Promise<void>;
  /** Size and digest of a file, whoever wrote it, or `null` if there is none. */
  digest(name: string): Promise<FileDigest | null>;
  /** Puts a file in the place of another, wholly or not at all. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; nothing happens if there is none. */
  remove(name: string): Promise<void>;
  /** The file's path, for the native library. */
  path(name: string): string;
}
