/**
 * Runs one scenario under one policy and one seed, and keeps what happened.
 *
 * The driver does what the relay does: it sends, aborts, reports and comes back
 * with wakes, on virtual time.
 *
 * @module
 */
import { Balancer } from "../../src/balance/balancer.ts";
import {
  type Ablation,
  BALANCER_POLICY,
  NO_ABLATION,
  type PoolPolicy,
} from "../../src/balance/policy.ts";
import type {
  Attempt,
  Demand,
  DispatchAction,
  DispatchEvent,
  TargetSpec,
} from "../../src/balance/types.ts";
import type { Random } from "../../src/ports.ts";
import { demandOf } from "../support/dispatch_script.ts";
import { type Baseline, BaselineRouter, type Router, type Walk } from "./balancing_baselines.ts";
import { CALM, drawRequest, type Fault, SimBackend, type SimRequest } from "./balancing_model.ts";
import { randomFrom, VirtualTime } from "./harness.ts";

/** What is simulated. */
export interface Scenario {
  /** Its name in the table. */
  readonly name: string;
  /** Speeds of the backends; the first one gets the fault. */
  readonly speeds: readonly number[];
  /** Slots of each backend. */
  readonly slots: number;
  /** Requests a second, of all gateways. */
  readonly rate: number;
  /** Gateways, each with a balancer of its own. */
  readonly gateways: number;
  /** When it ends. */
  readonly endSeconds: number;
  /** What is wrong, by place of the backend and time. */
  readonly faultAt: (place: number, nowSeconds: number) => Fault;
  /** Differences of the targets, by place. */
  readonly target?: (place: number) => Partial<TargetSpec>;
  /** Differences of the demand. */
  readonly demand?: (request: SimRequest) => Partial<Demand>;
}

/** Who routes. */
export type Policy =
  | { readonly kind: Baseline }
  | {
    readonly kind: "weir";
    readonly pool?: Partial<PoolPolicy>;
    readonly ablation?: Partial<Ablation>;
  };

/** An attempt that was made. */
export interface AttemptRecord {
  /** When. */
  readonly atSeconds: number;
  /** To which backend. */
  readonly place: number;
  /** Session of its request. */
  readonly session: string;
}

/** A client's request that came to an end or to its first token. */
export interface ClientRecord {
  /** When it came. */
  readonly atSeconds: number;
  /** Time to its first token; `null` for an error instead. */
  ttftSeconds: number | null;
  /** When it had failed, before or after its first token; `null` if it has not. */
  failedAtSeconds: number | null;
}

/** What happened. */
export interface Run {
  /** All attempts, in order. */
  readonly attempts: readonly AttemptRecord[];
  /** All requests, in order. */
  readonly clients: readonly ClientRecord[];
}

const FIRST_TOKEN_TIMEOUT_SECONDS = 10;
/** Requests after this are not waited for. */
const TAIL_SECONDS = 40;

const CAPABILITIES: TargetSpec["capabilities"] = {
  contextTokens: null,
  streaming: true,
  tools: true,
  vision: true,
  jsonSchema: true,
  prefill: true,
};

/** Runs it. The same arguments take the same course. */
export function run(scenario: Scenario, policy: Policy, seed: number): Run {
  return new Driver(scenario, policy, seed).run();
}

class Driver {
  readonly #scenario: Scenario;
  readonly #time = new VirtualTime();
  readonly #backends: readonly SimBackend[];
  readonly #routers: readonly Router[];
  readonly #arrivals: Random;
  readonly #attempts: AttemptRecord[] = [];
  readonly #clients: ClientRecord[] = [];

  constructor(scenario: Scenario, policy: Policy, seed: number) {
    this.#scenario = scenario;
    // Separate streams of chance: every policy meets the same requests.
    this.#arrivals = randomFrom(seed * 1000);
    this.#backends = scenario.speeds.map((speed, place) =>
      new SimBackend(this.#time, randomFrom(seed * 1000 + 1 + place), {
        speed,
        slots: scenario.slots,
        faultAt: (nowSeconds) => scenario.faultAt(place, nowSeconds),
      })
    );
    this.#routers = Array.from(
      { length: scenario.gateways },
      (_, gateway) => this.#router(policy, randomFrom(seed * 1000 + 500 + gateway)),
    );
  }

  run(): Run {
    const { endSeconds } = this.#scenario;
    this.#arriveLater();
    this.#time.runUntil((endSeconds + TAIL_SECONDS) * 1000);
    return { attempts: this.#attempts, clients: this.#clients };
  }

  #router(policy: Policy, random: Random): Router {
    const { speeds, target } = this.#scenario;
    const targets = speeds.map((_, place): TargetSpec => ({
      key: String(place),
      backend: `backend-${place}`,
      model: "chat",
      weight: 1,
      tier: 0,
      maxConcurrency: null,
      hedge: true,
      capabilities: CAPABILITIES,
      ...target?.(place),
    }));
    if (policy.kind !== "weir") {
      return new BaselineRouter(policy.kind, targets, this.#backends, random);
    }
    const ablation = { ...NO_ABLATION, ...policy.ablation };
    const balancer = new Balancer(random, { ...BALANCER_POLICY, ablation });
    return balancer.pool("chat", targets, policy.pool, 0);
  }

  #arriveLater(): void {
    const { rate, endSeconds } = this.#scenario;
    const delaySeconds = -Math.log(1 - this.#arrivals()) / rate;
    this.#time.after(delaySeconds * 1000, () => {
      if (this.#time.nowSeconds() >= endSeconds) return;
      this.#arrive();
      this.#arriveLater();
    });
  }

  #arrive(): void {
    const request = drawRequest(this.#arrivals);
    const router = this.#routers[Math.floor(this.#arrivals() * this.#routers.length)];
    if (router === undefined) throw new RangeError("Cannot simulate: there is no gateway");
    const demand = demandOf({
      promptTokens: request.promptTokens,
      ...this.#scenario.demand?.(request),
    });
    const nowSeconds = this.#time.nowSeconds();
    const client: ClientRecord = {
      atSeconds: nowSeconds,
      ttftSeconds: null,
      failedAtSeconds: null,
    };
    this.#clients.push(client);
    const walk = router.dispatch(demand, nowSeconds);
    new Relay({
      time: this.#time,
      request,
      client,
      walk,
      backends: this.#backends,
      attempts: this.#attempts,
    }).act(walk.start(nowSeconds));
  }
}

/** One request's shell: carries out what the walk says. */
class Relay {
  readonly #world: {
    readonly time: VirtualTime;
    readonly request: SimRequest;
    readonly client: ClientRecord;
    readonly walk: Walk;
    readonly backends: readonly SimBackend[];
    readonly attempts: AttemptRecord[];
  };
  readonly #cancels = new Map<number, () => void>();
  #wake: Disposable | null = null;

  constructor(world: typeof Relay.prototype.world) {
    this.#world = world;
  }

  /** What it works on. */
  get world() {
    return this.#world;
  }

  act(actions: readonly DispatchAction[]): void {
    const { time, client } = this.#world;
    for (const action of actions) {
      switch (action.type) {
        case "send":
          this.#send(action.attempt);
          break;
        case "abort":
          this.#cancels.get(action.attempt.id)?.();
          break;
        case "wake": {
          this.#wake?.[Symbol.dispose]();
          const delayMs = action.atSeconds * 1000 - time.nowMs();
          this.#wake = time.after(delayMs, () => this.#report({ type: "wake" }));
          break;
        }
        case "give_up":
          client.failedAtSeconds = time.nowSeconds();
          break;
      }
    }
  }

  #report(event: DispatchEvent): void {
    this.act(this.#world.walk.step(event, this.#world.time.nowSeconds()));
  }

  #send(attempt: Attempt): void {
    const { time, request, client, backends, attempts } = this.#world;
    const place = Number(attempt.target.key);
    attempts.push({ atSeconds: time.nowSeconds(), place, session: request.session });
    const timeout = time.after(FIRST_TOKEN_TIMEOUT_SECONDS * 1000, () => {
      this.#cancels.get(attempt.id)?.();
      const reason = "first_token_timeout";
      const failure = { reason, status: null, retryAfterSeconds: null } as const;
      this.#report({ type: "failed", attempt, failure });
    });
    const cancel = backends[place]?.start(request, {
      firstToken: () => {
        timeout[Symbol.dispose]();
        client.ttftSeconds ??= time.nowSeconds() - client.atSeconds;
        this.#report({ type: "first_token", attempt });
      },
      finished: (decodeSeconds) => {
        const { answerTokens: tokens } = request;
        this.#report({ type: "finished", attempt, tokens, decodeSeconds, promptTokens: null });
      },
      failed: (failure) => {
        timeout[Symbol.dispose]();
        this.#report({ type: "failed", attempt, failure });
      },
    });
    this.#cancels.set(attempt.id, () => {
      timeout[Symbol.dispose]();
      cancel?.();
    });
  }
}

/** No fault, ever. */
export function calm(): Fault {
  return CALM;
}
