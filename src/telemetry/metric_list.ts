/**
 * The least that holds metrics: for a program whose metrics are all declared by
 * `series.ts`, and which can do without `prom-client` and what that loads.
 *
 * @module
 */
import type { MetricHolder } from "./exposition.ts";
import type { MetricRegistry } from "./series.ts";

type Metric = Parameters<MetricRegistry["registerMetric"]>[0] & { readonly name: string };

/** Metrics in the order in which they were declared. */
export class MetricList implements MetricHolder, MetricRegistry {
  readonly #metrics = new Map<string, Metric>();

  /** Adds one. @throws {Error} If the name is taken. */
  registerMetric(metric: Metric): void {
    const { name } = metric;
    if (this.#metrics.has(name)) throw new Error(`Cannot declare ${name}: the name is taken`);
    this.#metrics.set(name, metric);
  }

  /** All of them. */
  getMetricsAsArray(): readonly Metric[] {
    return [...this.#metrics.values()];
  }
}
