/**
 * A breaker with its clock: lets calls through and counts each outcome once.
 *
 * @module
 */
import type { Clock } from "../ports.ts";
import {
  admitCall,
  CLOSED_BREAKER,
  type EmbedBreaker,
  type EmbedBreakerPhase,
  type EmbedBreakerPolicy,
  settleCall,
} from "./embed_breaker.ts";

/** Tells how a call ended; only the first time counts. */
export type Settle = (ok: boolean, retryAfterMs?: number | null) => void;

/** What an {@linkcode EmbedGuard} needs. */
export interface EmbedGuardOptions {
  /** Measures how long the breaker stays open. */
  readonly clock: Clock;
  /** When it opens, and for how long. */
  readonly policy: EmbedBreakerPolicy;
  /** Told of each change of phase. */
  readonly onPhase: (phase: EmbedBreakerPhase) => void;
}

/** One breaker. */
export class EmbedGuard {
  readonly #options: EmbedGuardOptions;
  #breaker: EmbedBreaker = CLOSED_BREAKER;

  /** Starts closed. */
  constructor(options: EmbedGuardOptions) {
    this.#options = options;
  }

  /** Where the breaker stands. */
  get phase(): EmbedBreakerPhase {
    return this.#breaker.phase;
  }

  /** Whether a call would be let through now. */
  get admits(): boolean {
    return admitCall(this.#breaker, this.#options.clock.nowMs()) !== null;
  }

  /** Lets a call through, or gives `null`. */
  admit(): Settle | null {
    const { clock, policy } = this.#options;
    const admitted = admitCall(this.#breaker, clock.nowMs());
    if (admitted === null) return null;
    this.#move(admitted);
    const { epoch } = admitted;
    let settled = false;
    return (ok, retryAfterMs = null) => {
      if (settled) return;
      settled = true;
      const outcome = { ok, epoch, nowMs: clock.nowMs(), retryAfterMs };
      this.#move(settleCall(this.#breaker, outcome, policy));
    };
  }

  #move(next: EmbedBreaker): void {
    const moved = next.epoch !== this.#breaker.epoch;
    this.#breaker = next;
    if (moved) this.#options.onPhase(next.phase);
  }
}
