/**
 * A node for tests of the link and its client: databases in memory, behind a real
 * link and a real metadata exchange.
 *
 * As a program (`deno run … tests/support/link_node.ts`) it prints its address as
 * one line and serves until it is killed.
 *
 * @module
 */
import { KvError } from "../../kv_node/errors.ts";
import { Watchers } from "../../kv_node/group/watchers.ts";
import { spaceOf } from "../../kv_node/keyspace/spaces.ts";
import { type LinkListener, serveLink } from "../../kv_node/link/listener.ts";
import { LinkSession, type SessionOptions } from "../../kv_node/link/session.ts";
import { SortedRows } from "../../kv_node/queue/database_fixture.ts";
import { evaluate } from "../../kv_node/txn/evaluate.ts";
import { checkCommand, checkRanges, checkWatchedKeys } from "../../kv_node/txn/limits.ts";
import {
  type Command,
  type Database,
  DEFAULT_LIMITS,
  type Limits,
  type Outcome,
  type ReadRange,
  type Row,
  type SpaceKind,
} from "../../kv_node/types.ts";

/** Data tokens are this and the number of the exchange that gave them. */
const DATA_TOKEN = "data-token.";

/** A database in a sorted array. */
export class TableDatabase implements Database {
  readonly name: string;
  readonly id: string;
  readonly limits: Limits = DEFAULT_LIMITS;
  /** See {@linkcode Database.readDisabled}. */
  readDisabled = false;
  /** See {@linkcode Database.writeDisabled}. */
  writeDisabled = false;
  /** What reads and writes fail with, if set. */
  failure: KvError | null = null;
  /** Commits settle only when this has. */
  gate: Promise<void> = Promise.resolve();
  /** Commits that were carried out. */
  commits = 0;
  readonly #number: number;
  readonly #rows = new SortedRows();
  readonly #watchers = new Watchers();
  #lastTime = 0n;

  /** `number` decides its spaces and its UUID. */
  constructor(name: string, number = 1) {
    this.name = name;
    this.#number = number;
    this.id = `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
  }

  /** Watches that are open. */
  get watching(): number {
    return this.#watchers.size;
  }

  /** See {@linkcode Database.prefixOf}. */
  prefixOf(kind: SpaceKind): Uint8Array {
    return spaceOf(this.#number, kind);
  }

  /** See {@linkcode Database.read}. */
  read(ranges: readonly ReadRange[]): readonly (readonly Row[])[] {
    if (this.failure !== null) throw this.failure;
    return ranges.map((range) => this.#rows.scan(range, Date.now()));
  }

  /** See {@linkcode Database.write}. */
  async write(command: Command): Promise<Outcome> {
    if (this.failure !== null) throw this.failure;
    const outcome = evaluate(this.#nextStamp(), command, this.#rows);
    if (outcome.type === "committed") {
      this.commits++;
      this.#watchers.tell(command.mutations.map(({ key }) => key));
    }
    await this.gate;
    return outcome;
  }

  /** See {@linkcode Database.watch}. */
  watch(keys: readonly Uint8Array[], changed: () => void): Disposable {
    return this.#watchers.watch(keys, changed);
  }

  /** See {@linkcode Database.watchPrefix}. */
  watchPrefix(prefix: Uint8Array, changed: () => void): Disposable {
    return this.#watchers.watchPrefix(prefix, changed);
  }

  /** Milliseconds in the high 46 bits, a counter below, as the real ones have. */
  #nextStamp(): Uint8Array {
    const time = BigInt(Date.now()) << 18n;
    this.#lastTime = time > this.#lastTime ? time : this.#lastTime + 1n;
    const stamp = new Uint8Array(10);
    new DataView(stamp.buffer).setBigUint64(0, this.#lastTime);
    return stamp;
  }
}

/** How a node is started. */
export interface LinkNodeOptions {
  /** Its databases; one called `default` without it. */
  readonly databases?: readonly TableDatabase[];
  /** The access token that it wants, if any. */
  readonly token?: string;
  /** Port of the exchange; any without it. */
  readonly port?: number;
  /** Port of the link; any without it. */
  readonly linkPort?: number;
  /** What its metadata say of the link, in place of the truth. */
  readonly link?: string | null;
  /** Bounds of its sessions. */
  readonly session?: Partial<SessionOptions>;
}

/** A node at work. */
export class LinkNode {
  /** Its databases. */
  readonly databases: readonly TableDatabase[];
  /** What should not have been thrown. */
  readonly faults: unknown[] = [];
  /** The first exchange whose data token counts. */
  goodTokensFrom = 1;
  /** Exchanges that were answered. */
  exchanges = 0;
  readonly #options: LinkNodeOptions;
  readonly #link: LinkListener;
  readonly #exchange: Deno.HttpServer<Deno.NetAddr>;

  /** Starts it. */
  constructor(options: LinkNodeOptions = {}) {
    this.#options = options;
    this.databases = options.databases ?? [new TableDatabase("default")];
    this.#link = serveLink({
      hostname: "127.0.0.1",
      port: options.linkPort ?? 0,
      connectionsMax: 100,
      onFault: (error) => this.faults.push(error),
      openSession: (output) => new LinkSession(this.#sessionOptions(), output),
    });
    this.#exchange = Deno.serve(
      { hostname: "127.0.0.1", port: options.port ?? 0, onListen() {} },
      (request) => this.#answer(request),
    );
  }

  /** The first database. */
  get database(): TableDatabase {
    const [database] = this.databases;
    if (database === undefined) throw new Error("Cannot find the database: there is none");
    return database;
  }

  /** Port of the exchange. */
  get port(): number {
    return this.#exchange.addr.port;
  }

  /** Port of the link. */
  get linkPort(): number {
    return this.#link.port;
  }

  /** Clients that are connected. */
  get connections(): number {
    return this.#link.connections;
  }

  /** Address of a database, the first one's without a name. */
  url(name = ""): string {
    return `weir://127.0.0.1:${this.port}/${name}`;
  }

  /** Stops; within `graceMs` what is under way is finished. */
  async stop(graceMs = 2_000): Promise<void> {
    await Promise.all([this.#link.stop(graceMs), this.#exchange.shutdown()]);
  }

  /** Stops. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(0);
  }

  #sessionOptions(): SessionOptions {
    return {
      admit: ({ database: name, token }) => {
        const confirm = (): void => {
          const number = Number(token.slice(DATA_TOKEN.length));
          if (token.startsWith(DATA_TOKEN) && number >= this.goodTokensFrom) return;
          throw new KvError("unauthorized", "Cannot let the client in: its token does not count");
        };
        confirm();
        const database = this.databases.find((one) => one.name === name);
        if (database !== undefined) return { database, confirm };
        throw new KvError("not_found", "Cannot open the database: there is none of that name");
      },
      limitChecks: { command: checkCommand, ranges: checkRanges, watch: checkWatchedKeys },
      inFlightMax: 1_024,
      watchesMax: 100,
      backlogBytesMax: 1024 * 1024,
      fault: (error) => this.faults.push(error),
      ...this.#options.session,
    };
  }

  async #answer(request: Request): Promise<Response> {
    await request.body?.cancel();
    const name = new URL(request.url).pathname.slice(1) || "default";
    const { token } = this.#options;
    if (token !== undefined && request.headers.get("authorization") !== `Bearer ${token}`) {
      return new Response("Cannot open the database: the access token is wrong", { status: 401 });
    }
    const database = this.databases.find((one) => one.name === name);
    if (database === undefined) {
      return new Response("Cannot open the database: there is none", { status: 404 });
    }
    this.exchanges++;
    const { link = `127.0.0.1:${this.linkPort}` } = this.#options;
    return Response.json({
      version: 3,
      databaseId: database.id,
      endpoints: [{ url: `${new URL(request.url).origin}/${name}/data`, consistency: "strong" }],
      token: `${DATA_TOKEN}${this.exchanges}`,
      expiresAt: new Date(Date.now() + 15_000).toISOString(),
      ...(link === null ? {} : { weir: { link } }),
    });
  }
}

if (import.meta.main) {
  const [port = "0", linkPort = "0"] = Deno.args;
  const node = new LinkNode({ port: Number(port), linkPort: Number(linkPort) });
  await Deno.stdout.write(new TextEncoder().encode(`${node.url()}\n`));
}
