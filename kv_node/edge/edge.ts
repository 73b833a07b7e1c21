/**
 * The listener for KV Connect: from a request to a reply.
 *
 * It holds no socket: `serveHttp` gives it requests, a database answers. What it
 * keeps is bounded: checked tokens, bodies on their way, open watches.
 *
 * @module
 */
import type { Clock, Reply, ServerRequest } from "../../src/ports.ts";
import { KvError } from "../errors.ts";
import { BodyReader } from "./body.ts";
import { admit, answerOperation, dataOperationOf, type DataPathParts } from "./data_path.ts";
import { exchangeMetadata, type MetadataParts } from "./metadata.ts";
import type {
  AccessControl,
  Databases,
  EdgeMetrics,
  EdgeRoute,
  Endpoints,
  LimitChecks,
  RequestKind,
} from "./ports.ts";
import { refusalReply, textReply } from "./reply.ts";
import { DATA_ROUTE, DEFAULT_NAME, type OperationRoute, type Route, routeOf } from "./route.ts";
import type { TokenSigner } from "./token.ts";
import { Watches } from "./watch.ts";

/** What a listener is made of. */
export interface EdgeOptions {
  /** The databases. */
  readonly databases: Databases;
  /** Signs and checks tokens of the data path. */
  readonly tokens: TokenSigner;
  /** Judges access tokens. */
  readonly accessTokens: AccessControl;
  /** Limits of reads, commits and watches. */
  readonly checks: LimitChecks;
  /** Time and timers. */
  readonly clock: Clock;
  /** Where clients are sent to. */
  readonly endpoints: Endpoints;
  /** Where the own client connects, given the host that it asked; left out where it cannot. */
  readonly linkAddress?: (host: string) => string;
  /** Told what happens. */
  readonly metrics: EdgeMetrics;
  /** What else is answered below a database's name, by route, such as `queue`. */
  readonly routes?: ReadonlyMap<string, EdgeRoute>;
  /** Longest body in bytes; 2 MiB by default, a full commit and what is around it. */
  readonly bodyBytesMax?: number;
  /** Longest time for a body to arrive; 10,000 ms by default. */
  readonly bodyMs?: number;
  /** Most watches at once; 1,000 by default. */
  readonly watchesMax?: number;
}

/** A listener. */
export interface Edge {
  /** Answers a request; never rejects. */
  handle(request: ServerRequest): Promise<Reply>;
  /** Answers what could not be read as a request: for {@linkcode HttpServerOptions.refuse}. */
  refuse(status: number, message: string): Reply;
  /** Ends watches and takes no more requests. */
  stop(): void;
}

const BODY_BYTES_MAX = 2 * 1_048_576;
const BODY_MS = 10_000;
const WATCHES_MAX = 1_000;
/** How a refusal for a limit ends: "… given 5; limit checksMax)". */
const LIMIT_NAME = /\blimit ([A-Za-z]+)\)$/;

const ABOUT = `This is a Weir KV node. It speaks KV Connect, versions 2 and 3.

From Deno:   const kv = await Deno.openKv("http://HOST:PORT");
             with the access token in the variable DENO_KV_ACCESS_TOKEN
From Node:   const kv = await openKv("http://HOST:PORT", { accessToken });   // @deno/kv

http://HOST:PORT/ is the database "default", http://HOST:PORT/NAME is another one.
`;

/** Builds a listener. */
export function createEdge(options: EdgeOptions): Edge {
  return new KvConnectEdge(options);
}

class KvConnectEdge implements Edge {
  readonly #metrics: EdgeMetrics;
  readonly #metadata: MetadataParts;
  readonly #dataPath: DataPathParts;
  readonly #bodies: BodyReader;
  readonly #watches: Watches;
  readonly #routes: ReadonlyMap<string, EdgeRoute>;
  #stopping = false;

  constructor(options: EdgeOptions) {
    const { clock, metrics } = options;
    this.#metrics = metrics;
    this.#routes = options.routes ?? new Map();
    this.#bodies = new BodyReader(clock, {
      bodyBytesMax: options.bodyBytesMax ?? BODY_BYTES_MAX,
      bodyMs: options.bodyMs ?? BODY_MS,
    });
    this.#watches = new Watches(
      options.watchesMax ?? WATCHES_MAX,
      (open) => metrics.watches(open),
    );
    this.#metadata = { ...options, bodies: this.#bodies };
    this.#dataPath = { ...options, bodies: this.#bodies, watches: this.#watches };
  }

  async handle(request: ServerRequest): Promise<Reply> {
    const route = routeOf(request.url);
    let reply: Reply;
    try {
      if (this.#stopping) throw new KvError("stopping", "Cannot answer: this node is stopping");
      reply = await this.#answer(route, request);
    } catch (error) {
      reply = this.#explain(error);
    }
    this.#metrics.answered(this.#kindOf(route), reply.status);
    return reply;
  }

  refuse(status: number, message: string): Reply {
    this.#metrics.answered("other", status);
    return textReply(status, message);
  }

  stop(): void {
    this.#stopping = true;
    this.#watches.stop();
    this.#bodies[Symbol.dispose]();
  }

  #answer(route: Route, request: ServerRequest): Reply | Promise<Reply> {
    switch (route.type) {
      case "operation":
        return this.#answerOperation(route, request);
      case "metadata": {
        const { method } = request;
        if (route.name === null && (method === "GET" || method === "HEAD")) {
          return textReply(200, ABOUT);
        }
        checkMethod(method);
        return exchangeMetadata(this.#metadata, route.name ?? DEFAULT_NAME, request);
      }
      case "none":
        throw notFound();
    }
  }

  #answerOperation(route: OperationRoute, request: ServerRequest): Promise<Reply> {
    const { name, operation } = route;
    if (route.route === DATA_ROUTE) {
      const known = dataOperationOf(operation);
      if (known === null) throw notFound();
      checkMethod(request.method);
      return answerOperation(this.#dataPath, name, known, request);
    }
    const other = this.#routes.get(route.route);
    if (other === undefined) throw notFound();
    checkMethod(request.method);
    const database = admit(this.#dataPath, name, request);
    const readBody = () => this.#bodies.read(request);
    return other.handle({ database, operation, request, readBody });
  }

  #explain(error: unknown): Reply {
    if (!(error instanceof KvError)) this.#metrics.fault(error);
    else if (error.code === "limit_exceeded") {
      this.#metrics.limitRefused(LIMIT_NAME.exec(error.message)?.[1] ?? "other");
    }
    return refusalReply(error);
  }

  #kindOf(route: Route): RequestKind {
    if (route.type !== "operation") return route.type === "metadata" ? "metadata" : "other";
    if (route.route === DATA_ROUTE) return dataOperationOf(route.operation) ?? "other";
    return this.#routes.has(route.route) ? "route" : "other";
  }
}

function checkMethod(method: string): void {
  if (method === "POST") return;
  throw new KvError("method_not_allowed", "Cannot answer that method: only POST is answered here");
}

function notFound(): KvError {
  return new KvError(
    "not_found",
    "Cannot find that path: databases are at / and /NAME, where NAME has 1 to 64 letters, " +
      "digits, - and _",
  );
}
