/**
 * All that is known about one target: latency, load, breaker, cooldown.
 *
 * Pools that name the same key share one state. Every attempt is opened here
 * when it is picked and settled here exactly once.
 *
 * @module
 */
import type { Random } from "../ports.ts";
import { doublingSeconds } from "./backoff.ts";
import { Breaker } from "./breaker.ts";
import { DecayedMean } from "./decayed_mean.ts";
import { failureSample, PeakEwma } from "./peak_ewma.ts";
import type { BalancerPolicy } from "./policy.ts";
import { slowStart } from "./cost.ts";

/** Waiting attempts that silence looks at, oldest first: bounds the time of a pick. */
const SILENT_ATTEMPTS = 4;
const COOLDOWN_BASE_SECONDS = 1;

/** What a state keeps about an attempt in flight. */
export class Flight {
  /** When it was picked. */
  readonly startedSeconds: number;
  /** Prompt factor at that time: what its silence is divided by. */
  readonly factor: number;
  /** Epoch of the breaker at that time. */
  readonly epoch: number;
  /** Whether it holds the probe slot, or was sent although the breaker is open. */
  readonly admission: "normal" | "probe" | "panic";
  /** In flight with no first token yet. */
  waiting = true;
  /** In flight. */
  live = true;
  /** Neighbours in the list of waiting attempts, oldest first. */
  previous: Flight | null = null;
  /** See {@linkcode previous}. */
  next: Flight | null = null;

  /** Made by {@linkcode TargetState.open}. */
  constructor(
    at: { readonly startedSeconds: number; readonly factor: number; readonly epoch: number },
    admission: "normal" | "probe" | "panic",
  ) {
    this.startedSeconds = at.startedSeconds;
    this.factor = at.factor;
    this.epoch = at.epoch;
    this.admission = admission;
  }
}

/** Measured state of one target. */
export class TargetState {
  /** Identity, as in its specification. */
  readonly key: string;
  /** Decaying peak of normalised first-token latencies. */
  readonly latency: PeakEwma;
  /** Usual first-token latency: successes only. */
  readonly usual: DecayedMean;
  /** Seconds a token while decoding. */
  readonly decode: DecayedMean;
  /** Its breaker. */
  readonly breaker: Breaker;
  /** Attempts in flight, from pick until settled. */
  inFlight = 0;
  /** Those of them that were sent although the breaker is not closed. */
  panicInFlight = 0;
  /** Takes no new attempts. */
  draining = false;
  /** End of the cooldown after a 429. */
  cooldownUntilSeconds = Number.NEGATIVE_INFINITY;
  /** Until then the backend is not asked for this model. */
  missingUntilSeconds = Number.NEGATIVE_INFINITY;

  readonly #policy: BalancerPolicy;
  readonly #random: Random;
  #slowSinceSeconds: number;
  #lastFirstTokenSeconds = Number.NEGATIVE_INFINITY;
  #rateLimitsInRow = 0;
  /** Successes since the last failure, while the estimate is still a failure's. */
  #healthyInRow = Number.POSITIVE_INFINITY;
  #healthyPeakSeconds = 0;
  /** Streams in a row that decoded much faster than usual. */
  #briskInRow = 0;
  #briskPeakSeconds = 0;
  #oldest: Flight | null = null;
  #newest: Flight | null = null;

  /**
   * A target nothing is known about.
   *
   * @param joinedSeconds Where slow start begins; minus infinity for none.
   */
  constructor(key: string, policy: BalancerPolicy, random: Random, joinedSeconds: number) {
    this.key = key;
    this.latency = new PeakEwma(policy.decaySeconds);
    this.usual = new DecayedMean(policy.meanDecaySeconds);
    this.decode = new DecayedMean(policy.meanDecaySeconds);
    this.breaker = new Breaker(policy, random);
    this.#policy = policy;
    this.#random = random;
    this.#slowSinceSeconds = joinedSeconds;
  }

  /** Slow-start factor, 0.1 to 1. */
  slowStart(nowSeconds: number): number {
    return slowStart(nowSeconds - this.#slowSinceSeconds, this.#policy.slowStartSeconds);
  }

  /**
   * How long nothing came although somebody waits, normalised; 0 if nobody waits.
   *
   * The worst of the attempts that wait longest, a few of them: a long prompt in
   * front would else hide the silence behind it.
   */
  silenceSeconds(nowSeconds: number): number {
    if (this.#policy.ablation.silence) return 0;
    let silence = 0;
    let flight = this.#oldest;
    for (let i = 0; flight !== null && i < SILENT_ATTEMPTS; i++, flight = flight.next) {
      const since = Math.max(flight.startedSeconds, this.#lastFirstTokenSeconds);
      silence = Math.max(silence, (nowSeconds - since) / flight.factor);
    }
    return silence;
  }

  /**
   * Effective latency: the worse of estimate and silence.
   *
   * A target that never answered counts as usual at least. Otherwise one that
   * only ever failed would fade towards 0 and attract what it cannot serve.
   */
  latencySeconds(baselineSeconds: number, nowSeconds: number): number {
    const known = Math.max(this.latency.read(nowSeconds), this.silenceSeconds(nowSeconds));
    return this.usual.empty ? Math.max(known, baselineSeconds) : known;
  }

  /** Opens an attempt. */
  open(factor: number, admission: Flight["admission"], nowSeconds: number): Flight {
    const epoch = this.breaker.epoch;
    const flight = new Flight({ startedSeconds: nowSeconds, factor, epoch }, admission);
    if (admission === "probe") this.breaker.takeProbe();
    if (admission === "panic") this.panicInFlight++;
    this.inFlight++;
    flight.previous = this.#newest;
    if (this.#newest === null) this.#oldest = flight;
    else this.#newest.next = flight;
    this.#newest = flight;
    return flight;
  }

  /** The first token arrived: a success, whatever comes later. */
  firstToken(flight: Flight, baselineSeconds: number, nowSeconds: number): void {
    this.#stopWaiting(flight);
    this.#lastFirstTokenSeconds = nowSeconds;
    this.#rateLimitsInRow = 0;
    if (!this.breaker.success(flight.epoch, nowSeconds)) return;
    this.latency.reset(baselineSeconds, nowSeconds);
    this.decode.reset(Number.NaN, nowSeconds);
    this.#slowSinceSeconds = nowSeconds;
  }

  /**
   * Folds a normalised first-token latency in.
   *
   * As many successes in a row as it takes failures to open a breaker clear what
   * failures have put on the estimate: it becomes the slowest of these successes.
   * Otherwise a target that recovered while its breaker was closed would wait for
   * the penalty to fade, half a minute after five doublings.
   */
  observe(sampleSeconds: number, nowSeconds: number): void {
    this.usual.observe(sampleSeconds, nowSeconds);
    this.#healthyInRow++;
    this.#healthyPeakSeconds = Math.max(this.#healthyPeakSeconds, sampleSeconds);
    if (this.#healthyInRow === this.#policy.failuresInRow) {
      this.latency.reset(this.#healthyPeakSeconds, nowSeconds);
    } else {
      this.latency.observe(sampleSeconds, nowSeconds);
    }
  }

  /**
   * Folds a time a token in.
   *
   * Several in a row below half of the mean replace it: a backend that crawled
   * gets too few streams afterwards for a mean over time to come down.
   */
  observeDecode(tokenSeconds: number, nowSeconds: number): void {
    const isBrisk = tokenSeconds < this.decode.value / 2;
    this.#briskInRow = isBrisk ? this.#briskInRow + 1 : 0;
    this.#briskPeakSeconds = isBrisk ? Math.max(this.#briskPeakSeconds, tokenSeconds) : 0;
    if (this.#briskInRow < this.#policy.failuresInRow) {
      return this.decode.observe(tokenSeconds, nowSeconds);
    }
    this.decode.reset(this.#briskPeakSeconds, nowSeconds);
    this.#briskInRow = 0;
    this.#briskPeakSeconds = 0;
  }

  /** The attempt is over; what it showed is counted by the methods below. */
  close(flight: Flight): void {
    if (!flight.live) return;
    this.#stopWaiting(flight);
    flight.live = false;
    this.inFlight--;
    if (flight.admission === "panic") this.panicInFlight--;
  }

  /**
   * The estimate takes a failure; to be called after {@linkcode close}, so that
   * the attempt's own silence is not doubled.
   *
   * @param elapsedSeconds How long it waited for a first token, normalised.
   */
  slowDown(elapsedSeconds: number, baselineSeconds: number, nowSeconds: number): void {
    if (this.#policy.ablation.doubling) return;
    const latencySeconds = this.latencySeconds(baselineSeconds, nowSeconds);
    const maxSeconds = this.#policy.failureMaxSeconds;
    const evidence = { elapsedSeconds, latencySeconds, baselineSeconds, maxSeconds };
    this.latency.observe(failureSample(evidence), nowSeconds);
    this.#healthyInRow = 0;
    this.#healthyPeakSeconds = 0;
  }

  /** A cancelled attempt shows that the latency is at least this: it may raise, never lower. */
  atLeast(elapsedSeconds: number, nowSeconds: number): void {
    if (elapsedSeconds > this.latency.read(nowSeconds)) {
      this.latency.observe(elapsedSeconds, nowSeconds);
    }
  }

  /** Whether any first token came since this time. */
  answeredSince(startedSeconds: number): boolean {
    return this.#lastFirstTokenSeconds >= startedSeconds;
  }

  /** A 429: stays out for as long as it says, or for a doubling time. The later end wins. */
  coolDown(retryAfterSeconds: number | null, nowSeconds: number): void {
    this.#rateLimitsInRow++;
    const bounds = {
      baseSeconds: COOLDOWN_BASE_SECONDS,
      maxSeconds: this.#policy.cooldownMaxSeconds,
    };
    const seconds = retryAfterSeconds === null
      ? doublingSeconds(this.#rateLimitsInRow, bounds, this.#random())
      : Math.min(retryAfterSeconds, this.#policy.retryAfterMaxSeconds);
    this.cooldownUntilSeconds = Math.max(this.cooldownUntilSeconds, nowSeconds + seconds);
  }

  #stopWaiting(flight: Flight): void {
    if (!flight.waiting) return;
    flight.waiting = false;
    if (flight.previous === null) this.#oldest = flight.next;
    else flight.previous.next = flight.next;
    if (flight.next === null) this.#newest = flight.previous;
    else flight.next.previous = flight.previous;
    flight.previous = null;
    flight.next = null;
  }
}
