/**
 * One request's walk through its attempts: retries, hedges, rescues, continuation.
 *
 *     ready --start--> waiting --first token--> answering --finished--> over
 *                      |    ^                       |
 *         failed, another   +--- broken, and may be carried on elsewhere
 *         try is left
 *
 * A pure state machine: the caller sends and aborts as told, and reports what
 * happened. All accounting is done here, so it is right however a request ends:
 * every attempt is settled exactly once, and events of a settled one are ignored.
 *
 * Of several live attempts the first one to bring a token wins; the others are
 * settled and aborted in the same step.
 *
 * @module
 */
import { wholeAnswerSample } from "./cost.ts";
import { isCooling, type Member, type Seeker, TIMER_SLACK_SECONDS } from "./member.ts";
import { outcomeOf } from "./outcome.ts";
import type { Pool } from "./pool.ts";
import { isUsable, planRetry, type RetryPlan } from "./retry_plan.ts";
import type { Flight } from "./target_state.ts";
import type {
  Attempt,
  AttemptKind,
  Demand,
  DispatchAction,
  DispatchEvent,
  Failure,
} from "./types.ts";

const DECODE_TOKENS_MIN = 8;

/** An attempt with all that the dispatch keeps about it. */
interface Leg {
  readonly attempt: Attempt;
  readonly member: Member;
  readonly flight: Flight;
  failure: Failure | null;
  failedAtSeconds: number;
  /** Time to the first token, not normalised; `null` before it. */
  firstTokenSeconds: number | null;
}

/** One request. */
export class Dispatch implements Seeker {
  /** What the request asks of a target. */
  readonly demand: Demand;
  /** Hash of its affinity key; `null` for none. */
  readonly keyHash: number | null;

  readonly #pool: Pool;
  readonly #legs: Leg[] = [];
  #phase: "ready" | "waiting" | "answering" | "over" = "ready";
  #continuing = false;
  #retries = 0;
  /** A second copy was sent; there is one a request. */
  #duplicated = false;
  /** When to send it. */
  #duplicateAtSeconds: number | null = null;
  #plan: RetryPlan | null = null;
  /** The wake that the caller has been told last and not come back from. */
  #wakeAtSeconds: number | null = null;

  /** Made by `Pool.dispatch`. */
  constructor(pool: Pool, demand: Demand, keyHash: number | null) {
    this.#pool = pool;
    this.demand = demand;
    this.keyHash = keyHash;
  }

  /** Attempts sent so far. */
  get attempts(): number {
    return this.#legs.length;
  }

  /**
   * Makes the first attempt, or says that there is none to make.
   *
   * @throws {TypeError} If called twice.
   */
  start(nowSeconds: number): DispatchAction[] {
    if (this.#phase !== "ready") {
      throw new TypeError("Cannot start: the dispatch was started before");
    }
    const pool = this.#pool;
    pool.memory.retries.request(nowSeconds);
    pool.memory.hedges.request(nowSeconds);
    this.#phase = "waiting";
    const actions: DispatchAction[] = [];
    const member = pool.pick(this, pool.ranks, nowSeconds);
    const panicked = member === null ? pool.pickPanic(this, nowSeconds) : null;
    if (member !== null) this.#send(member, "first", actions, nowSeconds);
    else if (panicked !== null) this.#send(panicked, "first", actions, nowSeconds);
    else this.#refuse(actions, nowSeconds);
    return this.#withWake(actions, nowSeconds);
  }

  /** Takes in what happened and says what to do; events of settled attempts change nothing. */
  step(event: DispatchEvent, nowSeconds: number): DispatchAction[] {
    const actions: DispatchAction[] = [];
    if (event.type === "wake") this.#wakeAtSeconds = null;
    if (this.#phase === "over") return actions;
    switch (event.type) {
      case "first_token":
        this.#firstToken(this.#live(event.attempt), actions, nowSeconds);
        break;
      case "failed":
        this.#failed(this.#live(event.attempt), event.failure, actions, nowSeconds);
        break;
      case "finished":
        this.#finished(event, actions, nowSeconds);
        break;
      case "cancelled":
        this.#cancel(actions, nowSeconds);
        break;
      case "wake":
        this.#wake(actions, nowSeconds);
        break;
    }
    return this.#withWake(actions, nowSeconds);
  }

  /** Whether the request was there already, or knows that the target would refuse it. */
  excludes(member: Member): boolean {
    for (const { member: tried, failure } of this.#legs) {
      if (tried === member) return true;
      if (failure === null) continue;
      const { retry } = outcomeOf(failure.reason);
      if (retry === "backend" && tried.spec.backend === member.spec.backend) return true;
      if (retry === "model" && !holdsMore(tried, member)) return true;
    }
    return false;
  }

  #live(attempt: Attempt): Leg | null {
    const leg = this.#legs[attempt.id - 1];
    return leg?.flight.live ? leg : null;
  }

  #send(
    member: Member,
    kind: AttemptKind,
    actions: DispatchAction[],
    nowSeconds: number,
  ): void {
    const pool = this.#pool;
    const admission = this.#admission(member, nowSeconds);
    const factor = pool.factor(this.demand.promptTokens);
    const attempt: Attempt = {
      id: this.#legs.length + 1,
      target: member.spec,
      kind,
      startedSeconds: nowSeconds,
    };
    const flight = member.state.open(factor, admission, nowSeconds);
    const leg = { attempt, member, flight, failure: null, failedAtSeconds: 0 };
    this.#legs.push({ ...leg, firstTokenSeconds: null });
    actions.push({ type: "send", attempt });
    this.#duplicateAtSeconds = kind === "hedge" || kind === "rescue"
      ? null
      : this.#duplicateTime(leg, nowSeconds);
  }

  #admission(member: Member, nowSeconds: number): Flight["admission"] {
    const { breaker } = member.state;
    if (breaker.phase(nowSeconds) === "closed") return "normal";
    return this.demand.replayable && breaker.probeFree(nowSeconds) ? "probe" : "panic";
  }

  /** When a second copy is due: a rescue for a probe, else a hedge; `null` for neither. */
  #duplicateTime(leg: Pick<Leg, "flight" | "member">, nowSeconds: number): number | null {
    if (this.#duplicated || !this.demand.replayable || this.#continuing) return null;
    const { policy, balancerPolicy } = this.#pool;
    const { admission } = leg.flight;
    const usual = this.#pool.hedgeDelaySeconds(this.demand.promptTokens, nowSeconds);
    if (admission === "probe") {
      if (balancerPolicy.ablation.rescue) return null;
      return nowSeconds + Math.min(balancerPolicy.rescueMaxSeconds, usual ?? Infinity);
    }
    // A whole answer takes longer than a first token: its lateness says nothing yet.
    const hedges = policy.hedging && this.demand.streaming && admission === "normal" &&
      leg.member.spec.hedge && usual !== null;
    return hedges ? nowSeconds + usual : null;
  }

  #firstToken(leg: Leg | null, actions: DispatchAction[], nowSeconds: number): void {
    if (leg === null || !leg.flight.waiting) return;
    const pool = this.#pool;
    const { state } = leg.member;
    this.#phase = "answering";
    this.#plan = null;
    this.#duplicateAtSeconds = null;
    leg.firstTokenSeconds = nowSeconds - leg.flight.startedSeconds;
    state.firstToken(leg.flight, pool.baselineSeconds(nowSeconds), nowSeconds);
    if (this.demand.streaming) this.#learn(leg, leg.firstTokenSeconds, nowSeconds);
    for (const other of this.#legs) {
      if (other === leg || !other.flight.live) continue;
      this.#lose(other, leg, nowSeconds);
      actions.push({ type: "abort", attempt: other.attempt });
    }
  }

  #learn(leg: Leg, sampleSeconds: number, nowSeconds: number): void {
    const { memory } = this.#pool;
    const { promptTokens } = this.demand;
    const normalised = sampleSeconds / this.#pool.factor(promptTokens);
    leg.member.state.observe(normalised, nowSeconds);
    memory.latencies.add(normalised, nowSeconds);
    memory.fit.add(promptTokens, sampleSeconds);
  }

  /**
   * Settles an attempt that another one overtook.
   *
   * Aborting a silent attempt erases the evidence against its target, so it
   * counts as a failure if it began first and nothing came from there since.
   */
  #lose(loser: Leg, winner: Leg, nowSeconds: number): void {
    const { flight, member: { state } } = loser;
    const { balancerPolicy } = this.#pool;
    const baselineSeconds = this.#pool.baselineSeconds(nowSeconds);
    const waitedSeconds = (nowSeconds - flight.startedSeconds) / flight.factor;
    const silent = !balancerPolicy.ablation.lostHedge && loser.attempt.id < winner.attempt.id &&
      !state.answeredSince(flight.startedSeconds);
    state.close(flight);
    if (silent) state.slowDown(waitedSeconds, baselineSeconds, nowSeconds);
    else if (this.demand.streaming) state.atLeast(waitedSeconds, nowSeconds);
    // The probe's verdict is on the time as it was, for the client too waited that long.
    const failed = flight.admission === "probe"
      ? nowSeconds - flight.startedSeconds > balancerPolicy.probeLostFactor * baselineSeconds
      : silent;
    if (failed) state.breaker.failure(flight.epoch, nowSeconds, null);
    else if (flight.admission === "probe") state.breaker.releaseProbe(flight.epoch);
  }

  #failed(
    leg: Leg | null,
    failure: Failure,
    actions: DispatchAction[],
    nowSeconds: number,
  ): void {
    if (leg === null) return;
    const broke = leg.firstTokenSeconds !== null;
    this.#settleFailure(leg, failure, nowSeconds);
    if (this.#legs.some((other) => other.flight.live)) return; // A hedge or rescue may yet answer.
    this.#duplicateAtSeconds = null;
    if (broke) this.#continuing = true;
    this.#phase = "waiting";
    const final = broke && !this.demand.continuable ? leg : this.#finalFailure();
    const plan = final === null ? this.#planRetry(leg, nowSeconds) : null;
    if (plan === null) return this.#giveUp(final ?? leg, actions);
    this.#plan = plan;
    this.#retry(actions, nowSeconds);
  }

  #settleFailure(leg: Leg, failure: Failure, nowSeconds: number): void {
    const { flight, member: { state } } = leg;
    const { reason, status, retryAfterSeconds } = failure;
    const outcome = outcomeOf(reason);
    leg.failure = failure;
    leg.failedAtSeconds = nowSeconds;
    state.close(flight);
    if (outcome.slows) {
      // A stream that broke waited only for its first token: its length is no latency.
      const waitedSeconds = leg.firstTokenSeconds ?? nowSeconds - flight.startedSeconds;
      const baselineSeconds = this.#pool.baselineSeconds(nowSeconds);
      state.slowDown(waitedSeconds / flight.factor, baselineSeconds, nowSeconds);
    }
    if (reason === "rate_limited") state.coolDown(retryAfterSeconds, nowSeconds);
    if (reason === "model_missing") {
      const { modelMissingSeconds } = this.#pool.balancerPolicy;
      state.missingUntilSeconds = nowSeconds + modelMissingSeconds;
    }
    const isProbe = flight.admission === "probe";
    if (outcome.breaker === "failure" || (outcome.breaker === "rate_limited" && isProbe)) {
      state.breaker.failure(flight.epoch, nowSeconds, status === 503 ? retryAfterSeconds : null);
    } else if (isProbe) {
      state.breaker.releaseProbe(flight.epoch);
    }
  }

  /** The attempt whose failure is the request's own fault, or came too late for another try. */
  #finalFailure(): Leg | null {
    for (const leg of this.#legs) {
      if (leg.failure === null || outcomeOf(leg.failure.reason).retry !== "none") continue;
      // A continuation asks in another shape: that it is refused says nothing of the request.
      if (leg.attempt.kind !== "continuation" || leg.failure.reason === "total_timeout") return leg;
    }
    return null;
  }

  #planRetry(failed: Leg, nowSeconds: number): RetryPlan | null {
    const pool = this.#pool;
    const { failure } = failed;
    if (failure === null || this.#legs.length >= pool.policy.attemptsMax) return null;
    if (!this.demand.replayable && !outcomeOf(failure.reason).unprocessed) return null;
    const { deadlineSeconds } = this.demand;
    if (deadlineSeconds !== null && nowSeconds >= deadlineSeconds) return null;
    const plan = planRetry({
      pool,
      seeker: this,
      attempts: this.#legs,
      failed,
      continuing: this.#continuing,
      retry: this.#retries + 1,
    }, nowSeconds);
    if (plan === null || !pool.memory.retries.take(nowSeconds)) return null;
    this.#retries++;
    return plan;
  }

  /** Sends the planned retry if it is due, or if a cooldown that ended makes room for it now. */
  #retry(actions: DispatchAction[], nowSeconds: number): void {
    const plan = this.#plan;
    if (plan === null) return;
    const pool = this.#pool;
    const kind = this.#continuing ? "continuation" : "retry";
    const due = nowSeconds + TIMER_SLACK_SECONDS >= plan.atSeconds;
    if (!due && plan.again === null) return;
    let member = pool.pick(this, plan.ranks, nowSeconds);
    if (member === null && !due) return;
    if (member === null && plan.again !== null && this.#mayAskAgain(plan.again, nowSeconds)) {
      member = plan.again;
    }
    member ??= pool.pick(this, pool.ranks, nowSeconds);
    this.#plan = null;
    if (member !== null) return this.#send(member, kind, actions, nowSeconds);
    const last = this.#legs.findLast((leg) => leg.failure !== null);
    if (last !== undefined) this.#giveUp(last, actions);
  }

  /** The wait is over, but another request may have tripped or cooled the target meanwhile. */
  #mayAskAgain(member: Member, nowSeconds: number): boolean {
    return !isCooling(member.state, nowSeconds) && isUsable(member, this, nowSeconds);
  }

  #finished(
    event: Extract<DispatchEvent, { type: "finished" }>,
    actions: DispatchAction[],
    nowSeconds: number,
  ): void {
    const leg = this.#live(event.attempt);
    if (leg === null) return;
    this.#firstToken(leg, actions, nowSeconds); // An answer without content is an answer.
    const { state } = leg.member;
    const { tokens, decodeSeconds } = event;
    if (decodeSeconds !== null && tokens >= DECODE_TOKENS_MIN) {
      state.observeDecode(decodeSeconds / (tokens - 1), nowSeconds);
    }
    if (!this.demand.streaming) {
      const totalSeconds = leg.firstTokenSeconds ?? 0;
      const sample = wholeAnswerSample({ totalSeconds, tokens }, state.decode.value);
      if (sample !== null) this.#learn(leg, sample, nowSeconds);
    }
    state.close(leg.flight);
    this.#phase = "over";
  }

  #cancel(actions: DispatchAction[], nowSeconds: number): void {
    for (const leg of this.#legs) {
      const { flight, member: { state } } = leg;
      if (!flight.live) continue;
      const waited = flight.waiting && this.demand.streaming;
      state.close(flight);
      if (waited) {
        state.atLeast((nowSeconds - flight.startedSeconds) / flight.factor, nowSeconds);
      }
      if (flight.admission === "probe") state.breaker.releaseProbe(flight.epoch);
      actions.push({ type: "abort", attempt: leg.attempt });
    }
    this.#plan = null;
    this.#duplicateAtSeconds = null;
    this.#phase = "over";
  }

  #wake(actions: DispatchAction[], nowSeconds: number): void {
    const dueAt = this.#duplicateAtSeconds;
    if (dueAt !== null && nowSeconds + TIMER_SLACK_SECONDS >= dueAt) {
      this.#duplicateAtSeconds = null;
      this.#duplicate(actions, nowSeconds);
    }
    this.#retry(actions, nowSeconds);
  }

  /** Sends the second copy of the one attempt in flight, if there is a target and a budget. */
  #duplicate(actions: DispatchAction[], nowSeconds: number): void {
    const pool = this.#pool;
    const leg = this.#legs.find((other) => other.flight.waiting);
    if (leg === undefined || this.#legs.length >= pool.policy.attemptsMax) return;
    if (leg.flight.admission === "probe") {
      const rescuer = pool.pickRescue(this, nowSeconds);
      if (rescuer === null) return;
      this.#duplicated = true;
      return this.#send(rescuer, "rescue", actions, nowSeconds);
    }
    const hedge = pool.pickHedge(this, leg.member.rank, nowSeconds);
    if (hedge === null || !pool.memory.hedges.take(nowSeconds)) return;
    this.#duplicated = true;
    this.#send(hedge, "hedge", actions, nowSeconds);
  }

  #refuse(actions: DispatchAction[], nowSeconds: number): void {
    this.#phase = "over";
    if (!this.#pool.isCapable(this.demand)) {
      const code = "no_capable_target";
      actions.push({ type: "give_up", failure: null, code, retryAfterSeconds: null });
      return;
    }
    const { code, retryAfterSeconds } = this.#pool.refusal(this.demand, nowSeconds);
    actions.push({ type: "give_up", failure: null, code, retryAfterSeconds });
  }

  #giveUp({ attempt, failure }: Leg, actions: DispatchAction[]): void {
    this.#phase = "over";
    if (failure === null) return;
    const { retryAfterSeconds } = failure;
    actions.push({
      type: "give_up",
      failure: { attempt, failure },
      code: "failed",
      retryAfterSeconds,
    });
  }

  /** Adds the next wake where it differs from the one the caller has. */
  #withWake(actions: DispatchAction[], nowSeconds: number): DispatchAction[] {
    let next = this.#duplicateAtSeconds;
    const plan = this.#plan;
    if (plan !== null) {
      next = plan.atSeconds;
      const cooldownEnd = plan.again === null
        ? null
        : this.#pool.cooldownEndSeconds(this, plan.ranks, nowSeconds);
      if (cooldownEnd !== null && cooldownEnd < next) next = cooldownEnd;
    }
    if (next === null || next === this.#wakeAtSeconds) return actions;
    this.#wakeAtSeconds = next;
    actions.push({ type: "wake", atSeconds: next });
    return actions;
  }
}

/** After a prompt was too long for one target: whether another one is worth a try. */
function holdsMore(tried: Member, other: Member): boolean {
  if (tried.spec.model === other.spec.model) return false;
  const known = tried.spec.capabilities.contextTokens;
  const room = other.spec.capabilities.contextTokens;
  return room === null || known === null || room > known;
}
