/**
 * A registry as text, in the format the scraper asked for.
 *
 * `prom-client` writes both formats, but its registry keeps the format as state
 * and renames counters for good when it writes OpenMetrics: the next scrape in
 * the older format would find `weir_requests` where `weir_requests_total` was.
 * So OpenMetrics is written from a second registry of views on the metrics.
 *
 * @module
 */
import type { Metric } from "prom-client";
import { Registry } from "./prometheus.ts";

/** A scrape's answer. */
export interface Exposition {
  /** The whole text. */
  readonly body: string;
  /** Value of the response header `content-type`. */
  readonly contentType: string;
}

/**
 * Writes all metrics of `registry`.
 *
 * @param acceptHeader The request's `accept`; `null` for none. OpenMetrics 1.0.0
 * is chosen where it is wanted at least as much as plain text, else text 0.0.4.
 */
export async function renderMetrics(
  registry: Registry,
  acceptHeader: string | null,
): Promise<Exposition> {
  if (!prefersOpenMetrics(acceptHeader ?? "")) {
    return { body: await registry.metrics(), contentType: Registry.PROMETHEUS_CONTENT_TYPE };
  }
  const view = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
  view.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const { name } of registry.getMetricsAsArray()) {
    const metric = registry.getSingleMetric(name);
    if (metric !== undefined) view.registerMetric(openMetricsView(metric, name));
  }
  return { body: await view.metrics(), contentType: Registry.OPENMETRICS_CONTENT_TYPE };
}

/** What a registry asks of a metric; the published types keep some of it to themselves. */
interface Renderable {
  readonly name: string;
  readonly type?: string;
  get(): Promise<{ readonly type: unknown }>;
  getForPromString?(): Promise<{ readonly type: unknown }>;
}

/** A stand-in under which the registry may change the name without harm. */
function openMetricsView(metric: Metric, fullName: string): Metric {
  const source = metric as unknown as Renderable;
  const name = source.type === "counter" ? fullName.replace(/_total$/, "") : fullName;
  const read = async () => ({ ...await (source.getForPromString?.() ?? source.get()), name });
  const view = { name, type: source.type, get: read, getForPromString: read };
  return view as unknown as Metric;
}

function prefersOpenMetrics(accept: string): boolean {
  let openMetrics = 0;
  let plain = 0;
  for (const range of accept.toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    const quality = qualityOf(parameters);
    if (type === "application/openmetrics-text") {
      const version = parameters.find((parameter) => parameter.startsWith("version="));
      const known = version === undefined || version.replaceAll('"', "") === "version=1.0.0";
      if (known) openMetrics = Math.max(openMetrics, quality);
    } else if (type === "text/plain") {
      plain = Math.max(plain, quality);
    }
  }
  return openMetrics > 0 && openMetrics >= plain;
}

function qualityOf(parameters: readonly string[]): number {
  const quality = parameters.find((parameter) => parameter.startsWith("q="));
  if (quality === undefined) return 1;
  const value = Number(quality.slice(2));
  return value >= 0 && value <= 1 ? value : 0;
}
