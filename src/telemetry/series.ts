/**
 * Counters, gauges and histograms whose series are held, not looked up.
 *
 * `prom-client` finds the series of each observation by a string it makes of all
 * labels: 0.3 to 0.5 µs each, and a request makes a dozen. Here a caller asks for
 * a series once and adds to its fields. A family gives a registry what the metrics
 * of `prom-client` give, so both may stand in one.
 *
 * @module
 */
import type { Metric } from "prom-client";
import type { HeldMetric, MetricSample } from "./exposition.ts";

/** Where metrics are declared: a registry of `prom-client`, or a `MetricList`. */
export interface MetricRegistry {
  /** Adds one. @throws {Error} If the name is taken. */
  registerMetric(metric: Metric): void;
}

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
  registry: MetricRegistry,
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
  registry: MetricRegistry,
  spec: FamilySpec,
  bounds: readonly number[],
): Family<HistogramSeries> {
  return declareFamily(registry, "histogram", spec, {
    create: () => new HistogramSeries(bounds),
    samples: (labels, series) => histogramSamples(spec.name, bounds, labels, series),
  });
}

/** Declares a metric whose samples are read at scrape time. @throws {Error} If the name is taken. */
export function declareReadings(
  registry: MetricRegistry,
  type: "counter" | "gauge",
  { name, help }: Pick<FamilySpec, "name" | "help">,
  read: () => readonly MetricSample[],
): void {
  const get = () => Promise.resolve({ name, help, type, values: read(), aggregator: "sum" });
  register(registry, { name, get }, { help, type, reset: () => {} });
}

interface Kind<Series> {
  readonly create: () => Series;
  readonly samples: (labels: Labels, series: Series) => readonly MetricSample[];
}

function declareFamily<Series>(
  registry: MetricRegistry,
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
  register(registry, { name, get }, { help, type, reset: () => members.clear() });
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

/** Adds a metric with all that a registry of `prom-client` asks of its own. */
function register(
  registry: MetricRegistry,
  metric: HeldMetric,
  more: { readonly help: string; readonly type: string; reset(): void },
): void {
  registry.registerMetric({ ...metric, ...more, aggregator: "sum" } as unknown as Metric);
}

function histogramSamples(
  name: string,
  bounds: readonly number[],
  labels: Labels,
  { counts, sum }: HistogramSeries,
): MetricSample[] {
  let count = 0;
  const samples: MetricSample[] = counts.map((inBucket, at) => {
    count += inBucket;
    const le = bounds[at] ?? "+Inf";
    return { labels: { le, ...labels }, value: count, metricName: `${name}_bucket` };
  });
  samples.push({ labels, value: sum, metricName: `${name}_sum` });
  samples.push({ labels, value: count, metricName: `${name}_count` });
  return samples;
}
