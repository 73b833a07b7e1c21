/**
 * A gateway with a cache, on real sockets, in front of a simulated backend whose
 * log tells what the cache has saved.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { GatewayPorts } from "../../src/gateway.ts";
import type { Clock } from "../../src/ports.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import type { SimulatorProfile } from "../../src/simulate/profiles.ts";
import type { LogEntry } from "../../src/simulate/request_log.ts";
import { type Simulator, startSimulator } from "../../src/simulate/server.ts";
import { type ServedGateway, serveGateway } from "./gateway_fixture.ts";
import { type RawAnswer, rawExchange, type RawRequest } from "./raw_http.ts";

/** Answers at once, with ids of their own. */
const PROFILE: SimulatorProfile = {
  name: "cached",
  models: ["sim"],
  firstTokenMs: 0,
  interTokenMs: 0,
  jitter: 0,
  failureRate: 0,
};

/** Time enough for any lookup, however slow the machine, in seconds. */
export const PATIENCE_SECONDS = 10;

/** All layers in full work. */
export const STATIC = { semantic: { mode: "static" } };

/** A cache that looks at equal requests alone. */
export const EXACT_ONLY = { flight: false, canonical: false, semantic: { mode: "off" } };

/** A model of the gateway; its target is the simulated model, fault included. */
export interface CachedModel {
  /** What the simulator is asked for; `sim` if left out. */
  readonly target?: string;
  /** Its cache settings besides `enabled`. */
  readonly cache?: Readonly<Record<string, unknown>>;
  /** Any other setting. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** How the gateway is to be. */
export interface CacheGatewayOptions {
  /** Models by alias; one called `m` if left out. */
  readonly models?: Readonly<Record<string, CachedModel>>;
  /** Cache settings of all models. */
  readonly cache?: Readonly<Record<string, unknown>>;
  /** The part of the settings that all models share. */
  readonly shared?: Readonly<Record<string, unknown>>;
  /** Names of tenants; the access key of each is `key-NAME`. */
  readonly tenants?: readonly string[];
  /** Further top-level settings. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Further backends. */
  readonly backends?: readonly unknown[];
  /** What the simulated backend speaks; `openai` if left out. */
  readonly protocol?: "openai" | "anthropic";
  /** A simulator that somebody else started, and ends. */
  readonly simulator?: CountingSimulator;
  /** The outside world. */
  readonly ports?: Partial<GatewayPorts>;
}

/** A request to the gateway. */
export interface Ask {
  /** The alias; `m` if left out. */
  readonly model?: string;
  /** The user's text. */
  readonly prompt?: string;
  /** Whether a stream is wanted. */
  readonly stream?: boolean;
  /** Further fields of the body, or others in place of the usual ones. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Path; chat completions if left out. */
  readonly path?: string;
  /** Headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer with what the cache says of it. */
export interface CacheAnswer extends RawAnswer {
  /** `x-weir-cache`. */
  readonly layer: string | undefined;
  /** `cache-status`. */
  readonly cacheStatus: string | undefined;
  /** `weir-cache-id`. */
  readonly id: string | undefined;
}

/** A clock whose calendar can be turned forward. */
export class TurnableClock implements Clock {
  /** How far it is ahead, in milliseconds. */
  aheadMs = 0;

  /** The time that passes. */
  nowMs(): number {
    return systemClock.nowMs();
  }

  /** The date. */
  wallMs(): number {
    return systemClock.wallMs() + this.aheadMs;
  }

  /** Timers go on as ever. */
  after(delayMs: number, run: () => void): Disposable {
    return systemClock.after(delayMs, run);
  }
}

/** A simulator that can be waited for. */
export interface CountingSimulator extends AsyncDisposable {
  /** Base URL for OpenAI clients. */
  readonly url: string;
  /** Every request so far. */
  readonly log: readonly LogEntry[];
  /** Settles once so many requests have come in all. */
  arrived(count: number): Promise<void>;
  /** Settles once so many answers are over in all. */
  settled(count: number): Promise<void>;
  /** The fault of every request from now on; `null` for none. */
  setFault(fault: string | null): Promise<void>;
}

/** Starts a simulator in this process. */
export async function startCounting(
  profile: Partial<SimulatorProfile> = {},
): Promise<CountingSimulator> {
  const arrivals = new Tally();
  const ends = new Tally();
  const simulator: Simulator = await startSimulator({
    profile: { ...PROFILE, ...profile },
    onRequest: () => arrivals.add(),
    onSettled: () => ends.add(),
  });
  const control = simulator.url.replace(/\/v1$/, "/control/config");
  return {
    url: simulator.url,
    get log() {
      return simulator.log;
    },
    arrived: (count) => arrivals.reached(count),
    settled: (count) => ends.reached(count),
    async setFault(fault) {
      const answer = await fetch(control, { method: "POST", body: JSON.stringify({ fault }) });
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`Cannot set fault ${fault}: ${answer.status}`);
    },
    [Symbol.asyncDispose]: () => simulator.close(),
  };
}

/** Counts, and tells who waits for a count. */
class Tally {
  #count = 0;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  add(): void {
    this.#count++;
    for (const { count, resolve } of this.#waiting) if (this.#count >= count) resolve();
  }

  reached(count: number): Promise<void> {
    if (this.#count >= count) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ count, resolve });
    return promise;
  }
}

/** A gateway with its backend. */
export class CacheGateway implements AsyncDisposable {
  /** The gateway. */
  readonly served: ServedGateway;
  /** The backend. */
  readonly simulator: CountingSimulator;
  /** The gateway's clock, unless another was given. */
  readonly clock: TurnableClock;
  readonly #ownsSimulator: boolean;

  /** Made by {@linkcode serveCache}. */
  constructor(
    served: ServedGateway,
    simulator: CountingSimulator,
    clock: TurnableClock,
    ownsSimulator: boolean,
  ) {
    this.served = served;
    this.simulator = simulator;
    this.clock = clock;
    this.#ownsSimulator = ownsSimulator;
  }

  /** Where clients connect, without a path. */
  get url(): string {
    return this.served.url;
  }

  /** Requests that reached the backend, embeddings aside. */
  get calls(): number {
    return this.simulator.log.filter(({ surface }) => surface !== "embeddings").length;
  }

  /** Asks, on a connection of its own. */
  async ask(ask: Ask): Promise<CacheAnswer> {
    const port = Number(new URL(this.url).port);
    const answer = await rawExchange(port, requestOf(ask));
    const header = (name: string): string | undefined => answer.headers.get(name);
    return {
      ...answer,
      layer: header("x-weir-cache"),
      cacheStatus: header("cache-status"),
      id: header("weir-cache-id"),
    };
  }

  /** Asks as an operator. */
  async admin(method: string, path: string, body?: unknown): Promise<{
    readonly status: number;
    // deno-lint-ignore no-explicit-any -- tests say what they expect of it
    readonly json: any;
  }> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const request = new Request(`http://admin${path}`, init);
    const answer = await this.served.gateway.admin.fetch(request);
    return { status: answer.status, json: await answer.json() };
  }

  /** Settles once the index holds so many vectors: it may lag behind the answers. */
  async indexed(count: number): Promise<void> {
    await until(async () => {
      const { json } = await this.admin("GET", "/cache");
      return json.index.live >= count;
    }, `${count} vectors`);
  }

  /** Ends both. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.served[Symbol.asyncDispose]();
    if (this.#ownsSimulator) await this.simulator[Symbol.asyncDispose]();
  }
}

/** Starts a gateway with a cache, and its backend. */
export async function serveCache(options: CacheGatewayOptions = {}): Promise<CacheGateway> {
  const simulator = options.simulator ?? await startCounting();
  const clock = new TurnableClock();
  const served = serveGateway(cacheConfig(simulator.url, options), { clock, ...options.ports });
  await served.gateway.cacheReady;
  await until(() => isIndexReady(served), "the index");
  return new CacheGateway(served, simulator, clock, options.simulator === undefined);
}

/** Whether similar questions can be found, or none are looked for. */
async function isIndexReady({ gateway, log }: ServedGateway): Promise<boolean> {
  const answer = await gateway.admin.fetch(new Request("http://admin/cache"));
  const { index } = await answer.json();
  return index === undefined || index === null || index.native ||
    log.some(({ event }) => event === "cache.index.scan_only");
}

/** The configuration of such a gateway. */
export function cacheConfig(
  simulatorUrl: string,
  options: CacheGatewayOptions,
): Record<string, unknown> {
  const { models = { m: {} }, cache, shared, tenants = [], config, backends = [] } = options;
  return {
    access: {
      keys: tenants.map((name) => ({
        name,
        sha256: createHash("sha256").update(`key-${name}`).digest("hex"),
      })),
    },
    forwardHeaders: ["x-sim-fault"],
    cache: { embedder: { deadlineSeconds: PATIENCE_SECONDS }, ...shared },
    backends: [
      { name: "sim", protocol: options.protocol ?? "openai", baseUrl: simulatorUrl },
      ...backends,
    ],
    models: Object.entries(models).map(([name, model]) => ({
      name,
      targets: [{ backend: "sim", model: model.target ?? "sim" }],
      retries: { attemptsMax: 1 },
      ...model.more,
      cache: { enabled: true, ...cache, ...model.cache },
    })),
    ...config,
  };
}

/** The request as it goes over the wire. */
export function requestOf(ask: Ask): RawRequest {
  const { model = "m", prompt = "What is a weir?", stream = false, body, path, headers } = ask;
  const usual = path === undefined || path === "/v1/chat/completions" || path === "/v1/messages"
    ? { messages: [{ role: "user", content: prompt }] }
    : path === "/v1/responses"
    ? { input: prompt, store: false }
    : { prompt };
  return {
    path: path ?? "/v1/chat/completions",
    body: {
      model,
      ...(stream ? { stream } : {}),
      ...usual,
      ...(path === "/v1/messages" ? { max_tokens: 2_000 } : {}),
      ...body,
    },
    headers: {
      connection: "close",
      ...(path === "/v1/messages" ? { "anthropic-version": "2023-06-01" } : {}),
      ...headers,
    },
  };
}

/** The text of a chat answer, streamed or not. */
export function textOf(answer: RawAnswer): string {
  if (answer.headers.get("content-type")?.startsWith("text/event-stream") !== true) {
    return JSON.parse(answer.text).choices[0].message.content;
  }
  return chunksOf(answer).map((chunk) => chunk.choices?.[0]?.delta?.content ?? "").join("");
}

/** The chunks of a stream, without its end mark. */
// deno-lint-ignore no-explicit-any -- tests say what they expect of them
export function chunksOf(answer: RawAnswer): any[] {
  return [...answer.text.matchAll(/^data: (\{.*)$/gm)].map(([, data]) => JSON.parse(data ?? ""));
}

/** Turns of the event loop until `holds` does; each turn is a round trip through a socket. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const givenUpMs = performance.now() + PATIENCE_SECONDS * 1_000;
  while (!(await holds())) {
    if (performance.now() > givenUpMs) throw new Error(`Cannot go on: waited for ${what} in vain`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
