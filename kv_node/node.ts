/**
 * Composition root of a KV node: options in, running node out; the one file that
 * knows all parts.
 *
 * ```
 * starting ─→ replaying ─→ serving ─→ stopping
 *     └────────────┴──────────┴─→ failed: the process has to end
 * ```
 *
 * Listeners open first, so that health and the progress of a long replay can be
 * seen; until the log is replayed every request is answered 503.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { relative } from "node:path";
import type { Clock, Reply, ServerRequest } from "../src/ports.ts";
import { type Address, hostAndPort } from "../src/runtime/address.ts";
import { type HttpListener, listenHttp } from "../src/runtime/http_listener.ts";
import { type HttpServer, serveHttp } from "../src/runtime/http_server.ts";
import { VERSION } from "../src/version.ts";
import { createKvAdmin } from "./admin/admin.ts";
import type { NodePhase, NodeStatus } from "./admin/status.ts";
import { NodeAccess } from "./assembly/node_access.ts";
import { createNodeMetrics, type NodeMetrics } from "./assembly/node_metrics.ts";
import { Service } from "./assembly/service.ts";
import {
  DATA_GROUP,
  META_GROUP,
  openStorage,
  type ReplayReport,
  type Storage,
} from "./assembly/storage.ts";
import { Upkeep } from "./assembly/upkeep.ts";
import { refusalReply, textReply } from "./edge/reply.ts";
import { KvError } from "./errors.ts";
import { type LinkListener, serveLink } from "./link/listener.ts";
import { StateError } from "./store/state_error.ts";
import { BackupSource } from "./transfer/shell/backup_source.ts";

/** How a node is run. */
export interface NodeOptions {
  /** The data directory. */
  readonly folder: string;
  /** Where KV Connect is served. */
  readonly listen: Address;
  /** Where the own client connects. */
  readonly link: Address;
  /** Where operators connect. */
  readonly admin: Address;
  /** The access token that opens everything, or `null` for none. */
  readonly accessToken: string | null;
  /** How clients reach it, or `null` for the address they asked for. */
  readonly publicUrl: string | null;
  /** Where the own client is sent, or `null` for the host it asked and the link's port. */
  readonly publicLink: string | null;
  /** Most databases. */
  readonly databasesMax: number;
  /** Whether clients make databases by asking for them. */
  readonly mayCreate: boolean;
  /** Size of a new log segment, in bytes. */
  readonly segmentBytes: number;
  /** Commits that may wait, in bytes. */
  readonly waitingBytesMax: number;
  /** Most connections over HTTP, and as many links. */
  readonly connectionsMax: number;
  /** How long a connection over HTTP stays open without a request, in milliseconds. */
  readonly idleMs: number;
  /** Time. */
  readonly clock: Clock;
  /** Told what happens. */
  readonly onEvent: (event: NodeEvent) => void;
}

/** What a node tells. */
export type NodeEvent =
  | { readonly type: "replayed"; readonly report: ReplayReport }
  /** Something went wrong that the node goes on after. */
  | { readonly type: "problem"; readonly what: string; readonly error: unknown }
  /** It cannot go on. */
  | { readonly type: "failed"; readonly error: unknown };

const HEAD_BYTES_MAX = 16_384;
/** More than there can be watches on a node, lest those of one client leave no room for the rest. */
const STREAMS_MAX = 1_024;
const WAITING_COMMITS_MAX = 65_536;
const HOLD_MS = 3_000;
const RETRY_MS = 500;
const STOP_MS = 5_000;
/** What of a segment is not for entries: its header, and what is kept free for stepping down. */
const SEGMENT_OVERHEAD_BYTES = 8_192;
/** Pause in a replay, so that the admin listener gets its turn. */
const YIELD_MS = 0;

/** A KV node. */
export class KvNode {
  readonly #options: NodeOptions;
  readonly #access: NodeAccess;
  readonly #metrics: NodeMetrics;
  readonly #http: HttpServer;
  readonly #link: LinkListener;
  readonly #admin: HttpListener;
  readonly #backups = new BackupSource();
  readonly #startedMs: number;
  #phase: NodePhase = "starting";
  #replayed = 0;
  readonly #damaged = new Set<string>();
  #storage: Storage | null = null;
  #service: Service | null = null;
  #upkeep: Upkeep | null = null;

  /**
   * Opens the listeners; `start` has to follow.
   *
   * @throws What the system says if an address cannot be had.
   */
  constructor(options: NodeOptions) {
    const { clock, listen, link, admin } = options;
    this.#options = options;
    this.#startedMs = clock.nowMs();
    this.#access = new NodeAccess(options.accessToken, () => this.#service?.registry ?? null);
    this.#metrics = createNodeMetrics(
      () => this.status(),
      () => this.#service?.queues.totals() ?? null,
    );
    const app = createKvAdmin({
      metrics: this.#metrics.render,
      status: () => this.status(),
      registry: () => this.#service?.registry ?? null,
      backup: () => this.#backup(),
      authorized: (bearer) => this.#access.isOwner(bearer),
    });
    using opened = new DisposableStack();
    this.#http = serveHttp({
      host: listen.host,
      port: listen.port,
      clock,
      connectionsMax: options.connectionsMax,
      idleMs: options.idleMs,
      headBytesMax: HEAD_BYTES_MAX,
      http2: { streamsMax: STREAMS_MAX },
      handle: (request) => this.#answer(request),
      refuse: (status, message) => {
        return this.#service?.edge.refuse(status, message) ?? textReply(status, message);
      },
    });
    opened.defer(() => void this.#http.stop(0));
    this.#link = serveLink({
      hostname: link.host,
      port: link.port,
      connectionsMax: options.connectionsMax,
      openSession: (output) => this.#serving().openSession(output),
      onFault: (error) => this.#problem("link", error),
    });
    opened.defer(() => void this.#link.stop(0));
    this.#admin = listenHttp(admin, (request) => app.fetch(request));
    opened.move();
  }

  /** Where KV Connect is served. */
  get url(): string {
    return this.#http.url;
  }

  /** Where operators connect. */
  get adminUrl(): string {
    return this.#admin.url;
  }

  /** Where the own client connects. */
  get linkAddress(): string {
    return hostAndPort(this.#options.link.host, this.#link.port);
  }

  /**
   * Opens the data directory, replays, and serves.
   *
   * @throws What `openStorage` throws; the node has failed then, and is to be stopped.
   */
  async start(): Promise<void> {
    const { clock, databasesMax, mayCreate, publicUrl, segmentBytes } = this.#options;
    this.#phase = "replaying";
    try {
      this.#storage = await this.#openStorage();
      this.#service = await Service.start({
        clock,
        databasesMax,
        mayCreate,
        publicUrl,
        storage: this.#storage,
        access: this.#access,
        metrics: this.#metrics.record,
        linkAddress: (host) => this.#linkFor(host),
        randomBytes: (count) => randomBytes(count),
        onFault: (error) => this.#problem("request", error),
      });
      this.#upkeep = new Upkeep({
        clock,
        storage: this.#storage,
        registry: this.#service.registry,
        metrics: this.#metrics.record,
        segmentBytes,
        onProblem: (what, error) => this.#problem(what, error),
        onFatal: (error) => this.#fail(error),
      });
    } catch (error) {
      this.#phase = "failed";
      throw error;
    }
    this.#replayed = 1;
    this.#phase = "serving";
  }

  /** How it is. */
  status(): NodeStatus {
    const { clock } = this.#options;
    const [storage, service] = [this.#storage, this.#service];
    const log = storage?.log.size() ?? null;
    const refusal = storage?.data.refusal ?? null;
    const diskFull = refusal?.code === "disk_full" || log?.isFull === true;
    const engines = storage === null ? [] : [storage.meta, storage.data];
    return {
      phase: this.#phase,
      version: VERSION,
      cluster: storage?.identity.cluster ?? "",
      node: storage?.identity.node ?? "",
      uptimeSeconds: (clock.nowMs() - this.#startedMs) / 1_000,
      url: this.#phase === "serving" ? this.url : null,
      replayed: this.#replayed,
      writesRefused: refusal?.message ?? null,
      diskFull,
      damagedFiles: [...this.#damaged],
      waitingCommits: storage?.data.waiting ?? 0,
      waitingBytes: storage?.data.waitingBytes ?? 0,
      logSegments: log?.segments ?? 0,
      logBytes: log?.bytes ?? 0,
      watches: storage?.data.watches ?? 0,
      linkConnections: this.#link.connections,
      databases: service?.registry.size ?? 0,
      groups: engines.map(({ group, state }) => ({
        group,
        appliedIndex: state.applied.index,
        durableIndex: storage?.keeper.durable.get(group) ?? 0,
        ...state.size(),
      })),
    };
  }

  /** Lets what is under way finish, makes all last, closes everything. */
  async stop(): Promise<void> {
    if (this.#phase !== "failed") this.#phase = "stopping";
    this.#upkeep?.[Symbol.dispose]();
    const links = this.#link.stop(STOP_MS);
    this.#service?.edge.stop();
    await Promise.all([links, this.#http.stop(STOP_MS)]);
    this.#service?.stop();
    await this.#storage?.close();
    await this.#admin.stop(STOP_MS);
  }

  #openStorage(): Promise<Storage> {
    const { clock, folder, segmentBytes, waitingBytesMax, onEvent } = this.#options;
    const { record } = this.#metrics;
    return openStorage({
      folder,
      clock,
      segmentBytes,
      random16: () => randomBytes(16),
      limits: {
        waitingMax: WAITING_COMMITS_MAX,
        waitingBytesMax,
        commandBytesMax: segmentBytes - SEGMENT_OVERHEAD_BYTES,
        holdMs: HOLD_MS,
        retryMs: RETRY_MS,
      },
      onProgress: async (doneBytes, totalBytes) => {
        this.#replayed = totalBytes === 0 ? 1 : doneBytes / totalBytes;
        const turn = Promise.withResolvers<void>();
        clock.after(YIELD_MS, turn.resolve);
        await turn.promise;
      },
      onSync: (report) => record.synced(report),
      onBatch: (figures) => record.batch(figures),
      onFatal: (error) => this.#fail(error),
      onDamage: (path, error) => this.#damage(path, error),
    }).then((storage) => {
      record.replayed(storage.replay);
      onEvent({ type: "replayed", report: storage.replay });
      return storage;
    });
  }

  #backup(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    const storage = this.#storage;
    if (storage === null || this.#phase !== "serving") return null;
    const { identity: { cluster, node }, worker, states } = storage;
    // In this order: see `BackupSource`.
    const paths = [DATA_GROUP, META_GROUP].map((group) => states.get(group)?.path ?? "");
    const { clock } = this.#options;
    const onUnreadable = (path: string, error: unknown) => this.#damage(path, error);
    const origin = { cluster, node, program: VERSION, worker, paths, clock, onUnreadable };
    return this.#backups.stream(origin);
  }

  #answer(request: ServerRequest): Promise<Reply> {
    const service = this.#service;
    if (service !== null) return service.edge.handle(request);
    return Promise.resolve(refusalReply(notYet()));
  }

  #serving(): Service {
    if (this.#service === null) throw notYet();
    return this.#service;
  }

  #linkFor(host: string): string {
    const { publicLink } = this.#options;
    if (publicLink !== null) return publicLink;
    return `${host.replace(/:\d+$/, "")}:${this.#link.port}`;
  }

  #fail(error: unknown): void {
    this.#phase = "failed";
    this.#options.onEvent({ type: "failed", error });
  }

  /** A state file that cannot be read in a place: told once, for each read finds it anew. */
  #damage(path: string, error: unknown): void {
    const file = relative(this.#options.folder, path);
    if (this.#damaged.has(file)) return;
    if (error instanceof StateError && error.kind === "damaged") this.#damaged.add(file);
    this.#problem("state", error);
  }

  #problem(what: string, error: unknown): void {
    this.#options.onEvent({ type: "problem", what, error });
  }
}

function notYet(): KvError {
  return new KvError("starting", "Cannot answer yet: the node is replaying its log; try again");
}
