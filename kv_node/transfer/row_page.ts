/**
 * Rows on their way to an export: what KV Connect tells of them, and when they expire.
 *
 * KV Connect has no field for a row's expiry. An export that lost it would make
 * everything last for ever, so a node answers its own tool in a form of its own:
 *
 * ```
 * page = u32 count · (u64 expiry in milliseconds, 0 for never)… · SnapshotReadOutput
 * ```
 *
 * Numbers are big-endian; the output has one range with `count` rows.
 *
 * @module
 */
import { KvError } from "../errors.ts";
import type { Row } from "../types.ts";
import { decodeSnapshotReadOutput, encodeSnapshotReadOutput } from "../wire/read.ts";

/** Content type of a page. */
export const PAGE_TYPE = "application/x-weir-rows";

const COUNT_BYTES = 4;
const EXPIRY_BYTES = 8;

/** A page; spaces are taken off the keys. */
export function encodePage(rows: readonly Row[]): Uint8Array<ArrayBuffer> {
  const output = encodeSnapshotReadOutput([rows], { isStrong: true });
  const page = new Uint8Array(COUNT_BYTES + EXPIRY_BYTES * rows.length + output.length);
  const view = new DataView(page.buffer);
  view.setUint32(0, rows.length);
  let at = COUNT_BYTES;
  for (const { expiresMs } of rows) {
    view.setBigUint64(at, BigInt(expiresMs ?? 0));
    at += EXPIRY_BYTES;
  }
  page.set(output, at);
  return page;
}

/**
 * The rows of a page; keys are as a client wrote them, bytes are views.
 *
 * @throws {KvError} `internal` if it is malformed.
 */
export function decodePage(page: Uint8Array): readonly Row[] {
  if (page.length < COUNT_BYTES) throw malformed();
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  const count = view.getUint32(0);
  const outputAt = COUNT_BYTES + EXPIRY_BYTES * count;
  if (outputAt > page.length) throw malformed();
  const [rows = []] = decodeSnapshotReadOutput(page.subarray(outputAt)).ranges;
  if (rows.length !== count) throw malformed();
  return rows.map((row, place) => {
    const expiresMs = Number(view.getBigUint64(COUNT_BYTES + EXPIRY_BYTES * place));
    return { ...row, expiresMs: expiresMs === 0 ? null : expiresMs };
  });
}

function malformed(): KvError {
  return new KvError("internal", "Cannot read the rows: the answer is malformed");
}
