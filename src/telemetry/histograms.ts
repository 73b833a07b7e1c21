/**
 * Histograms of the gateway: one way to declare them, one way to observe.
 *
 * @module
 */
import { Histogram, type Registry } from "prom-client";

/** Label values of one observation. */
export type Labels = Readonly<Record<string, string>>;

/** Bucket bounds in seconds that the GenAI conventions prescribe for whole operations. */
export const OPERATION_BUCKETS: readonly number[] = [
  ...[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
];

/** What a histogram is called, says and counts. */
export interface HistogramSpec {
  /** Full name, unit last. */
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
  /** Label names. */
  readonly labelNames: readonly string[];
  /** Upper bounds, rising, without +Inf. */
  readonly buckets: readonly number[];
}

/**
 * Declares a histogram.
 *
 * @returns A function that observes one value. `null`, and whatever is no finite
 * number of at least 0, is left out: a wrong measurement must not fail a request.
 */
export function declareHistogram(
  registry: Registry,
  spec: HistogramSpec,
): (labels: Labels, value: number | null) => void {
  const histogram = new Histogram({
    name: spec.name,
    help: spec.help,
    labelNames: [...spec.labelNames],
    buckets: [...spec.buckets],
    registers: [registry],
  });
  return (labels, value) => {
    if (value !== null && value >= 0 && value < Infinity) histogram.observe(labels, value);
  };
}
