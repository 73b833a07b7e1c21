/**
 * `kv import`: rows of a Deno KV file or of JSON Lines into a database.
 *
 * @module
 */
import { type Options, UsageError } from "../../src/cli/arguments.ts";
import { CommandError } from "../../src/cli/command_error.ts";
import { createProgress } from "../../src/cli/progress.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { rowOfLine } from "../transfer/row_json.ts";
import { DenoKvFileReader } from "../transfer/shell/deno_kv_file.ts";
import { linesOf } from "../transfer/shell/line_reader.ts";
import { type RawClient, RawClientError } from "../transfer/shell/raw_client.ts";
import { type ImportedRow, WriteBatches } from "../transfer/write_batches.ts";
import { isJsonLines, openDatabase } from "./database_client.ts";
import { sizeText } from "../admin/size_text.ts";
import { attempt } from "./failures.ts";
import { countText, secondsSince } from "./figures.ts";

/** Refusals of a commit that a smaller one may not meet. */
const LARGE: ReadonlySet<number> = new Set([400, 413]);

/** A row, and where it stands in its file. */
interface PlacedRow extends ImportedRow {
  readonly place: string;
}

/** Rows of a file. */
interface RowSource extends Disposable {
  readonly rows: AsyncIterable<PlacedRow> | Iterable<PlacedRow>;
  /** Messages of a queue, which are not imported. */
  readonly messages: number;
}

/** What was imported. */
interface Imported {
  rows: number;
  bytes: number;
  /** Rows that had expired by then. */
  expired: number;
  messages: number;
}

/** Imports a file. */
export async function importDatabase(
  options: Options,
  terminal: Terminal,
  operands: readonly string[],
): Promise<number> {
  const [file = ""] = operands;
  if (file === "") throw new UsageError("Cannot import: it takes a FILE", null);
  const startMs = performance.now();
  const { client, permission } = openDatabase(options, "to");
  const permissions = `${permission} --allow-read=${file}`;
  const { rows, bytes, expired, messages } = await attempt(
    { what: `Cannot import ${file}`, permissions },
    () => importInto(client, file),
  );
  const seconds = secondsSince(startMs);
  if (options["json"] === true) {
    terminal.print(JSON.stringify({ file, rows, bytes, expired, messages, seconds }));
    return 0;
  }
  terminal.print(`${file}: ${countText(rows, "row")}, ${sizeText(bytes)}, ${seconds} s`);
  if (expired > 0) terminal.print(`${countText(expired, "row")} had expired and were left out`);
  if (messages > 0) {
    terminal.complain(`${countText(messages, "message")} in the file's queue were left out`);
  }
  return 0;
}

async function importInto(client: RawClient, file: string): Promise<Imported> {
  using source = await openSource(file);
  const imported: Imported = { rows: 0, bytes: 0, expired: 0, messages: source.messages };
  const batches = new WriteBatches<PlacedRow>();
  for await (const row of source.rows) {
    if (row.expiresMs !== null && row.expiresMs <= Date.now()) {
      imported.expired++;
      continue;
    }
    imported.rows++;
    imported.bytes += row.key.length + row.data.length;
    const full = batches.add(row);
    if (full !== null) await write(client, full);
  }
  const last = batches.take();
  if (last !== null) await write(client, last);
  return imported;
}

/** Commits rows together, or in halves where that is more than the server takes. */
async function write(client: RawClient, rows: readonly PlacedRow[]): Promise<void> {
  try {
    await client.write(
      rows.map(({ key, data, encoding, expiresMs }) => ({
        type: "set",
        key,
        value: { data, encoding },
        expiresMs,
      })),
    );
  } catch (error) {
    if (!(error instanceof RawClientError) || !LARGE.has(error.status)) throw error;
    const [first] = rows;
    if (rows.length === 1 && first !== undefined) {
      const message = `Cannot import ${first.place}: ${error.message}; what is before it was ` +
        "imported, and importing again is safe";
      throw new CommandError(message, { cause: error });
    }
    const middle = Math.ceil(rows.length / 2);
    await write(client, rows.slice(0, middle));
    await write(client, rows.slice(middle));
  }
}

async function openSource(file: string): Promise<RowSource> {
  if (!isJsonLines(file)) {
    await Deno.stat(file); // SQLite would make it.
    return ofDenoKv(new DenoKvFileReader(file));
  }
  return ofLines(file, Deno.openSync(file, { read: true }));
}

function ofDenoKv(reader: DenoKvFileReader): RowSource {
  const progress = createProgress("importing", reader.rowCount);
  return {
    rows: {
      *[Symbol.iterator]() {
        let number = 0;
        for (const row of reader.rows()) {
          yield { ...row, place: `row ${++number} in the order of keys` };
          progress.step(1);
        }
      },
    },
    messages: reader.messageCount,
    [Symbol.dispose]() {
      progress.end();
      reader[Symbol.dispose]();
    },
  };
}

function ofLines(path: string, file: Deno.FsFile): RowSource {
  const progress = createProgress("importing", file.statSync().size);
  return {
    rows: placedLines(path, file, (bytes) => progress.step(bytes)),
    messages: 0,
    [Symbol.dispose]() {
      progress.end();
      file.close();
    },
  };
}

async function* placedLines(
  path: string,
  file: Deno.FsFile,
  onStep: (bytes: number) => void,
): AsyncGenerator<PlacedRow, void, undefined> {
  let read = 0;
  let place = "line 1";
  try {
    for await (const { number, text, bytes } of linesOf(file)) {
      place = `line ${number}`;
      yield { ...rowOfLine(text), place };
      if (bytes > read) onStep(bytes - read);
      read = bytes;
    }
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new CommandError(`Cannot import ${path}: ${place}: ${cause.message}`, { cause });
  }
}
