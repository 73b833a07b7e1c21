/**
 * What answers clients once the log is replayed: both listeners' logic on one storage.
 *
 * @module
 */
import type { Clock } from "../../src/ports.ts";
import { createEdge, type Edge } from "../edge/edge.ts";
import { ownEndpoints } from "../edge/metadata.ts";
import type { EdgeRoute } from "../edge/ports.ts";
import { HmacTokenSigner } from "../edge/token.ts";
import { KvError } from "../errors.ts";
import type { Hello } from "../link/messages.ts";
import { type LinkAdmission, LinkSession, type SessionOutput } from "../link/session.ts";
import { QueueRoute } from "../queue/endpoint/queue_route.ts";
import { DEFAULT_QUEUE_OPTIONS } from "../queue/queue_options.ts";
import { Queues } from "../queue/queues.ts";
import { Registry } from "../registry/registry.ts";
import type { KvMetrics } from "../telemetry/kv_metrics.ts";
import { ROWS_ROUTE, RowsRoute } from "../transfer/rows_route.ts";
import { checkCommand, checkRanges, checkWatchedKeys } from "../txn/limits.ts";
import type { NodeAccess } from "./node_access.ts";
import { NodeDatabases } from "./node_databases.ts";
import type { Storage } from "./storage.ts";

/** How a service is made. */
export interface ServiceOptions {
  /** Time. */
  readonly clock: Clock;
  /** Where rows are. */
  readonly storage: Storage;
  /** Who may do what. */
  readonly access: NodeAccess;
  /** Told what happens. */
  readonly metrics: KvMetrics;
  /** How clients reach this node, or `null` for the address they asked for. */
  readonly publicUrl: string | null;
  /** Where the own client connects, given the host that it asked. */
  readonly linkAddress: (host: string) => string;
  /** Most databases. */
  readonly databasesMax: number;
  /** Whether clients make databases by asking for them. */
  readonly mayCreate: boolean;
  /** So many random bytes. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Told of what nobody should have thrown. */
  readonly onFault: (error: unknown) => void;
}

const LINK_IN_FLIGHT_MAX = 4_096;
const LINK_WATCHES_MAX = 100;
const LINK_BACKLOG_BYTES_MAX = 16 * 1_048_576;
const CHECKS = { ranges: checkRanges, command: checkCommand, watch: checkWatchedKeys };
const OPERATIONS = {
  metadata: "metadata",
  read: "snapshot_read",
  write: "atomic_write",
  watch: "watch",
  route: "queue",
  other: "other",
} as const;

/** Answers clients. */
export class Service {
  /** Databases and tokens. */
  readonly registry: Registry;
  /** KV Connect. */
  readonly edge: Edge;
  /** Databases by name. */
  readonly databases: NodeDatabases;
  /** Their queues. */
  readonly queues: Queues;
  readonly #options: ServiceOptions;
  readonly #signer: HmacTokenSigner;
  readonly #keys: Disposable;

  private constructor(options: ServiceOptions, registry: Registry) {
    const { clock, storage, access, metrics, publicUrl, mayCreate, onFault } = options;
    this.#options = options;
    this.registry = registry;
    this.databases = new NodeDatabases(registry, storage.data, mayCreate);
    this.#signer = new HmacTokenSigner(registry.signingKeys.map(({ secret }) => secret));
    this.#keys = registry.onChange(() => {
      this.#signer.useKeys(registry.signingKeys.map(({ secret }) => secret));
    });
    this.queues = new Queues({
      clock,
      options: DEFAULT_QUEUE_OPTIONS,
      checkCommand,
      metrics: { settled: (event, count) => metrics.settled(event, count), fault: onFault },
    });
    this.edge = createEdge({
      routes: new Map<string, EdgeRoute>([
        ["queue", new QueueRoute({ queues: this.queues, options: DEFAULT_QUEUE_OPTIONS })],
        [ROWS_ROUTE, new RowsRoute()],
      ]),
      databases: this.databases,
      tokens: this.#signer,
      accessTokens: access,
      checks: CHECKS,
      clock,
      endpoints: ownEndpoints(publicUrl),
      linkAddress: options.linkAddress,
      metrics: {
        answered: (kind, status) => metrics.answered("http", OPERATIONS[kind], status),
        transferred: () => {},
        limitRefused: (limit) => metrics.limited(limit),
        watches: () => {},
        fault: onFault,
      },
    });
  }

  /** Makes what every node has, and starts to answer. */
  static async start(options: ServiceOptions): Promise<Service> {
    const { storage, randomBytes, databasesMax } = options;
    const registry = new Registry({ store: storage.meta, randomBytes, databasesMax });
    await registry.prepare();
    return new Service(options, registry);
  }

  /** The session of a new link. */
  openSession(output: SessionOutput): LinkSession {
    return new LinkSession({
      admit: (hello) => this.#admit(hello),
      limitChecks: CHECKS,
      inFlightMax: LINK_IN_FLIGHT_MAX,
      watchesMax: LINK_WATCHES_MAX,
      backlogBytesMax: LINK_BACKLOG_BYTES_MAX,
      answered: (kind, status) => this.#options.metrics.answered("link", OPERATIONS[kind], status),
      fault: this.#options.onFault,
    }, output);
  }

  /** Answers no more. */
  stop(): void {
    this.edge.stop();
    this.queues[Symbol.dispose]();
    this.#keys[Symbol.dispose]();
    this.registry[Symbol.dispose]();
  }

  #admit({ database: name, token }: Hello): LinkAdmission {
    const { clock, access } = this.#options;
    const claims = this.#signer.verify(token, clock.wallMs());
    const database = this.databases.find(name);
    if (typeof claims === "string" || database === null || claims.databaseId !== database.id) {
      throw new KvError(
        "unauthorized",
        claims === "expired"
          ? "Cannot open the link: the token has expired; ask for the metadata again"
          : "Cannot open the link: the token is not one that this node gave for the database",
      );
    }
    const confirm = (): void => {
      if (claims.expiresMs > clock.wallMs() && access.epochOf(database.id) === claims.epoch) return;
      throw new KvError(
        "unauthorized",
        "Cannot answer: the token has expired or was revoked; ask for the metadata again",
      );
    };
    confirm();
    return { database, confirm };
  }
}
