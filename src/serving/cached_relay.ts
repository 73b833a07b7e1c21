/**
 * The relay with a cache in front of it.
 *
 *     exact ── canonical ──┐ hit: replay
 *                          │ miss: join or start a flight
 *                          └─ flight: shared store ── semantic ──┐ found: replay, for all its clients
 *                                                                └─ relay: live, for all its clients
 *
 * What is certain and near is asked first, in one turn of the event loop; what
 * takes time is asked once for all clients that want the same.
 *
 * @module
 */
import { readControls } from "../cache/request/controls.ts";
import { examine } from "../cache/request/examination.ts";
import type {
  BypassReason,
  CacheControls,
  CacheEntry,
  CacheRequest,
  JsonObject,
} from "../cache/types.ts";
import { GatewayError } from "../errors.ts";
import type { HeaderFields, Reply } from "../ports.ts";
import type { AnsweredBy } from "../relay/exchange.ts";
import { BackendReply } from "../relay/outcome.ts";
import type { RelayRequest } from "../relay/relay.ts";
import { Accounts } from "./accounts.ts";
import { Flight } from "./flight.ts";
import type { FlightClient, FlightOutcome } from "./flight_client.ts";
import type { Found } from "./found.ts";
import { Keeper } from "./keeper.ts";
import type { CachedRoute, ServingParts } from "./parts.ts";
import { foundReply, liveReply, type LiveStatus, recordedReply, resultOf } from "./replies.ts";
import { NOTHING, Seeker, type Sought } from "./seeker.ts";
import { Teacher } from "./teacher.ts";

/** A request as the cache sees it. */
interface Asked {
  readonly request: RelayRequest;
  readonly route: CachedRoute;
  readonly controls: CacheControls;
  readonly key: CacheRequest;
  /** What may serve if no backend can. */
  readonly stale: Found | null;
}

/** A request in progress that others may share. */
interface CurrentFlight {
  readonly flight: Flight;
  readonly startedMs: number;
  /** Invalidations made when it began. */
  readonly sequence: number;
  /** What it is made void by. */
  readonly tags: readonly string[];
}

/** Serves from the cache what may be served from it, and asks backends for the rest. */
export class CachedRelay {
  /** Puts answers in and takes them out. */
  readonly keeper: Keeper;
  readonly #parts: ServingParts;
  readonly #accounts: Accounts;
  readonly #seeker: Seeker | null;
  readonly #teacher: Teacher | null;
  readonly #flights = new Map<string, CurrentFlight>();

  /** Takes its parts. */
  constructor(parts: ServingParts) {
    this.#parts = parts;
    this.keeper = new Keeper(parts);
    this.#accounts = new Accounts(parts);
    const { similarity } = parts;
    this.#seeker = similarity === null ? null : new Seeker(parts, similarity);
    this.#teacher = similarity === null ? null : new Teacher(parts, similarity);
  }

  /** Requests in progress that can be shared, and the clients on them. */
  get flights(): { readonly flights: number; readonly clients: number } {
    let clients = 0;
    for (const { flight } of this.#flights.values()) clients += flight.clients;
    return { flights: this.#flights.size, clients };
  }

  /**
   * Answers a request.
   *
   * @param headers The client's headers, for what they say about caching.
   * @throws {GatewayError | BackendReply} If nobody could.
   */
  async complete(request: RelayRequest, headers: HeaderFields): Promise<Reply> {
    const route = this.#parts.routes.get(request.inbound.model);
    if (route === undefined) return await this.#parts.relay.complete(request);
    const controls = readControls((name) => headers.get(name));
    const { surface, body, text, model } = request.inbound;
    const examined = examine({
      surface,
      body: body as JsonObject,
      characters: text.length,
      tenant: request.tenant ?? "",
      route: model,
      pool: route.pool,
      headers: request.headers.filter(([name]) => !IDLE_HEADERS.includes(name)),
      controls,
    }, route.rules);
    if (examined.type === "bypass") return await this.#bypass(request, controls, examined.reason);
    return await this.#serve(request, route, controls, examined.request);
  }

  async #bypass(
    request: RelayRequest,
    controls: CacheControls,
    reason: BypassReason,
  ): Promise<Reply> {
    const { relay, cacheMetrics } = this.#parts;
    cacheMetrics.bypassed(request.inbound.model, reason);
    if (controls.onlyIfCached) throw this.#notCached();
    const reply = await relay.complete(request);
    cacheMetrics.answered(request.inbound.model, "bypass");
    return liveReply(reply, request.requestId, { layer: "miss", bypass: reason });
  }

  async #serve(
    request: RelayRequest,
    route: CachedRoute,
    controls: CacheControls,
    key: CacheRequest,
  ): Promise<Reply> {
    const isCurrent = await this.#isCurrent(request, route);
    const allowed = isCurrent ? controls : { ...controls, refresh: true };
    return await this.#answer({ request, route, controls: allowed, key });
  }

  /** Whether every invalidation is known; a strict route that cannot tell asks a backend. */
  async #isCurrent(request: RelayRequest, route: CachedRoute): Promise<boolean> {
    const { shared } = this.#parts;
    if (!route.strict || shared === null) return true;
    return await shared.refresh(this.#sharedDeadline(request)) !== null;
  }

  async #answer(question: Omit<Asked, "stale">): Promise<Reply> {
    const { request, route, controls, key } = question;
    const local = controls.refresh ? null : this.#local(route, controls, key);
    if (local !== null && !local.stale) return this.#hit(question, local);
    const asked: Asked = { ...question, stale: local };
    if (controls.onlyIfCached) return await this.#onlyIfCached(asked);
    const client = this.#accounts.client(request);
    this.#board(client, asked);
    try {
      return await this.#settled(client, asked);
    } catch (error) {
      const stale = isForWantOfBackend(error) ? this.#stillStale(asked) : null;
      if (stale === null) throw error;
      return this.#hit(asked, stale);
    }
  }

  /** What this process holds, in one turn of the event loop. */
  #local(route: CachedRoute, controls: CacheControls, key: CacheRequest): Found | null {
    const { store, clock, cacheMetrics } = this.#parts;
    const { rules } = route;
    const wallMs = clock.wallMs();
    let stale: Found | null = null;
    for (const layer of ["exact", "canonical"] as const) {
      const digest = layer === "exact" ? key.exactKey : key.canonicalKey;
      if (digest === null || !rules[layer]) continue;
      const found = store[layer](digest, wallMs);
      if (found.type !== "miss" && isYoungEnough(found.entry, controls, wallMs)) {
        if (found.type === "fresh") {
          cacheMetrics.lookedUp(route.name, layer, "hit");
          return { entry: found.entry, layer, similarity: null, guard: null, stale: false };
        }
        stale ??= { entry: found.entry, layer, similarity: null, guard: null, stale: true };
      }
      cacheMetrics.lookedUp(route.name, layer, "miss");
    }
    return stale;
  }

  /** What may serve for want of a backend; while one was waited for, that may have become void. */
  #stillStale({ stale, controls }: Asked): Found | null {
    const { store, clock } = this.#parts;
    if (stale === null || store.get(stale.entry.id) === null) return null;
    const wallMs = clock.wallMs();
    if (wallMs >= stale.entry.staleUntilMs) return null;
    return isYoungEnough(stale.entry, controls, wallMs) ? stale : null;
  }

  #hit(asked: Omit<Asked, "stale">, found: Found): Reply {
    const { request, route, key } = asked;
    if (found.stale) this.#parts.cacheMetrics.lookedUp(route.name, found.layer, "stale");
    this.#accounts.hit(request, route, found, resultOf(found));
    this.keeper.served(found);
    if (found.layer === "semantic" && route.rules.semantic === "verified") {
      this.#teacher?.shadow(request, key, found);
    }
    return foundReply(found, this.#context(request, route));
  }

  async #onlyIfCached(asked: Asked): Promise<Reply> {
    const sought = await this.#seek(asked);
    if (sought.found !== null) return this.#hit(asked, sought.found);
    throw this.#notCached();
  }

  #notCached(): GatewayError {
    this.#parts.metrics.rejected("not_cached");
    return notCached();
  }

  /** Joins the flight of its key, or starts one. */
  #board(client: FlightClient, asked: Asked): void {
    const { request, route, controls, key } = asked;
    // An answer to a request that forbids keeping it is nobody else's.
    const joins = key.joinable && !controls.refresh && !controls.noStore;
    const current = joins ? this.#current(key.exactKey) : undefined;
    if (
      current?.flight.joinable === true &&
      request.startedMs - current.startedMs < route.totalMs / 2
    ) {
      this.#parts.cacheMetrics.lookedUp(route.name, "flight", "hit");
      this.#parts.cacheMetrics.followed(route.name);
      current.flight.join(client);
      return;
    }
    if (joins) this.#parts.cacheMetrics.lookedUp(route.name, "flight", "miss");
    const { sequence } = this.#parts.store;
    const flight = this.#flight(asked, sequence, joins);
    if (joins && current === undefined) {
      const { startedMs } = request;
      this.#flights.set(key.exactKey, { flight, startedMs, sequence, tags: key.tags });
    }
    flight.depart(client);
  }

  /** The flight of a key; one begun before an invalidation that concerns it takes nobody else. */
  #current(exactKey: string): CurrentFlight | undefined {
    const current = this.#flights.get(exactKey);
    if (current === undefined) return undefined;
    return this.#parts.store.isVoid(current) ? undefined : current;
  }

  #flight(asked: Asked, sequence: number, isShared: boolean): Flight {
    const { relay, flightLimits, cacheMetrics } = this.#parts;
    const { route, controls, key } = asked;
    let sought: Sought | null = null;
    let by: AnsweredBy | null = null;
    const flight: Flight = new Flight({
      surface: key.surface,
      limits: isShared ? flightLimits : { ...flightLimits, followersMax: 0 },
      seek: async () => {
        sought = await this.#seek(asked);
        return sought.found;
      },
      ask: (client, signal) =>
        relay.complete({
          ...client.request,
          signal,
          keepsUsage: true,
          answered: (answered) => {
            by = answered;
          },
        }),
      recorded: (recorded) => {
        const { noStore } = controls;
        const vector = sought?.vector ?? null;
        const context = { request: key, route, sequence, noStore, by, vector };
        if ("record" in recorded) {
          for (const neighbour of sought?.neighbours ?? []) {
            this.#teacher?.compare(key, neighbour, recorded.record);
          }
        }
        this.keeper.keep(context, recorded);
      },
      closed: () => {
        if (this.#flights.get(key.exactKey)?.flight === flight) {
          this.#flights.delete(key.exactKey);
        }
      },
      handedOver: () => cacheMetrics.handedOver(route.name),
    });
    return flight;
  }

  async #settled(client: FlightClient, asked: Asked): Promise<Reply> {
    const { request, route, controls } = asked;
    const outcome = await this.#outcome(client);
    switch (outcome.type) {
      case "found":
        if (this.#accepts(asked, outcome.found)) return this.#hit(asked, outcome.found);
        return await this.#alone(asked);
      case "recorded":
        this.#accounts.followed(client, route, "ok");
        return recordedReply(outcome.record, this.#context(request, route));
      case "live": {
        const layer = client.leads ? controls.refresh ? "refresh" : "miss" : "flight";
        if (client.leads) this.#parts.cacheMetrics.answered(route.name, "miss");
        else if (outcome.reply.body !== client && !client.over) {
          this.#accounts.followed(client, route, "ok");
        }
        return liveReply(outcome.reply, request.requestId, { layer });
      }
      case "alone":
        return await this.#alone(asked);
    }
  }

  async #outcome(client: FlightClient): Promise<FlightOutcome> {
    try {
      return await client.outcome;
    } catch (error) {
      // A leader's request was counted by its exchange.
      if (!client.leads) this.#accounts.refused(client.request, error);
      throw error;
    }
  }

  /** What was found for the leader may not be what this client allows. */
  #accepts({ controls }: Asked, { entry, layer, similarity }: Found): boolean {
    if (!isYoungEnough(entry, controls, this.#parts.clock.wallMs())) return false;
    if (layer !== "semantic") return true;
    return controls.mode !== "exact" && (similarity ?? 0) >= (controls.threshold ?? 0);
  }

  async #alone({ request, route }: Asked): Promise<Reply> {
    const status: LiveStatus = { layer: "miss" };
    const reply = await this.#parts.relay.complete(request);
    this.#parts.cacheMetrics.answered(route.name, "miss");
    return liveReply(reply, request.requestId, status);
  }

  /** What takes time: other gateways' answers, then similar questions. */
  async #seek(asked: Asked): Promise<Sought> {
    const { request, route, controls, key } = asked;
    if (controls.refresh) return NOTHING;
    const shared = await this.#askShared(asked);
    if (shared !== null) return { found: shared, neighbours: [], vector: null };
    if (this.#seeker === null || key.turn === null) return NOTHING;
    const sought = await this.#seeker.seek({
      request: { ...key, turn: key.turn },
      route,
      threshold: controls.threshold,
      // A store that was slow has used its own time, not that of the index.
      startedMs: this.#parts.shared === null ? request.startedMs : this.#parts.clock.nowMs(),
    });
    const { found } = sought;
    if (found === null) return sought;
    const wallMs = this.#parts.clock.wallMs();
    return isYoungEnough(found.entry, controls, wallMs) ? sought : { ...sought, found: null };
  }

  async #askShared({ request, route, controls, key }: Asked): Promise<Found | null> {
    const { shared, store, clock, cacheMetrics } = this.#parts;
    if (shared === null) return null;
    const untilMs = this.#sharedDeadline(request);
    for (const layer of ["exact", "canonical"] as const) {
      const digest = layer === "exact" ? key.exactKey : key.canonicalKey;
      if (digest === null || !route.rules[layer]) continue;
      const entry = await shared.read(layer, digest, untilMs);
      const wallMs = clock.wallMs();
      const isUsable = entry !== null && entry.scope === key.scope && entry.expiresMs > wallMs &&
        isYoungEnough(entry, controls, wallMs) && this.keeper.adopt(entry, null, false);
      cacheMetrics.lookedUp(route.name, "shared", isUsable ? "hit" : "miss");
      // The local store knows every invalidation that was heard of.
      const alive = isUsable ? store.alive(entry.id, key.scope, wallMs) : null;
      if (alive !== null) {
        return { entry: alive, layer, similarity: null, guard: null, stale: false };
      }
    }
    return null;
  }

  #sharedDeadline(request: RelayRequest): number {
    return request.startedMs + this.#parts.sharedDeadlineMs;
  }

  #context(request: RelayRequest, route: CachedRoute) {
    return {
      inbound: request.inbound,
      requestId: request.requestId,
      startedMs: request.startedMs,
      clock: this.#parts.clock,
      eventsPerSecond: route.replayEventsPerSecond,
    };
  }
}

/** Headers that are passed on and do not bear on the answer. */
const IDLE_HEADERS: readonly string[] = ["x-request-id", "traceparent", "tracestate", "baggage"];

function isYoungEnough(entry: CacheEntry, { maxAgeMs }: CacheControls, wallMs: number): boolean {
  return maxAgeMs === null || wallMs - entry.storedMs <= maxAgeMs;
}

/** Nobody could answer; a request that was refused as wrong is not answered from the past. */
function isForWantOfBackend(error: unknown): boolean {
  if (error instanceof GatewayError) return error.status >= 500 || error.status === 429;
  return error instanceof BackendReply &&
    (error.detail.status >= 500 || error.detail.status === 429);
}

function notCached(): GatewayError {
  return new GatewayError(
    "not_cached",
    "Cannot answer from the cache: it has no answer to this request, and the header " +
      "cache-control: only-if-cached forbids asking a backend",
  );
}
