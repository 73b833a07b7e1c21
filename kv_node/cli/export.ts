/**
 * `kv export`: a database as a Deno KV file or as JSON Lines.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import { CommandError } from "../../src/cli/command_error.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { sizeText } from "../admin/size_text.ts";
import { spaceOf, withoutSpace } from "../keyspace/spaces.ts";
import { DEFAULT_DATABASE, Registry } from "../registry/registry.ts";
import { lineOf } from "../transfer/row_json.ts";
import { keyBehind } from "../transfer/rows_route.ts";
import { DenoKvFileWriter } from "../transfer/shell/deno_kv_file.ts";
import { NewFile } from "../transfer/shell/new_file.ts";
import type { RowBatch } from "../transfer/shell/raw_client.ts";
import type { Row } from "../types.ts";
import { isJsonLines, openDatabase } from "./database_client.ts";
import { attempt } from "./failures.ts";
import { countText, secondsSince } from "./figures.ts";
import { openStopped } from "./stopped_node.ts";
import { createTicker } from "./ticker.ts";

const BATCH_ROWS = 1_000;

/** What was written. */
interface Exported {
  readonly rows: number;
  readonly bytes: number;
  readonly hasExpiry: boolean;
}

/** Where rows go. */
interface RowSink {
  write(rows: readonly Row[]): Promise<void>;
  finish(): Promise<void>;
}

/** Exports a database. */
export async function exportDatabase(
  options: Options,
  terminal: Terminal,
  operands: readonly string[],
): Promise<number> {
  const [file = ""] = operands;
  const folder = textOption(options, "data");
  if (folder !== undefined && textOption(options, "from") !== undefined) {
    throw new UsageError("Cannot export: give --from or --data, not both", null);
  }
  const name = textOption(options, "database");
  if (folder === undefined && name !== undefined) {
    throw new UsageError(
      "Cannot export: --database goes with --data; in an address the name is the path, as in " +
        `http://127.0.0.1:4512/${name}`,
      null,
    );
  }
  const startMs = performance.now();
  const { rows, bytes, hasExpiry } = folder === undefined
    ? await fromServer(options, file)
    : await fromFolder(folder, name ?? DEFAULT_DATABASE, file);
  const seconds = secondsSince(startMs);
  if (options["json"] === true) {
    terminal.print(JSON.stringify({ file, rows, bytes, hasExpiry, seconds }));
    return 0;
  }
  terminal.print(`${file}: ${countText(rows, "row")}, ${sizeText(bytes)}, ${seconds} s`);
  if (!hasExpiry) {
    terminal.complain(
      "The server is not a node of Weir and does not tell when rows expire: none do",
    );
  }
  return 0;
}

async function fromServer(options: Options, file: string): Promise<Exported> {
  const { client, permission } = openDatabase(options, "from");
  const permissions = `${permission} --allow-read and --allow-write for the file's folder`;
  return await attempt(
    { what: `Cannot write ${file}`, permissions },
    () => writeAll(file, client.rows()),
  );
}

async function fromFolder(folder: string, name: string, file: string): Promise<Exported> {
  const permissions = `--allow-read=${folder},kv_node --allow-write=${folder} and both for the ` +
    "file's folder";
  return await attempt({ what: `Cannot write ${file}`, permissions }, async () => {
    const storage = await openStopped(folder);
    try {
      using registry = new Registry({
        store: storage.meta,
        randomBytes: (count) => new Uint8Array(count),
        databasesMax: 0,
      });
      const record = registry.find(name);
      if (record === null) {
        throw new CommandError(`Cannot export: there is no database ${name} in ${folder}`);
      }
      const space = { start: spaceOf(record.number, "data"), end: spaceOf(record.number, "queue") };
      return await writeAll(
        file,
        batchesOf((start) => {
          const range = {
            ...space,
            start: start ?? space.start,
            limit: BATCH_ROWS,
            reverse: false,
          };
          return storage.data.read([range])[0] ?? [];
        }),
      );
    } finally {
      await storage.close();
    }
  });
}

async function* batchesOf(
  read: (start: Uint8Array | null) => readonly Row[],
): AsyncGenerator<RowBatch, void, undefined> {
  for (let start: Uint8Array | null = null;;) {
    const found = read(start);
    const last = found.at(-1);
    if (last === undefined) return;
    start = keyBehind(last.key);
    const rows = found.map((row) => ({ ...row, key: withoutSpace(row.key) }));
    yield { rows, hasExpiry: true };
  }
}

async function writeAll(file: string, batches: AsyncIterable<RowBatch>): Promise<Exported> {
  refuseExisting(file);
  using target = new NewFile(file);
  using sinks = new DisposableStack();
  const sink = isJsonLines(file) ? linesInto(target) : sinks.use(new DenoKvSink(target));
  const ticker = createTicker("exporting");
  let rows = 0;
  let hasExpiry = true;
  try {
    for await (const batch of batches) {
      await sink.write(batch.rows);
      rows += batch.rows.length;
      hasExpiry &&= batch.hasExpiry;
      ticker.show(rows);
    }
    await sink.finish();
    await target.finish();
  } finally {
    ticker.end();
  }
  return { rows, bytes: Deno.statSync(file).size, hasExpiry };
}

/** SQLite would take a write-ahead file that an older database left for one of the new file. */
function refuseExisting(file: string): void {
  for (const path of [file, `${file}-wal`]) {
    try {
      Deno.statSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    throw new CommandError(`Cannot write ${file}: ${path} is there already`);
  }
}

function linesInto(target: NewFile): RowSink {
  return {
    write: (rows) => target.write(Buffer.from(rows.map((row) => `${lineOf(row)}\n`).join(""))),
    finish: () => Promise.resolve(),
  };
}

/** Rows into a Deno KV file, which SQLite writes by its own means. */
class DenoKvSink implements RowSink, Disposable {
  readonly #writer: DenoKvFileWriter;

  constructor(target: NewFile) {
    this.#writer = new DenoKvFileWriter(target.partialPath);
  }

  write(rows: readonly Row[]): Promise<void> {
    for (const row of rows) this.#writer.write(row);
    return Promise.resolve();
  }

  finish(): Promise<void> {
    this.#writer.finish();
    return Promise.resolve();
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]();
  }
}
