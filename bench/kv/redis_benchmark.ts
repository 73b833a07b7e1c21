/**
 * Redis as its own tool drives it: so many connections, each with one command at a time.
 *
 * @module
 */
import { KEYS, type LoadResult, VALUE_BYTES } from "./load.ts";

/**
 * Sets so many keys.
 *
 * @throws {Error} If the tool fails, or says something else than it used to.
 */
export async function runRedisBenchmark(
  port: number,
  { atOnce, operations }: { readonly atOnce: number; readonly operations: number },
): Promise<LoadResult> {
  const args = [
    ...["-h", "127.0.0.1", "-p", `${port}`, "-t", "set", "-c", `${atOnce}`, "-n", `${operations}`],
    ...["-d", `${VALUE_BYTES}`, "-r", `${KEYS}`, "--csv"],
  ];
  const { success, stdout, stderr } = await new Deno.Command("redis-benchmark", { args }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`Cannot run redis-benchmark: ${new TextDecoder().decode(stderr)}`);
  return resultFrom(text, operations);
}

/** Reads the tool's table. @throws {Error} If it is none. */
export function resultFrom(csv: string, operations: number): LoadResult {
  const rows = csv.trim().split("\n").map((line) => line.replaceAll('"', "").trim().split(","));
  const head = rows.find((row) => row[0] === "test") ?? [];
  const row = rows.find(([name]) => name === "SET") ?? [];
  const read = (name: string): number => Number(row[head.indexOf(name)] ?? NaN);
  const [rate, p50, p99] = [read("rps"), read("p50_latency_ms"), read("p99_latency_ms")];
  if (!(rate > 0) || !Number.isFinite(p50) || !Number.isFinite(p99)) {
    throw new Error(`Cannot read what redis-benchmark says: ${csv.slice(0, 200)}`);
  }
  const elapsedMs = operations / rate * 1_000;
  return { operations, errors: 0, firstError: "", elapsedMs, latencyMs: { p50, p99 } };
}
