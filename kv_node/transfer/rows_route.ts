/**
 * `POST /NAME/rows/read`: rows of a database with their expiry, for `kv export`.
 *
 * The body is a `SnapshotRead` with one range, the answer a page of
 * `row_page.ts`: rows from the start of the range on, all as of one moment. It
 * may be shorter than was asked for; whoever wants all asks on behind the last
 * key until none comes.
 *
 * @module
 */
import type { Reply, ServerRequest } from "../../src/ports.ts";
import { KvError } from "../errors.ts";
import type { Database, Row } from "../types.ts";
import { decodeSnapshotRead } from "../wire/read.ts";
import { encodePage, PAGE_TYPE } from "./row_page.ts";

/** A request for rows; its token was checked. */
export interface RowsCall {
  /** Whose rows. */
  readonly database: Database;
  /** What is asked. */
  readonly operation: string;
  /** The request. */
  readonly request: ServerRequest;
  /** Reads its body. */
  readonly readBody: () => Promise<Uint8Array<ArrayBuffer>>;
}

/** Name of the route: the second part of the path. */
export const ROWS_ROUTE = "rows";

const ROWS_MAX = 1_000;
const PAGE_BYTES_MAX = 4 * 1_048_576;
/** Rows that are read at a time, so that long values are not all in memory. */
const SLICE_ROWS = 64;

/** Answers requests for rows. */
export class RowsRoute {
  /**
   * Answers.
   *
   * @throws {KvError} What the client is told.
   */
  async handle(call: RowsCall): Promise<Reply> {
    const { database, operation, readBody } = call;
    if (operation !== "read") {
      throw new KvError("not_found", "Cannot find that path: rows are read by /NAME/rows/read");
    }
    if (database.readDisabled) {
      throw new KvError("unsupported", "Cannot read rows: the database is closed for reading");
    }
    const ranges = decodeSnapshotRead(await readBody(), database.prefixOf("data"));
    const [range] = ranges;
    if (range === undefined || ranges.length > 1 || range.reverse) {
      throw new KvError("bad_request", "Cannot read rows: ask for one range, not in reverse");
    }
    const body = encodePage(pageOf(database, range.start, range.end, range.limit));
    return { status: 200, headers: [["content-type", PAGE_TYPE]], body };
  }
}

/** Rows up to a number and a size, one at least. In one turn: nothing is committed meanwhile. */
function pageOf(database: Database, first: Uint8Array, end: Uint8Array, limit: number): Row[] {
  const page: Row[] = [];
  const rowsMax = Math.min(limit, ROWS_MAX);
  let start = first;
  for (let bytes = 0; page.length < rowsMax && bytes < PAGE_BYTES_MAX;) {
    const wanted = Math.min(SLICE_ROWS, rowsMax - page.length);
    const [rows = []] = database.read([{ start, end, limit: wanted, reverse: false }]);
    for (const row of rows) {
      page.push(row);
      bytes += row.key.length + row.data.length;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < wanted) break;
    start = keyBehind(last.key);
  }
  return page;
}

/** The first key behind this one. */
export function keyBehind(key: Uint8Array): Uint8Array {
  const behind = new Uint8Array(key.length + 1);
  behind.set(key);
  return behind;
}
