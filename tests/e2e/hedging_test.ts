/**
 * A hedge: a second backend is asked when the first is slower than usual, the
 * first token wins, and the loser's call is closed.
 */
import assert from "node:assert/strict";
import { INSTANT_PROFILE } from "../../src/simulate/profiles.ts";
import { callChat, type CallResult } from "../support/failover_caller.ts";
import { type ServedGateway, serveGateway } from "../support/gateway_fixture.ts";
import { spawnSimulator } from "../support/simulator_process.ts";

function call(gateway: ServedGateway, requestId: string): Promise<CallResult> {
  const baseUrl = `${gateway.url}/v1`;
  return callChat({ baseUrl, model: "chat", requestId, stream: true, maxSeconds: 20 });
}

Deno.test("a silent backend is hedged, and the loser is called off", async () => {
  await using quick = await spawnSimulator({ profile: INSTANT_PROFILE });
  await using silent = await spawnSimulator({ profile: INSTANT_PROFILE });
  await using gateway = serveGateway({
    backends: [
      { name: "quick", protocol: "openai", baseUrl: quick.url },
      { name: "silent", protocol: "openai", baseUrl: silent.url },
    ],
    models: [{
      name: "chat",
      targets: [{ backend: "quick", model: "m" }, { backend: "silent", model: "m" }],
      hedging: { enabled: true },
    }],
  });
  // What is usual has to be known first: 100 first tokens.
  for (let i = 0; i < 15; i++) {
    await Promise.all(Array.from({ length: 10 }, (_, j) => call(gateway, `warm-${i}-${j}`)));
  }
  await silent.configure({ fault: "silence=60" });
  await silent.reset();

  let won = 0;
  for (let i = 0; i < 40 && won === 0; i++) {
    const results = await Promise.all(
      Array.from({ length: 4 }, (_, j) => call(gateway, `${i}-${j}`)),
    );
    for (const result of results) assert.equal(result.outcome, "success", result.error);
    won = await gateway.metric("weir_hedges_total", { result: "won" });
  }
  assert.ok(won > 0, "a hedge has won");
  await silent.idle();
  const left = (await silent.log()).filter((entry) => entry.clientGoneAtMs !== null);
  assert.ok(left.length > 0, "the silent backend saw its client leave");
});
