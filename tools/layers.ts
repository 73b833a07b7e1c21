/**
 * Which part of the project may import which: the table behind `house/imports`.
 *
 * Two invariants follow from it. No module outside `src/runtime/` and the shells
 * can tell what time it is, and no two feature folders know of each other.
 *
 * @module
 */

/** What every part of a KV node may know. */
const KV_COMMON: readonly string[] = [
  "kv_node/types.ts",
  "kv_node/errors.ts",
  "kv_node/uuid.ts",
];

/** All parts of a KV node, for those that put it together. */
const KV_ALL: readonly string[] = [
  ...KV_COMMON,
  "kv_node/ports.ts",
  ...["admin", "clock", "compat", "disk", "edge", "group", "keyspace", "link", "queue"]
    .map((name) => `kv_node/${name}`),
  ...["registry", "store", "telemetry", "transfer", "txn", "values", "wal", "wire"]
    .map((name) => `kv_node/${name}`),
  "src/ports.ts",
  "src/errors.ts",
  "src/version.ts",
  "src/runtime",
  "src/telemetry",
];

/** For each layer the layers it may import; itself is always allowed. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // What everybody may know; knows nobody.
  "src/ports.ts": [],
  "src/errors.ts": [],
  "src/version.ts": [],
  "src/balance/types.ts": [],
  "src/cache/types.ts": [],

  // Features: pure, side by side.
  "src/balance": ["src/ports.ts", "src/balance/types.ts"],
  "src/stream": [],
  "src/backends": ["src/errors.ts", "src/balance/types.ts"],
  "src/cache": ["src/ports.ts", "src/errors.ts", "src/cache/types.ts"],
  "src/embed": ["src/ports.ts"],
  "src/vectors": ["src/ports.ts", "src/embed"],
  "src/sharing": ["src/ports.ts", "src/errors.ts", "src/cache/types.ts"],
  "src/config": ["src/errors.ts"],
  "src/telemetry": [
    "src/ports.ts",
    "src/errors.ts",
    "src/balance/types.ts",
    "src/cache/types.ts",
  ],
  "src/runtime": ["src/ports.ts"],
  "src/simulate": ["src/ports.ts", "src/errors.ts"],

  // The request engine, and the surface in front of it.
  "src/relay": [
    "src/ports.ts",
    "src/errors.ts",
    "src/balance",
    "src/balance/types.ts",
    "src/stream",
    "src/backends",
    "src/telemetry",
  ],
  "src/serving": [
    "src/ports.ts",
    "src/errors.ts",
    "src/balance/types.ts",
    "src/cache",
    "src/cache/types.ts",
    "src/stream",
    "src/backends",
    "src/telemetry",
    "src/relay",
    "src/sharing",
  ],
  "src/http": [
    "src/ports.ts",
    "src/errors.ts",
    "src/balance/types.ts",
    "src/relay",
    "src/telemetry",
    "src/backends",
    "src/cache/types.ts",
    "src/serving",
  ],

  // A KV node: what all of it may know, then its features, pure or over its ports.
  "kv_node/types.ts": [],
  "kv_node/errors.ts": [],
  "kv_node/uuid.ts": [],
  "kv_node/ports.ts": ["kv_node/types.ts"],
  "kv_node/keyspace": ["kv_node/types.ts"],
  "kv_node/values": ["kv_node/types.ts"],
  "kv_node/wire": [...KV_COMMON],
  "kv_node/clock": ["kv_node/types.ts"],
  "kv_node/txn": [...KV_COMMON, "kv_node/ports.ts", "kv_node/clock", "kv_node/values"],
  "kv_node/wal": [...KV_COMMON, "kv_node/ports.ts"],
  "kv_node/disk": [...KV_COMMON, "kv_node/ports.ts"],
  "kv_node/store": [...KV_COMMON, "kv_node/ports.ts", "kv_node/keyspace", "src/ports.ts"],
  "kv_node/group": [
    ...KV_COMMON,
    "kv_node/ports.ts",
    "kv_node/clock",
    "kv_node/txn",
    "src/ports.ts",
  ],
  "kv_node/registry": [...KV_COMMON, "kv_node/keyspace", "src/ports.ts"],
  "kv_node/queue": [...KV_COMMON, "kv_node/keyspace", "kv_node/wire", "src/ports.ts"],
  "kv_node/telemetry": [...KV_COMMON, "src/telemetry"],

  // Its listeners, its client, its tools.
  "kv_node/edge": [
    ...KV_COMMON,
    "kv_node/keyspace",
    "kv_node/queue",
    "kv_node/registry",
    "kv_node/telemetry",
    "kv_node/wire",
    "src/ports.ts",
  ],
  "kv_node/link": [
    ...KV_COMMON,
    "kv_node/queue",
    "kv_node/telemetry",
    "kv_node/wire",
    "src/ports.ts",
  ],
  "kv_node/admin": [
    ...KV_COMMON,
    "kv_node/registry",
    "kv_node/telemetry",
    "kv_node/queue",
    "src/ports.ts",
    "src/version.ts",
  ],
  "kv_node/compat": [
    ...KV_COMMON,
    "kv_node/keyspace",
    "kv_node/values",
    "kv_node/wire",
    "kv_node/link",
  ],
  "kv_node/transfer": [
    ...KV_COMMON,
    "kv_node/ports.ts",
    "kv_node/clock",
    "kv_node/disk",
    "kv_node/keyspace",
    "kv_node/store",
    "kv_node/values",
    "kv_node/wal",
    "kv_node/wire",
    "src/ports.ts",
  ],
  "kv_node/assembly": [...KV_ALL],
  "kv_node/node.ts": [...KV_ALL, "kv_node/assembly"],
  "kv_node/cli": [...KV_ALL, "kv_node/assembly", "kv_node/node.ts", "src/cli", "src/config"],
  "kv_node/main.ts": ["kv_node/cli", "src/cli"],

  // Where the parts are put together.
  "src/assembly": [
    "src/ports.ts",
    "src/errors.ts",
    "src/version.ts",
    "src/balance",
    "src/balance/types.ts",
    "src/stream",
    "src/backends",
    "src/config",
    "src/telemetry",
    "src/runtime",
    "src/relay",
    "src/cache",
    "src/cache/types.ts",
    "src/embed",
    "src/vectors",
    "src/sharing",
    "src/serving",
  ],

  "src/gateway.ts": [
    "src/assembly",
    "src/ports.ts",
    "src/errors.ts",
    "src/version.ts",
    "src/balance",
    "src/balance/types.ts",
    "src/stream",
    "src/backends",
    "src/config",
    "src/telemetry",
    "src/runtime",
    "src/simulate",
    "src/relay",
    "src/http",
    "src/cache",
    "src/cache/types.ts",
    "src/embed",
    "src/vectors",
    "src/sharing",
    "src/serving",
  ],
  "src/cli": [
    "src/ports.ts",
    "src/errors.ts",
    "src/version.ts",
    "src/balance",
    "src/balance/types.ts",
    "src/stream",
    "src/backends",
    "src/config",
    "src/telemetry",
    "src/runtime",
    "src/simulate",
    "src/relay",
    "src/http",
    "src/cache",
    "src/cache/types.ts",
    "src/embed",
    "src/vectors",
    "src/sharing",
    "src/serving",
    "src/gateway.ts",
    "src/assembly",
  ],
  "src/library.ts": ["src/ports.ts", "src/errors.ts", "src/config", "src/gateway.ts"],
  "mod.ts": [
    "src/ports.ts",
    "src/errors.ts",
    "src/config",
    "src/gateway.ts",
    "src/library.ts",
    "src/cli",
    "kv_node/main.ts",
  ],
  "serve.ts": ["src/gateway.ts", "src/cli"],
};

/** Packages, and the layers that may import them. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "hono": ["src/http", "src/gateway.ts", "kv_node/admin"],
  "js-yaml": ["src/config"],
  "prom-client": ["src/telemetry", "src/gateway.ts"],
  "usearch": ["src/vectors"],
  "zod": ["src/config", "src/http"],
  "deno-kv-compat": ["src/sharing", "src/gateway.ts", "src/assembly", "src/cli"],
};

/** Where clocks, chance, sockets and `Deno` may be touched. */
const SHELLS: readonly string[] = [
  "mod.ts",
  "serve.ts",
  "kv_node/main.ts",
  "kv_node/node.ts",
  "kv_node/assembly/",
  "kv_node/cli/",
  "kv_node/compat/",
  "kv_node/disk/",
  "kv_node/link/connection.ts",
  "kv_node/link/listener.ts",
  "kv_node/store/sqlite_state.ts",
  "kv_node/store/state_worker.ts",
  "kv_node/store/workers.ts",
  "kv_node/transfer/shell/",
  "src/cli/",
  "src/embed/local_model_worker.ts",
  "src/embed/workers.ts",
  "src/runtime/",
  "src/simulate/connection.ts",
  "src/simulate/server.ts",
  "src/vectors/directory.ts",
  "src/vectors/workers.ts",
  "src/vectors/index_worker.ts",
  "src/vectors/usearch.ts",
];

/** Code that is not part of the product: it may import and do anything. */
const WORKSHOPS: readonly string[] = ["bench/", "tests/", "tools/"];

/** What kind of code a file holds. */
export type Role = "product" | "test" | "workshop";

/** The role of a file, by its path from the project's root. */
export function roleOf(path: string): Role {
  if (WORKSHOPS.some((folder) => path.startsWith(folder))) return "workshop";
  return path.endsWith("_test.ts") ? "test" : "product";
}

/** Whether a file may touch the real world. */
export function isShell(path: string): boolean {
  return roleOf(path) !== "product" ||
    SHELLS.some((shell) => path === shell || (shell.endsWith("/") && path.startsWith(shell)));
}

/** The layer a path belongs to: the most exact entry of the table, if there is one. */
export function layerOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT)
    .filter((layer) => path === layer || path.startsWith(`${layer}/`))
    .toSorted((one, other) => other.length - one.length)[0];
}

/** The package part of a bare import: `hono` of `hono/streaming`. */
export function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}
