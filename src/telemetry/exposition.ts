/**
 * A registry as text, in the format the scraper asked for.
 *
 * `prom-client` can write both formats, but its registry keeps the format as state
 * and renames counters for good when it writes OpenMetrics: the next scrape in
 * the older format would find `weir_requests` where `weir_requests_total` was.
 * So the text is written here, from whatever holds metrics.
 *
 * Sources: Prometheus, "Exposition formats", text 0.0.4; OpenMetrics 1.0.0.
 *
 * @module
 */

/** A scrape's answer. */
export interface Exposition {
  /** The whole text. */
  readonly body: string;
  /** Value of the response header `content-type`. */
  readonly contentType: string;
}

/** What holds metrics: a registry of `prom-client`, or a `MetricList`. */
export interface MetricHolder {
  /** All of them; each has what {@linkcode HeldMetric} has. */
  getMetricsAsArray(): ReadonlyArray<{ readonly name: string }>;
}

/** One number of a metric. */
export interface MetricSample {
  /** Its labels, in the order they are written. */
  readonly labels?: Readonly<Record<string, string | number>>;
  /** The number. */
  readonly value: number;
  /** Its name, where it differs from the metric's. */
  readonly metricName?: string;
}

/** A metric as a registry holds it; published types of `prom-client` do not say all of it. */
export interface HeldMetric {
  /** Full name, unit last; counters end in `_total`. */
  readonly name: string;
  /** What it is now. */
  get(): Promise<{
    readonly help: string;
    readonly type: string;
    readonly values: readonly MetricSample[];
  }>;
}

const PLAIN = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/**
 * Writes all metrics of `holder`, in the order in which they were declared.
 *
 * @param acceptHeader The request's `accept`; `null` for none. OpenMetrics 1.0.0
 * is chosen where it is wanted at least as much as plain text, else text 0.0.4.
 */
export async function renderMetrics(
  holder: MetricHolder,
  acceptHeader: string | null,
): Promise<Exposition> {
  const isOpen = prefersOpenMetrics(acceptHeader ?? "");
  const metrics = holder.getMetricsAsArray() as readonly HeldMetric[];
  // All are asked before any is waited for: what one reads another may have brought up to date.
  const blocks = await Promise.all(metrics.map((metric) => blockOf(metric, isOpen)));
  return isOpen
    ? { body: `${blocks.join("\n")}\n# EOF\n`, contentType: OPEN_METRICS }
    : { body: `${blocks.join("\n\n")}\n`, contentType: PLAIN };
}

async function blockOf(metric: HeldMetric, isOpen: boolean): Promise<string> {
  const { help, type, values } = await metric.get();
  // In OpenMetrics a counter's family is called without the ending that its samples have.
  const family = isOpen && type === "counter" ? metric.name.replace(/_total$/, "") : metric.name;
  const name = isOpen && type === "counter" ? `${family}_total` : metric.name;
  const lines = [`# HELP ${family} ${escaped(help)}`, `# TYPE ${family} ${type}`];
  for (const { labels = {}, value, metricName = name } of values) {
    lines.push(`${metricName}${labelText(labels)} ${numberText(value)}`);
  }
  return lines.join("\n");
}

function labelText(labels: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${escaped(String(value)).replaceAll('"', '\\"')}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
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
