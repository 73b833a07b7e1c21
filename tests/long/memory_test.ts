/**
 * Memory stays flat over many requests through a gateway in its own process.
 */
import assert from "node:assert/strict";
import { INSTANT_PROFILE } from "../../src/simulate/profiles.ts";
import { spawnGateway } from "../support/gateway_process.ts";
import { repeatRequest } from "../support/keep_alive_client.ts";
import { spawnSimulator } from "../support/simulator_process.ts";

const STEPS = 40;
/** Half of that again before: code is compiled, and the heap finds its size. */
const WARM_UP_STEPS = 20;
const CONNECTIONS = 16;

Deno.test("resident memory is flat over 200,000 requests", async () => {
  const body = JSON.stringify({ model: "chat", messages: [{ role: "user", content: "hi" }] });
  await assertFlat({ requests: 200_000, growthMax: 0.02 }, {}, {}, () => body);
});

Deno.test("resident memory is flat over 60,000 requests to a full cache", async () => {
  let count = 0;
  await assertFlat(
    // Two heaps here, the index's worker has its own: what they hold goes up and down by 15 %.
    { requests: 60_000, growthMax: 0.1 },
    { memoryBytes: 4 * 1_024 * 1_024, nearMissesMax: 100 },
    { enabled: true, semantic: { mode: "static" } },
    () => {
      // Three of four are new; the fourth asks again what was asked a moment ago.
      const number = ++count % 4 === 0 ? count - 64 : count;
      const content = `How many bolts does the frame of bridge number ${number} have?`;
      return JSON.stringify({ model: "chat", messages: [{ role: "user", content }] });
    },
  );
});

/** Half of the requests come again before, to warm up. */
async function assertFlat(
  { requests, growthMax }: { readonly requests: number; readonly growthMax: number },
  cache: Readonly<Record<string, unknown>>,
  modelCache: Readonly<Record<string, unknown>>,
  bodyOf: () => string,
): Promise<void> {
  await using simulator = await spawnSimulator({ profile: { ...INSTANT_PROFILE, words: 12 } });
  await using gateway = await spawnGateway({
    log: { level: "error" },
    cache,
    backends: [{ name: "sim", protocol: "openai", baseUrl: simulator.url }],
    models: [{ name: "chat", targets: [{ backend: "sim", model: "m" }], cache: modelCache }],
  });
  const perConnection = Math.round(requests / STEPS / CONNECTIONS);
  const readings: number[] = [];
  for (let step = 0; step < WARM_UP_STEPS + STEPS; step++) {
    await simulator.reset(); // Its log would grow, and with it the time a request takes.
    await Promise.all(
      Array.from(
        { length: CONNECTIONS },
        () => repeatRequest(gateway.url, bodyOf, perConnection),
      ),
    );
    readings.push(await gateway.residentBytes());
  }
  const settled = readings.slice(WARM_UP_STEPS);
  const early = median(settled.slice(0, STEPS / 4));
  const late = median(settled.slice(-STEPS / 4));
  const megabytes = readings.map((bytes) => Math.round(bytes / 1e6)).join(" ");
  assert.ok(late <= early * (1 + growthMax), `from ${early} to ${late} bytes; MB: ${megabytes}`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
