/**
 * A cache with everything around it, in virtual time: clients that come, read,
 * wait and leave, backends, invalidations, reports, an index that lags.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import type { GuardLevel } from "../../src/cache/guards/guard.ts";
import { SimilarityPolicy } from "../../src/cache/similarity/decision.ts";
import { NearMisses } from "../../src/cache/similarity/near_misses.ts";
import { CacheStore } from "../../src/cache/store/store.ts";
import { LEXICAL_ID } from "../../src/embed/lexical.ts";
import { GatewayError } from "../../src/errors.ts";
import type { Random, Reply } from "../../src/ports.ts";
import { BackendReply } from "../../src/relay/outcome.ts";
import { CachedRelay } from "../../src/serving/cached_relay.ts";
import type { CachedRoute, ServingParts } from "../../src/serving/parts.ts";
import { entryId } from "../../src/serving/replies.ts";
import { clientTag, prefixTag } from "../../src/cache/request/tags.ts";
import { type CacheMetrics, createCacheMetrics } from "../../src/telemetry/cache_metrics.ts";
import { KnownNames } from "../../src/telemetry/labels.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { Registry } from "../../src/telemetry/prometheus.ts";
import { type Client, newClient } from "./cache_never_client.ts";
import { routeOf, simulatedJudge } from "./cache_never_routes.ts";
import { ScriptedBackend } from "./cache_never_backend.ts";
import { LaggingIndex, unreliableEmbedder } from "./cache_never_index.ts";
import { type Ending, Oracle, VoidMarks } from "./cache_never_oracle.ts";
import {
  CLIENT_TAGS,
  drawAsk,
  drawSetting,
  MODELS,
  pick,
  type Setting,
  SYSTEMS,
  TENANTS,
} from "./cache_never_universe.ts";
import { randomFrom, VirtualTime } from "./harness.ts";

/** Clients at one time. */
const CLIENTS_MAX = 24;
/** Settings that are asked in at one time. */
const SETTINGS = 4;
/** Turns in which everything must come to rest. */
const ROUNDS_MAX = 2_000;

const decoder = new TextDecoder();

/** The world of one seed. */
export class CacheWorld {
  /** What was seen. */
  readonly oracle: Oracle;
  /** How many answers were refused or stored, by outcome. */
  readonly stored = new Map<string, number>();
  readonly #random: Random;
  readonly #time = new VirtualTime();
  readonly #backend: ScriptedBackend;
  readonly #index: LaggingIndex;
  readonly #store: CacheStore;
  readonly #relay: CachedRelay;
  readonly #routes: ReadonlyMap<string, CachedRoute>;
  readonly #registry = new Registry();
  readonly #marks = new VoidMarks();
  readonly #clients = new Map<string, Client>();
  readonly #active: Client[] = [];
  readonly #served: { readonly id: number; readonly tenant: string }[] = [];
  readonly #settings: Setting[] = [];
  readonly #dead = new Set<number>();
  readonly #logged = new Map<string, number>();
  readonly #problems: unknown[] = [];
  readonly #limits: { readonly bytesMax: number; readonly tenantShare: number };
  readonly #guardLevel: GuardLevel;
  #unchecked: Client[] = [];
  #starting: Client | null = null;
  #number = 0;
  #answered = 0;
  #rejected = 0;
  /** Entries that were stored and have not been told to have left. */
  #held = 0;

  constructor(seed: number) {
    const random = randomFrom(seed);
    this.#random = random;
    this.#limits = {
      bytesMax: 10_000 + Math.floor(random() ** 2 * 200_000),
      tenantShare: pick([0.4, 0.7, 1], random),
    };
    this.#store = new CacheStore({
      ...this.#limits,
      entryBytesMax: 4_000,
      tagsMax: pick([4, 1_000], random),
    });
    this.#index = new LaggingIndex(random);
    this.#backend = new ScriptedBackend({
      random,
      nowMs: () => this.#time.nowMs(),
      askOf: (id) => this.#clientOf(id).ask,
    });
    this.#routes = new Map(MODELS.map((name) => [name, routeOf(name, random)]));
    this.#guardLevel = pick(["words", "meaning"] as const, random);
    this.oracle = new Oracle({
      guardLevel: this.#guardLevel,
      marks: this.#marks,
      answers: this.#backend.answers,
      runOf: (ask) => this.#clientOf(ask.id),
      rulesOf: (model) => this.#routeOf(model).rules,
      hasFailed: (ask) => this.#backend.failed.has(ask.id),
    });
    this.#relay = new CachedRelay(this.#parts(random));
  }

  /** One random thing happens, and all that follows from it at once. */
  async step(): Promise<void> {
    const chance = this.#random();
    if (chance < 0.42) this.#start();
    else if (chance < 0.76) this.#backend.step();
    else if (chance < 0.86) this.#read();
    else if (chance < 0.89) this.#leave();
    else if (chance < 0.895) this.#invalidate();
    else if (chance < 0.9) this.#report();
    else if (chance < 0.96) this.#pass();
    else if (chance < 0.962) this.#backend.isDown = !this.#backend.isDown;
    else this.#index.catchUp(this.#random());
    await this.#settle();
    this.#starting = null;
    this.#checkLimits();
  }

  /** Lets everything come to rest, and compares. */
  async rest(): Promise<void> {
    for (let round = 0; this.#active.length > 0 || this.#backend.waiting.length > 0; round++) {
      assert.ok(round < ROUNDS_MAX, "nothing came to rest");
      this.#backend.step();
      this.#read();
      this.#index.catchUp(1);
      await this.#settle();
      this.#time.runUntil(this.#time.nowMs() + 25);
      await this.#settle();
    }
    this.#index.catchUp(1);
    assert.deepEqual(this.#relay.flights, { flights: 0, clients: 0 });
    assert.equal(this.#backend.running, 0);
    this.#checkAccounts();
    this.#checkStore();
  }

  /** What a metric of the cache says, all labels together. */
  async counted(name: string): Promise<number> {
    const metric = await this.#registry.getSingleMetric(name)?.get();
    return metric?.values.reduce((sum, { value }) => sum + value, 0) ?? NaN;
  }

  /** Requests that got an answer. */
  get answers(): number {
    return this.#answered;
  }

  #parts(random: Random): ServingParts {
    const isApart = random() < 0.5;
    const collect = { models: () => [...MODELS], targets: () => [], retryTokens: () => [] };
    const metrics = createMetrics(this.#registry, { semconv: "latest", collect });
    return {
      routes: this.#routes,
      relay: this.#backend,
      store: this.#store,
      policy: new SimilarityPolicy(),
      nearMisses: new NearMisses(100),
      similarity: {
        index: this.#index,
        embedder: isApart ? unreliableEmbedder(random) : null,
        embedderId: LEXICAL_ID,
        deadlineMs: 10,
        judge: simulatedJudge(random),
        guardLevel: this.#guardLevel,
        logTexts: true,
      },
      shared: null,
      sharedDeadlineMs: 15,
      flightLimits: {
        followersMax: 3,
        bufferBytesMax: pick([600, 100_000], random),
        eventBytesMax: 100_000,
        recordBytesMax: pick([1_000, 100_000], random),
      },
      clock: this.#time,
      random,
      metrics: {
        ...metrics,
        rejected: (reason) => {
          this.#rejected++;
          metrics.rejected(reason);
        },
      },
      cacheMetrics: this.#cacheMetrics(),
      log: {
        debug: () => {},
        info: (event, fields) => {
          if (event !== "request.finished") return;
          const id = String(fields?.["request.id"]);
          this.#logged.set(id, (this.#logged.get(id) ?? 0) + 1);
        },
        warn: () => {},
        error: (event, fields) => this.#problems.push({ event, ...fields }),
      },
    };
  }

  /** The real ones, with an ear on what tells how requests went together. */
  #cacheMetrics(): CacheMetrics {
    const { stats } = this.#store;
    const metrics = createCacheMetrics(this.#registry, new KnownNames(() => MODELS), {
      store: stats.bind(this.#store),
      vectors: () => this.#index.stats(),
      embedder: () => null,
      flights: () => this.#relay.flights,
      shared: () => null,
      verified: () => [],
    });
    return {
      ...metrics,
      followed: (model) => {
        if (this.#starting !== null) this.#starting.joined = true;
        metrics.followed(model);
      },
      left: (reason, count) => {
        this.#held -= count;
        metrics.left(reason, count);
      },
      stored: (model, result) => {
        if (result === "stored") this.#held++;
        this.stored.set(result, (this.stored.get(result) ?? 0) + 1);
        metrics.stored(model, result);
      },
    };
  }

  #clientOf(id: string): Client {
    const client = this.#clients.get(id);
    assert.ok(client !== undefined, `nobody asked ${id}`);
    return client;
  }

  #routeOf(model: string): CachedRoute {
    const route = this.#routes.get(model);
    assert.ok(route !== undefined);
    return route;
  }

  #start(): void {
    if (this.#active.length >= CLIENTS_MAX) return;
    const at = Math.floor(this.#random() * SETTINGS);
    if (this.#random() < 0.005) this.#settings[at] = drawSetting(this.#random);
    const setting = this.#settings[at] ??= drawSetting(this.#random);
    const ask = drawAsk(++this.#number, setting, this.#random);
    const client = newClient(ask, this.#marks.count, this.#random() < 0.8);
    this.#clients.set(ask.id, client);
    this.#active.push(client);
    this.#unchecked.push(client);
    if (this.#random() < 0.005) client.departure.abort();
    this.#starting = client;
    const { id, tenant, inbound, headers, passed } = ask;
    this.#relay.complete({
      inbound,
      requestId: id,
      tenant,
      session: null,
      headers: [["x-request-id", id], ...passed],
      startedMs: this.#time.nowMs(),
      signal: client.departure,
    }, headers).then(
      (reply) => this.#guarded(() => this.#replied(client, reply)),
      (error) => this.#guarded(() => this.#failed(client, error)),
    );
  }

  #replied(client: Client, reply: Reply): void {
    this.#answered++;
    client.headers = new Map(reply.headers);
    client.repliedAt = this.#marks.count;
    client.repliedMs = this.#time.nowMs();
    const id = entryId(client.headers.get("weir-cache-id") ?? "");
    if (id !== null) this.#noteEntry(client, id);
    const { body } = reply;
    if (body === null) {
      assert.ok(client.departure.aborted, "no body for a client that is there");
      return this.#end(client, "left");
    }
    if (typeof body === "string") client.wire = body;
    else if (body instanceof Uint8Array) client.wire = decoder.decode(body);
    else {
      client.source = body;
      if (client.isLeft) body.cancel();
      return this.#pull(client);
    }
    const isStream = client.ask.inbound.stream;
    const layer = client.headers.get("x-weir-cache");
    assert.ok(!isStream || layer !== "miss", "a stream was asked for");
    this.#end(client, client.isLeft ? "left" : "whole");
  }

  #noteEntry(client: Client, id: number): void {
    assert.ok(!this.#dead.has(id), "an entry was served that had been taken out");
    const entry = this.#store.get(id);
    assert.ok(entry !== null, "an entry was served that is not there");
    client.entryTags = entry.tags;
    this.#served.push({ id, tenant: entry.tenant });
    if (this.#served.length > 40) this.#served.shift();
  }

  #failed(client: Client, error: unknown): void {
    client.error = error;
    assert.ok(error instanceof GatewayError || error instanceof BackendReply, String(error));
    const isNotCached = error instanceof GatewayError && error.code === "not_cached";
    if (isNotCached || client.ask.onlyIfCached) {
      assert.ok(isNotCached && client.ask.onlyIfCached);
      assert.ok(!this.#backend.counted.has(client.ask.id), "asked although only-if-cached");
    }
    this.#end(client, "left");
  }

  /** A client that reads takes what is next. */
  #read(): void {
    const idle = this.#active.filter(({ source, isPulling }) => source !== null && !isPulling);
    if (idle.length > 0) this.#pull(pick(idle, this.#random));
  }

  #pull(client: Client): void {
    const { source } = client;
    if (source === null || client.isPulling) return;
    client.isPulling = true;
    source.pull().then(
      (pieces) => this.#guarded(() => this.#pulled(client, pieces)),
      () => this.#guarded(() => this.#end(client, client.isLeft ? "left" : "abnormal")),
    );
  }

  #pulled(client: Client, pieces: readonly Uint8Array[] | null): void {
    client.isPulling = false;
    if (pieces === null) return this.#end(client, client.isLeft ? "left" : "clean");
    client.chunks.push(...pieces);
    if (client.isLeft) this.#end(client, "left");
    else if (client.isKeen) this.#pull(client);
  }

  #end(client: Client, ending: Ending): void {
    assert.ok(!client.isOver, "it ended twice");
    client.isOver = true;
    this.#active.splice(this.#active.indexOf(client), 1);
    for (const chunk of client.chunks) client.wire += decoder.decode(chunk, { stream: true });
    client.wire += decoder.decode();
    client.chunks = [];
    client.source = null;
    // What is replayed at a pace is whole all the same.
    const isHit = client.headers?.has("weir-cache-id") === true;
    this.oracle.ended(client, ending === "clean" && isHit ? "whole" : ending);
  }

  #leave(): void {
    const staying = this.#active.filter(({ isLeft }) => !isLeft);
    if (staying.length === 0) return;
    const client = pick(staying, this.#random);
    client.isLeft = true;
    const { source, departure } = client;
    const isFirst = this.#random() < 0.5;
    if (isFirst) departure.abort();
    source?.cancel();
    if (!isFirst) departure.abort();
    // Nobody calls `pull` again; a call under way settles by itself.
    if (source !== null && !client.isPulling) this.#end(client, "left");
  }

  #invalidate(): void {
    const { keeper } = this.#relay;
    const chance = this.#random();
    if (chance < 0.1) {
      this.#marks.mark(null);
      return keeper.invalidate({ type: "all" });
    }
    if (chance < 0.3 && this.#served.length > 0) {
      const { id } = pick(this.#served, this.#random);
      this.#marks.count++;
      this.#dead.add(id);
      return keeper.invalidate({ type: "id", id });
    }
    const tenant = pick(TENANTS, this.#random) ?? "";
    const tag = pick([
      `tenant:${tenant}`,
      `model:${pick(MODELS, this.#random)}`,
      `route:${pick(MODELS, this.#random)}`,
      prefixTag(pick(SYSTEMS.slice(1), this.#random)),
      clientTag(tenant, pick(CLIENT_TAGS, this.#random)),
    ], this.#random);
    this.#marks.mark(tag);
    keeper.invalidate({ type: "tag", tag });
  }

  #report(): void {
    if (this.#served.length === 0) return;
    const { id, tenant } = pick(this.#served, this.#random);
    const reporter = this.#random() < 0.8 ? tenant : pick(TENANTS, this.#random) ?? "";
    const isThere = this.#store.get(id) !== null;
    const isTaken = this.#relay.keeper.reportWrong(id, reporter);
    assert.equal(isTaken, isThere && reporter === tenant, "a report that is not its tenant's");
    if (!isTaken) return;
    this.#marks.count++;
    this.#dead.add(id);
  }

  #pass(): void {
    const far = this.#random() < 0.1 ? 30_000 : 1_000;
    this.#time.runUntil(this.#time.nowMs() + this.#random() * far);
  }

  async #settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    const [problem] = this.#problems;
    if (problem instanceof Error) throw problem;
    assert.equal(problem, undefined);
  }

  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#problems.push(error);
    }
  }

  #checkLimits(): void {
    const { bytesMax, tenantShare } = this.#limits;
    assert.ok(this.#store.stats().bytes <= bytesMax, "more bytes than allowed");
    for (const tenant of TENANTS) {
      const bytes = this.#store.tenantBytes(tenant ?? "");
      assert.ok(bytes <= bytesMax * tenantShare, "more bytes than a tenant's share");
    }
    assert.ok(this.#backend.running <= this.#active.length, "a call for nobody");
    const { clients } = this.#relay.flights;
    assert.ok(clients <= this.#active.length, "a flight without clients");
  }

  /** Every request is counted once: by the exchange that it had, or by the cache. */
  #checkAccounts(): void {
    let rejected = 0;
    for (const { ask, error } of this.#unchecked) {
      const counts = (this.#backend.counted.get(ask.id) ?? 0) + (this.#logged.get(ask.id) ?? 0);
      const isNotCached = error instanceof GatewayError && error.code === "not_cached";
      if (isNotCached) rejected++;
      assert.equal(counts, isNotCached ? 0 : 1, `${ask.id} was counted ${counts} times`);
    }
    assert.equal(this.#rejected, rejected);
    this.#rejected = 0;
    this.#unchecked = [];
  }

  #checkStore(): void {
    const { ids } = this.#index;
    let bytes = 0;
    for (const entry of this.#store.entries()) {
      bytes += entry.sizeBytes;
      assert.ok(!this.#dead.has(entry.id), "an entry came back");
    }
    assert.ok(bytes <= this.#store.stats().bytes);
    assert.ok(this.#held >= this.#store.stats().entries, "entries that nobody stored");
    assert.ok(ids.size <= this.#held, "vectors of entries that are gone");
  }
}
