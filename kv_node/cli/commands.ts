/**
 * The vocabulary of `mod.ts kv`: every command and flag, declared once.
 *
 * @module
 */
import type { CommandSpec, OptionSpec, Vocabulary } from "../../src/cli/commands.ts";

/** Names of the commands. */
export type KvCommandName =
  | "serve"
  | "backup"
  | "restore"
  | "verify"
  | "salvage"
  | "export"
  | "import"
  | "databases"
  | "tokens"
  | "bench";

const DATA: OptionSpec = { placeholder: "DIR", description: "The node's data directory" };
const JSON_FLAG: OptionSpec = { description: "Print one JSON object, for scripts" };
const ADMIN: OptionSpec = {
  placeholder: "URL",
  description: "The node's admin listener. Default: http://127.0.0.1:4513",
};
const TOKEN_FILE: OptionSpec = {
  placeholder: "FILE",
  description: "File with the access token. Default: the variable WEIR_KV_TOKEN",
};
const DATABASE: OptionSpec = {
  placeholder: "NAME",
  description: "The database. Default: default",
};

const COMMANDS: readonly CommandSpec<KvCommandName>[] = [
  {
    name: "serve",
    summary: "Run a node; what `kv` alone does, too",
    details:
      "Needs nothing but --data, a directory of its own, made where there is none. SIGTERM or\n" +
      "Ctrl+C ends it after the commits under way.",
    options: {
      data: DATA,
      listen: {
        placeholder: "HOST:PORT",
        description: "Where clients connect. Default: 127.0.0.1:4512",
      },
      admin: {
        placeholder: "HOST:PORT",
        description: "Health, metrics, status page. Default: 127.0.0.1:4513",
      },
      link: {
        placeholder: "HOST:PORT",
        description: "Where weir:// clients connect. Default: 127.0.0.1:4514",
      },
      "public-url": {
        placeholder: "URL",
        description: "What clients are told to connect to. Default: where they asked",
      },
      "public-link": {
        placeholder: "HOST:PORT",
        description: "The same for weir:// clients. Default: the host where they asked",
      },
      "token-file": TOKEN_FILE,
      "databases-max": {
        placeholder: "N",
        description: "Most databases. Default: 1024",
      },
      "create-databases": {
        placeholder: "yes|no",
        description: "Whether asking for a database makes it. Default: yes",
      },
      "segment-bytes": {
        placeholder: "N",
        description: "Size of a log segment. Default: 67108864",
      },
      "waiting-bytes": {
        placeholder: "N",
        description: "Commits that may wait for the disk, in bytes. Default: 67108864",
      },
      "connections-max": {
        placeholder: "N",
        description: "Most connections of clients, and as many links. Default: 10000",
      },
      "idle-seconds": {
        placeholder: "N",
        description: "A connection of KV Connect without a request is closed. Default: 75",
      },
    },
  },
  {
    name: "backup",
    summary: "Copy everything, as of one moment, into one file",
    details:
      "From a running node (--admin), or from the directory of a stopped one (--data). FILE is\n" +
      "replaced when the new one is whole and checked. It holds the node's signing keys: keep it\n" +
      "as you keep the data directory. FOLDER is where FILE is.\n" +
      "  --allow-net=127.0.0.1:4513 --allow-read=FOLDER --allow-write=FOLDER\n" +
      "  with --data: --allow-read=DIR,FOLDER,kv_node --allow-write=DIR,FOLDER\n" +
      "  for the variable: --allow-env=WEIR_KV_TOKEN",
    operands: ["FILE"],
    options: { admin: ADMIN, data: DATA, "token-file": TOKEN_FILE, json: JSON_FLAG },
  },
  {
    name: "restore",
    summary: "Make a data directory from a backup",
    details:
      "The directory must be new or empty. The backup is verified before it is used. Databases,\n" +
      "tokens, versionstamps and expiry are those of the backup; node and cluster are new ones.\n" +
      "If it is interrupted, no node starts in the directory; run it again.\n" +
      "  --allow-read=FILE,DIR --allow-write=DIR",
    operands: ["FILE"],
    options: { data: DATA, json: JSON_FLAG },
  },
  {
    name: "verify",
    summary: "Read every checksum of a data directory or of a backup",
    details:
      "The node must be stopped; nothing is changed. Status 0 if all is well, 1 with file and\n" +
      "place if not. SQLite has no checksums: in the state a damaged page is found, a bit that\n" +
      "was turned inside a value is not; the log and backups are covered to the last bit.\n" +
      "  --allow-read=DIR, or --allow-read=FILE",
    options: {
      data: DATA,
      file: { placeholder: "FILE", description: "A backup to verify instead" },
      json: JSON_FLAG,
    },
  },
  {
    name: "salvage",
    summary: "Save what can be read of a damaged data directory",
    details:
      "Writes a new directory; the damaged one is not touched. Of each group it takes the rows of\n" +
      "the state, then the entries of the log up to the first that is missing. Status 0 if nothing\n" +
      "is missing, 1 with what it is.\n" +
      "  --allow-read=DIR,INTO --allow-write=INTO",
    options: {
      data: DATA,
      into: { placeholder: "DIR", description: "The new data directory" },
      json: JSON_FLAG,
    },
  },
  {
    name: "export",
    summary: "Write a database to an ordinary Deno KV file or to JSON Lines",
    details:
      "The form follows the name: .jsonl is JSON Lines, anything else a Deno KV file. Keys, bytes,\n" +
      "encoding and expiry are kept; what is in queues is not in it. It is read in batches, each\n" +
      "as of one moment: what is written meanwhile may be in it or not. For one moment, export\n" +
      "from a restored backup by --data. A server that is no node of Weir does not tell expiry.\n" +
      "FOLDER is where FILE is.\n" +
      "  --allow-net=127.0.0.1:4512 --allow-read=FOLDER --allow-write=FOLDER\n" +
      "  with --data: --allow-read=DIR,FOLDER,kv_node --allow-write=DIR,FOLDER",
    operands: ["FILE"],
    options: {
      from: {
        placeholder: "URL",
        description: "The database. Default: http://127.0.0.1:4512",
      },
      data: { placeholder: "DIR", description: "Of a stopped node instead: its data directory" },
      database: { placeholder: "NAME", description: "With --data: which. Default: default" },
      "token-file": TOKEN_FILE,
      json: JSON_FLAG,
    },
  },
  {
    name: "import",
    summary: "Read a Deno KV file or JSON Lines into a database",
    details:
      "Keys that are there already are overwritten, others stay. Expiry is kept; versionstamps\n" +
      "are new. If it is interrupted, run it again.\n" +
      "  --allow-net=127.0.0.1:4512 --allow-read=FILE",
    operands: ["FILE"],
    options: {
      to: {
        placeholder: "URL",
        description: "The database. Default: http://127.0.0.1:4512",
      },
      "token-file": TOKEN_FILE,
      json: JSON_FLAG,
    },
  },
  {
    name: "databases",
    summary: "List databases, make one, or change its limits",
    details: "Without --make it lists. Limits are those of docs/kv.md, by name.\n" +
      "  --allow-net=127.0.0.1:4513",
    options: {
      make: { placeholder: "NAME", description: "Make it, or change it where it exists" },
      limits: {
        placeholder: "JSON",
        description: 'Limits to set, such as {"valueBytesMax":32768}',
      },
      close: {
        placeholder: "WHAT",
        description: "Close it for: nothing, writing, reading, both",
      },
      admin: ADMIN,
      "token-file": TOKEN_FILE,
      json: JSON_FLAG,
    },
  },
  {
    name: "tokens",
    summary: "Make or revoke an access token of one database",
    details: "A new token is shown once. Revoking also voids the data tokens made from it.\n" +
      "`databases` lists the ids.\n" +
      "  --allow-net=127.0.0.1:4513",
    options: {
      database: DATABASE,
      revoke: { placeholder: "ID", description: "Revoke this one instead of making one" },
      admin: ADMIN,
      "token-file": TOKEN_FILE,
      json: JSON_FLAG,
    },
  },
  {
    name: "bench",
    summary: "Measure a database: durable sets, gets, lists",
    details: "Writes below the key weir_bench, and deletes it again.\n" +
      "  http:    --allow-net=127.0.0.1:4512 --allow-env=DENO_KV_ACCESS_TOKEN\n" +
      "  weir:    --allow-net=127.0.0.1:4512,127.0.0.1:4514\n" +
      "  file:    --allow-read=FOLDER --allow-write=FOLDER\n" +
      "  for the token's variable: --allow-env=WEIR_KV_TOKEN",
    options: {
      url: {
        placeholder: "URL",
        description: "http://…, weir://… or file:PATH. Default: http://127.0.0.1:4512",
      },
      seconds: { placeholder: "N", description: "For each measurement. Default: 3" },
      concurrency: { placeholder: "N", description: "Operations at once. Default: 64" },
      "value-bytes": { placeholder: "N", description: "Size of a value. Default: 128" },
      "token-file": TOKEN_FILE,
      json: JSON_FLAG,
    },
  },
];

/** The command line of `kv`. */
export const KV: Vocabulary<KvCommandName> = {
  program: "mod.ts kv",
  headline: "Weir KV: a durable key-value node that speaks KV Connect.",
  notes:
    "`kv --data DIR` alone runs a node: deno run --allow-net=127.0.0.1 --allow-read=DIR,kv_node\n" +
    "--allow-write=DIR --allow-env=WEIR_KV_TOKEN mod.ts kv --data DIR",
  commands: COMMANDS,
};
