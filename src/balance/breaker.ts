/**
 * A circuit breaker for one target, in one gateway process.
 *
 *               5 failures in a row, or half of >= 10 in 30 s
 *     closed ----------------------------------------------> open
 *       ^                                                  ^    | its time is over,
 *       | min(5, trips + 1)                        failure |    | or a success in panic
 *       | successes                                        |    v
 *       +------------------------------------------------ half-open (one probe in flight)
 *
 * The estimate isolates a bad backend by itself; the breaker is there for the
 * way back: it asks with single requests and closes with a clean estimate.
 *
 * Invariant: each change of state adds 1 to the epoch. An outcome counts only
 * in the epoch its attempt began in, so that no straggler closes or reopens.
 *
 * @module
 */
import type { Random } from "../ports.ts";
import { doublingSeconds } from "./backoff.ts";
import type { BalancerPolicy } from "./policy.ts";

/** Where a breaker stands. */
export type BreakerPhase = "closed" | "open" | "half_open";

const BUCKETS = 10;

/** Failures and outcomes of the last window, in 10 buckets with exact counts. */
class OutcomeWindow {
  readonly #bucketSeconds: number;
  readonly #failures = new Uint32Array(BUCKETS);
  readonly #outcomes = new Uint32Array(BUCKETS);
  #bucket = 0;

  constructor(windowSeconds: number) {
    this.#bucketSeconds = windowSeconds / BUCKETS;
  }

  add(failed: boolean, nowSeconds: number): void {
    this.#advance(nowSeconds);
    const slot = this.#bucket % BUCKETS;
    this.#outcomes[slot] = (this.#outcomes[slot] ?? 0) + 1;
    if (failed) this.#failures[slot] = (this.#failures[slot] ?? 0) + 1;
  }

  exceeds(share: number, outcomesMin: number): boolean {
    let failures = 0;
    let outcomes = 0;
    for (let slot = 0; slot < BUCKETS; slot++) {
      failures += this.#failures[slot] ?? 0;
      outcomes += this.#outcomes[slot] ?? 0;
    }
    return outcomes >= outcomesMin && failures >= share * outcomes;
  }

  clear(): void {
    this.#failures.fill(0);
    this.#outcomes.fill(0);
  }

  #advance(nowSeconds: number): void {
    const bucket = Math.floor(nowSeconds / this.#bucketSeconds);
    if (bucket - this.#bucket >= BUCKETS) this.clear();
    else {
      for (let passed = this.#bucket + 1; passed <= bucket; passed++) {
        this.#failures[passed % BUCKETS] = 0;
        this.#outcomes[passed % BUCKETS] = 0;
      }
    }
    this.#bucket = Math.max(this.#bucket, bucket);
  }
}

/** One breaker. */
export class Breaker {
  readonly #policy: BalancerPolicy;
  readonly #random: Random;
  readonly #window: OutcomeWindow;
  #phase: BreakerPhase = "closed";
  #epoch = 0;
  #trips = 0;
  #failuresInRow = 0;
  #openUntilSeconds = 0;
  #closedAtSeconds = Number.NEGATIVE_INFINITY;
  #probing = false;
  #probesPassed = 0;

  /** Starts closed, with nothing seen. */
  constructor(policy: BalancerPolicy, random: Random) {
    this.#policy = policy;
    this.#random = random;
    this.#window = new OutcomeWindow(policy.windowSeconds);
  }

  /** Grows by one at each change of state; attempts carry the one they began in. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Trips in a row. */
  get trips(): number {
    return this.#trips;
  }

  /** Where it stands now. An open breaker whose time is over becomes half-open here. */
  phase(nowSeconds: number): BreakerPhase {
    if (this.#phase === "open" && nowSeconds >= this.#openUntilSeconds) this.#halfOpen();
    return this.#phase;
  }

  /** Trips that still count, for those who look: 0 once closed for long enough. */
  tripsNow(nowSeconds: number): number {
    return this.#forgets(nowSeconds) ? 0 : this.#trips;
  }

  /** Seconds until it lets a probe through; 0 unless open. */
  openSeconds(nowSeconds: number): number {
    return this.phase(nowSeconds) === "open" ? this.#openUntilSeconds - nowSeconds : 0;
  }

  /** Whether half-open with its one probe slot free. */
  probeFree(nowSeconds: number): boolean {
    return this.phase(nowSeconds) === "half_open" && !this.#probing;
  }

  /** Takes the probe slot; the caller has seen it free. */
  takeProbe(): void {
    this.#probing = true;
  }

  /** Gives the probe slot back without an outcome. */
  releaseProbe(epoch: number): void {
    if (epoch === this.#epoch) this.#probing = false;
  }

  /**
   * Counts a first token.
   *
   * @returns Whether this closed the breaker.
   */
  success(epoch: number, nowSeconds: number): boolean {
    if (epoch !== this.#epoch) return false;
    switch (this.#phase) {
      case "closed":
        this.#failuresInRow = 0;
        this.#window.add(false, nowSeconds);
        return false;
      case "open": // Only a request in panic gets here.
        this.#halfOpen();
        return false;
      case "half_open":
        this.#probing = false;
        this.#probesPassed++;
        if (this.#probesPassed < Math.min(this.#policy.probesMax, this.#trips + 1)) return false;
        this.#close(nowSeconds);
        return true;
    }
  }

  /**
   * Counts a failure.
   *
   * @param retryAfterSeconds What a 503 asked for, or `null`.
   */
  failure(epoch: number, nowSeconds: number, retryAfterSeconds: number | null): void {
    if (epoch !== this.#epoch || this.#policy.ablation.breaker) return;
    if (this.#phase === "half_open") return this.#open(nowSeconds, retryAfterSeconds);
    if (this.#phase === "open") return; // In panic; the time it stays open is set.
    this.#failuresInRow++;
    this.#window.add(true, nowSeconds);
    const { failuresInRow, failureShare, outcomesMin } = this.#policy;
    if (
      this.#failuresInRow >= failuresInRow || this.#window.exceeds(failureShare, outcomesMin)
    ) {
      if (this.#forgets(nowSeconds)) this.#trips = 0;
      this.#open(nowSeconds, retryAfterSeconds);
    }
  }

  #forgets(nowSeconds: number): boolean {
    return this.#phase === "closed" &&
      nowSeconds - this.#closedAtSeconds >= this.#policy.tripsForgottenSeconds;
  }

  #open(nowSeconds: number, retryAfterSeconds: number | null): void {
    const { openBaseSeconds, openMaxSeconds, retryAfterMaxSeconds } = this.#policy;
    this.#trips++;
    const bounds = { baseSeconds: openBaseSeconds, maxSeconds: openMaxSeconds };
    const openSeconds = Math.max(
      doublingSeconds(this.#trips, bounds, this.#random()),
      Math.min(retryAfterSeconds ?? 0, retryAfterMaxSeconds),
    );
    this.#move("open");
    this.#openUntilSeconds = nowSeconds + openSeconds;
  }

  #halfOpen(): void {
    this.#move("half_open");
    this.#probesPassed = 0;
  }

  #close(nowSeconds: number): void {
    this.#move("closed");
    this.#closedAtSeconds = nowSeconds;
    this.#failuresInRow = 0;
    this.#window.clear();
  }

  #move(phase: BreakerPhase): void {
    this.#phase = phase;
    this.#epoch++;
    this.#probing = false;
  }
}
