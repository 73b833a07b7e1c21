/**
 * Runs of a scenario under several policies, as figures to compare.
 *
 * @module
 */
import {
  attemptsIn,
  attemptsTo,
  clientsIn,
  errorShare,
  errorsLastSeconds,
  excessSecond,
  mean,
  recoverySeconds,
  shareOf,
  type Span,
  ttftSeconds,
} from "./balancing_measures.ts";
import { type Policy, type Run, run, type Scenario } from "./balancing_run.ts";
import { FAULT_SECONDS, HEALED_SECONDS } from "./balancing_scenarios.ts";

/** Figures of one scenario under one policy, over some seeds. */
export interface Figures {
  /** Attempts to the first backend in the first 5 s of the fault, mean. */
  readonly early: number;
  /** Its share of all attempts from then to the end of the fault, mean. */
  readonly lateShare: number;
  /** 99th percentile of the time to the first token for clients that came during the fault. */
  readonly p99Seconds: number;
  /** Share of these clients that saw an error, mean. */
  readonly errors: number;
  /** The same of the worst seed. */
  readonly errorsWorst: number;
  /** Time after the fault until the first backend has 80 % of its share again, mean. */
  readonly recoverySeconds: number;
  /** The same of the worst seed. */
  readonly recoveryWorstSeconds: number;
  /** Attempts for each client during the fault, mean. */
  readonly calls: number;
  /** Shares of the backends from 20 s to the end, mean. */
  readonly shares: readonly number[];
  /** Attempts to the first backend beyond its fair share, in the worst second from 2 s on. */
  readonly excess: number;
  /** Time from the end of an outage of 10 s to the last client error, mean. */
  readonly errorsLastSeconds: number;
  /** Attempts for each client during these 10 s, mean. */
  readonly outageCalls: number;
}

const FAULT: Span = { fromSeconds: FAULT_SECONDS, toSeconds: HEALED_SECONDS };
const EARLY: Span = { fromSeconds: FAULT_SECONDS, toSeconds: FAULT_SECONDS + 5 };
const LATE: Span = { fromSeconds: FAULT_SECONDS + 5, toSeconds: HEALED_SECONDS };
const SETTLED: Span = { fromSeconds: FAULT_SECONDS + 2, toSeconds: HEALED_SECONDS };
const OUTAGE: Span = { fromSeconds: FAULT_SECONDS, toSeconds: FAULT_SECONDS + 10 };

/** Figures by scenario name, policy and seeds: several targets look at the same runs. */
const known = new Map<string, Figures>();

/** Runs a scenario, which its name tells from all others, over these seeds. */
export function figuresOf(scenario: Scenario, policy: Policy, seeds: readonly number[]): Figures {
  const key = JSON.stringify([scenario.name, policy, seeds]);
  const figures = known.get(key) ??
    measure(scenario, seeds.map((seed) => run(scenario, policy, seed)));
  known.set(key, figures);
  return figures;
}

/** Puts runs of one scenario into figures. */
export function measure(scenario: Scenario, runs: readonly Run[]): Figures {
  const fairShare = 1 / scenario.speeds.length;
  const over = (of: (run: Run) => number) => mean(runs.map(of));
  const worst = (of: (run: Run) => number) => Math.max(...runs.map(of));
  const recovery = (run: Run) =>
    recoverySeconds(run, {
      place: 0,
      fairShare,
      fromSeconds: HEALED_SECONDS,
      toSeconds: scenario.endSeconds,
    });
  const calls = (run: Run, span: Span) => attemptsIn(run, span) / clientsIn(run, span);
  const errors = (run: Run) => errorShare(run, FAULT);
  const whole = { fromSeconds: 20, toSeconds: scenario.endSeconds };
  return {
    early: over((run) => attemptsTo(run, 0, EARLY)),
    lateShare: over((run) => shareOf(run, 0, LATE)),
    p99Seconds: ttftSeconds(runs, 0.99, FAULT),
    errors: over(errors),
    errorsWorst: worst(errors),
    recoverySeconds: over(recovery),
    recoveryWorstSeconds: worst(recovery),
    calls: over((run) => calls(run, FAULT)),
    shares: scenario.speeds.map((_, place) => over((run) => shareOf(run, place, whole))),
    excess: worst((run) => excessSecond(run, 0, fairShare, SETTLED)),
    errorsLastSeconds: over((run) => errorsLastSeconds(run, OUTAGE.toSeconds)),
    outageCalls: over((run) => calls(run, OUTAGE)),
  };
}
