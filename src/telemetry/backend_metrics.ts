/**
 * Metrics of the balancer's view of each target, read at scrape time.
 *
 * Nothing is written per request: the balancer is asked when somebody looks. A
 * target that left the configuration leaves the metrics with the next scrape.
 *
 * @module
 */
import { Gauge, type Registry } from "./prometheus.ts";
import type { TargetSnapshot } from "../balance/types.ts";

/** Numbers of the breaker's states: 0 closed, 1 half-open, 2 open. */
const STATE_NUMBERS: Readonly<Record<TargetSnapshot["breaker"], number>> = {
  closed: 0,
  half_open: 1,
  open: 2,
};

interface BackendGauge {
  readonly name: string;
  readonly help: string;
  readonly read: (target: TargetSnapshot) => number;
}

const GAUGES: readonly BackendGauge[] = [
  {
    name: "weir_backend_score_seconds",
    help: "Cost of one more request now; the balancer prefers the lower of two.",
    read: (target) => target.score,
  },
  {
    name: "weir_backend_latency_seconds",
    help: "Decayed peak estimate of the time to first token.",
    read: (target) => target.latencySeconds,
  },
  {
    name: "weir_backend_silence_seconds",
    help: "How long nothing came although somebody waits.",
    read: (target) => target.silenceSeconds,
  },
  {
    name: "weir_backend_decode_factor",
    help: "Slowness of decoding against the tier, 1 to 10.",
    read: (target) => target.decodeFactor,
  },
  {
    name: "weir_backend_slow_start",
    help: "Share of its traffic a new or recovered target gets, 0.1 to 1.",
    read: (target) => target.slowStart,
  },
  {
    name: "weir_backend_in_flight",
    help: "Attempts in flight.",
    read: (target) => target.inFlight,
  },
  {
    name: "weir_backend_breaker_state",
    help: "Circuit breaker: 0 closed, 1 half-open, 2 open.",
    read: (target) => STATE_NUMBERS[target.breaker],
  },
  {
    name: "weir_backend_breaker_trips",
    help: "Trips of the breaker in a row.",
    read: (target) => target.trips,
  },
  {
    name: "weir_backend_breaker_open_seconds",
    help: "Time until the breaker lets a probe through; 0 unless open.",
    read: (target) => target.openSeconds,
  },
  {
    name: "weir_backend_cooldown_seconds",
    help: "Cooldown left after the backend said that it is asked too often.",
    read: (target) => target.cooldownSeconds,
  },
];

/** Declares the gauges. @returns A function that sets them all from snapshots. */
export function createBackendMetrics(
  registry: Registry,
): (targets: readonly TargetSnapshot[]) => void {
  const gauges = GAUGES.map(({ name, help, read }) => ({
    read,
    gauge: new Gauge({ name, help, labelNames: ["backend", "model"], registers: [registry] }),
  }));
  return (targets) => {
    for (const { gauge, read } of gauges) {
      gauge.reset();
      for (const target of targets) {
        const { backend, model } = target;
        gauge.set({ backend, model }, read(target));
      }
    }
  };
}
