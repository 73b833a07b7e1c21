/**
 * Counters, gauges and histograms whose series are held, not looked up.
 *
 * `prom-client` finds the series of each observation by a string it makes of all
 * labels: 0.3 to 0.5 µs each, and a request makes a dozen. Here a caller asks for
 * a series once and adds to its fields. The registry and both text formats stay
 * `prom-client`'s: a family gives it what its own metrics give.
 *
 * @module
 */
import type { Metric, Registry } from "prom-client";

/** Label values; every name of the family, in any order. */
export type Labels = Readonly<Record<string, string>>;

/** What a family of series is called and says. */
export interface FamilySpec {
  /** Full name, unit last; counters end in `_total`. */
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
  /** Label names, in the order they are written. */
  readonly labelNames: readonly string[];
}

/** One number. Callers add to `value` themselves; a counter's never falls. */
export interface NumberSeries {
  /** The number now. */
  value: number;
}

/** All series of one name. */
export interface Family<Series> {
  /** The series of these labels; made, at 0, when first asked for. */
  of(labels: Labels): Series;
}

/** Bucket bounds in seconds that the GenAI conventions prescribe for whole operations. */
export const OPERATION_BUCKETS: readonly number[] = [
  ...[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
];

/** One histogram's counts. */
export class HistogramSeries {
  /** Observations above the bound before and at most this one; the last has no bound. */
  readonly counts: number[];
  /** Sum of all observations. */
  sum = 0;
  readonly #bounds: readonly number[];

  /** Takes rising bounds, without +Inf. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /**
   * Counts one value. `null`, and whatever is no finite number of at least 0, is
   * left out: a wrong measurement must not fail a request.
   */
  observe(value: number | null): void {
    if (value === null || !(value >= 0 && value < Infinity)) return;
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? Infinity)) at++;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sum += value;
  }
}

/** Declares counters or gauges in `registry`. @throws {Error} If the name is taken. */
export function declareNumbers(
  registry: Registry,
  type: "counter" | "gauge",
  spec: FamilySpec,
): Family<NumberSeries> {
  return declareFamily<NumberSeries>(registry, type, spec, {
    create: () => ({ value: 0 }),
    samples: (labels, { value }) => [{ labels, value }],
  });
}

/** Declares histograms in `registry`. @throws {Error} If the name is taken. */
export function declareHistograms(
  registry: Registry,
  spec: FamilySpec,
  bounds: readonly number[],
): Family<HistogramSeries> {
  return declareFamily(registry, "histogram", spec, {
    create: () => new HistogramSeries(bounds),
    samples: (labels, series) => histogramSamples(spec.name, bounds, labels, series),
  });
}

/** What a registry writes as one line. */
interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Where it differs from the family's. */
  readonly metricName?: string;
}

interface Kind<Series> {
  readonly create: () => Series;
  readonly samples: (labels: Labels, series: Series) => readonly Sample[];
}

function declareFamily<Series>(
  registry: Registry,
  type: string,
  { name, help, labelNames }: FamilySpec,
  kind: Kind<Series>,
): Family<Series> {
  const members = new Map<string, { readonly labels: Labels; readonly series: Series }>();
  const get = () => {
    const values = [...members.values()].flatMap((member) =>
      kind.samples(member.labels, member.series)
    );
    return Promise.resolve({ name, help, type, values, aggregator: "sum" });
  };
  const metric = { name, help, type, aggregator: "sum", get, reset: () => members.clear() };
  registry.registerMetric(metric as unknown as Metric);
  const of = (labels: Labels): Series => {
    const key = labelNames.map((label) => labels[label] ?? "").join("\u0000");
    const known = members.get(key);
    if (known !== undefined) return known.series;
    const ordered = Object.fromEntries(labelNames.map((label) => [label, labels[label] ?? ""]));
    const series = kind.create();
    members.set(key, { labels: ordered, series });
    return series;
  };
  if (labelNames.length === 0) of({});
  return { of };
}

function histogramSamples(
  name: string,
  bounds: readonly number[],
  labels: Labels,
  { counts, sum }: HistogramSeries,
): Sample[] {
  let count = 0;
  const samples: Sample[] = counts.map((inBucket, at) => {
    count += inBucket;
    const le = bounds[at] ?? "+Inf";
    return { labels: { le, ...labels }, value: count, metricName: `${name}_bucket` };
  });
  samples.push({ labels, value: sum, metricName: `${name}_sum` });
  samples.push({ labels, value: count, metricName: `${name}_count` });
  return samples;
}
