/**
 * Plays one request against a pool, event by event, for tests of the balancer.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Balancer } from "../../src/balance/balancer.ts";
import type { Dispatch } from "../../src/balance/dispatch.ts";
import type { BalancerPolicy, PoolPolicy } from "../../src/balance/policy.ts";
import type { Pool } from "../../src/balance/pool.ts";
import type {
  Attempt,
  Demand,
  DispatchAction,
  DispatchEvent,
  Failure,
  FailureReason,
  TargetSnapshot,
  TargetSpec,
} from "../../src/balance/types.ts";

/** A plain request for a stream, with these differences. */
export function demandOf(differences: Partial<Demand> = {}): Demand {
  return {
    promptTokens: 800,
    answerTokensMax: 0,
    streaming: true,
    tools: false,
    vision: false,
    jsonSchema: false,
    replayable: true,
    continuable: false,
    affinityKey: null,
    deadlineSeconds: null,
    ...differences,
  };
}

/** A target that can do everything; `name` is its key, its backend and its model. */
export function targetOf(
  name: string,
  differences: Partial<TargetSpec> = {},
): TargetSpec {
  return {
    key: name,
    backend: name,
    model: name,
    weight: 1,
    tier: 0,
    maxConcurrency: null,
    hedge: true,
    capabilities: {
      contextTokens: null,
      streaming: true,
      tools: true,
      vision: true,
      jsonSchema: true,
      prefill: true,
    },
    ...differences,
  };
}

/** A failure; the status is 500 for `status_5xx` where none is given. */
export function failureOf(
  reason: FailureReason,
  differences: Partial<Failure> = {},
): Failure {
  const status = reason === "status_5xx" ? 500 : reason === "rate_limited" ? 429 : null;
  return { reason, status, retryAfterSeconds: null, ...differences };
}

/** What a script plays on. */
export interface Stage {
  /** Targets of the pool. */
  readonly targets: readonly TargetSpec[];
  /** The pool's policy where it differs from the default. */
  readonly policy?: Partial<PoolPolicy>;
  /** The balancer's policy where it differs from the default. */
  readonly balancerPolicy?: Partial<BalancerPolicy>;
  /** Every random number; 0.5 where not given. */
  readonly chance?: number;
}

/** A pool and the time, shared by the requests played on it. */
export class Theatre {
  /** The balancer. */
  readonly balancer: Balancer;
  /** The pool, named `chat`. */
  readonly pool: Pool;
  /** The present. */
  nowSeconds = 0;

  /** Sets the stage at time 0. */
  constructor(stage: Stage) {
    this.balancer = new Balancer(
      () => stage.chance ?? 0.5,
      stage.balancerPolicy,
    );
    this.pool = this.balancer.pool("chat", stage.targets, stage.policy, 0);
  }

  /** Starts a request. */
  request(differences: Partial<Demand> = {}): Script {
    return new Script(
      this,
      this.pool.dispatch(demandOf(differences), this.nowSeconds),
    );
  }

  /** Plays a request that is answered well after `seconds`, wherever it goes. */
  answer(seconds: number, differences: Partial<Demand> = {}): void {
    const script = this.request(differences);
    this.nowSeconds += seconds;
    script.firstToken();
    script.finish();
  }

  /** Plays five requests that a target refuses, all others drained: its breaker is open then. */
  trip(name: string): void {
    const others = this.pool.members.filter(({ spec, state }) =>
      spec.key !== name && !state.draining
    );
    for (const { spec } of others) this.balancer.drain(spec.key, true);
    for (let i = 0; i < 5; i++) {
      const script = this.request();
      assert.equal(script.sent, name);
      script.fail("refused").cancel();
    }
    for (const { spec } of others) this.balancer.drain(spec.key, false);
    assert.equal(this.snapshot(name).breaker, "open");
  }

  /** How a target looks now. */
  snapshot(name: string): TargetSnapshot {
    const found = this.balancer.snapshots(this.nowSeconds).find(({ backend }) => backend === name);
    if (found === undefined) {
      throw new RangeError(`Cannot look at ${name}: no such target`);
    }
    return found;
  }
}

/** One request, with what it has been told to do. */
export class Script {
  readonly #theatre: Theatre;
  readonly #dispatch: Dispatch;
  #attempt: Attempt | null = null;
  /** Actions of the last step. */
  actions: DispatchAction[];

  /** Made by {@linkcode Theatre.request}. */
  constructor(theatre: Theatre, dispatch: Dispatch) {
    this.#theatre = theatre;
    this.#dispatch = dispatch;
    this.actions = dispatch.start(theatre.nowSeconds);
    this.#remember();
  }

  /** Attempts so far. */
  get attempts(): number {
    return this.#dispatch.attempts;
  }

  /** The last attempt that was sent. */
  get attempt(): Attempt {
    if (this.#attempt === null) {
      throw new Error("Cannot go on: nothing was sent");
    }
    return this.#attempt;
  }

  /** Backend that the last step sent to, or `null`. */
  get sent(): string | null {
    const send = this.actions.find((action) => action.type === "send");
    return send?.type === "send" ? send.attempt.target.backend : null;
  }

  /** Backends that the last step aborted. */
  get aborted(): string[] {
    return this.actions.flatMap((action) =>
      action.type === "abort" ? [action.attempt.target.backend] : []
    );
  }

  /** Time until the wake that the last step asked for, or `null`. */
  get wakeSeconds(): number | null {
    const wake = this.actions.find((action) => action.type === "wake");
    return wake?.type === "wake" ? wake.atSeconds - this.#theatre.nowSeconds : null;
  }

  /** The give-up of the last step, or `null`. */
  get gaveUp(): Extract<DispatchAction, { type: "give_up" }> | null {
    const action = this.actions.find(({ type }) => type === "give_up");
    return action?.type === "give_up" ? action : null;
  }

  /** Reports the first token, of the last attempt where no other is named. */
  firstToken(attempt: Attempt = this.attempt): this {
    return this.step({ type: "first_token", attempt });
  }

  /** Reports a failure, of the last attempt where no other is named. */
  fail(
    reason: FailureReason,
    differences: Partial<Failure> = {},
    attempt: Attempt = this.attempt,
  ): this {
    return this.step({
      type: "failed",
      attempt,
      failure: failureOf(reason, differences),
    });
  }

  /** Reports the end of the last attempt. */
  finish(
    answer: {
      readonly tokens?: number;
      readonly decodeSeconds?: number | null;
    } = {},
  ): this {
    const { tokens = 100, decodeSeconds = 99 * 0.02 } = answer;
    const { attempt } = this;
    return this.step({
      type: "finished",
      attempt,
      tokens,
      decodeSeconds,
      promptTokens: null,
    });
  }

  /** Reports that the client left. */
  cancel(): this {
    return this.step({ type: "cancelled" });
  }

  /** Lets time pass and comes back with the wake. */
  wakeAfter(seconds: number): this {
    this.#theatre.nowSeconds += seconds;
    return this.step({ type: "wake" });
  }

  /** Reports any event now. */
  step(event: DispatchEvent): this {
    this.actions = this.#dispatch.step(event, this.#theatre.nowSeconds);
    this.#remember();
    return this;
  }

  #remember(): void {
    for (const action of this.actions) {
      if (action.type === "send") this.#attempt = action.attempt;
    }
  }
}
