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
  await using left = await spawnSimulator({ profile: INSTANT_PROFILE });
  await using right = await spawnSimulator({ profile: INSTANT_PROFILE });
  await using gateway = serveGateway({
    backends: [
      { name: "left", protocol: "openai", baseUrl: left.url },
      { name: "right", protocol: "openai", baseUrl: right.url },
    ],
    models: [{
      name: "chat",
      targets: [{ backend: "left", model: "m" }, { backend: "right", model: "m" }],
      hedging: { enabled: true },
    }],
  });
  // What is usual has to be known first: 100 first tokens.
  for (let i = 0; i < 15; i++) {
    await Promise.all(Array.from({ length: 10 }, (_, j) => call(gateway, `warm-${i}-${j}`)));
  }

  let won = 0;
  for (let i = 0; i < 40 && won === 0; i++) {
    // The one that the balancer prefers falls silent: the other would be asked for nothing.
    await Promise.all([left.reset(), right.reset()]);
    for (let j = 0; j < 3; j++) await call(gateway, `prefer-${i}-${j}`);
    const silent = (await left.log()).length > (await right.log()).length ? left : right;
    await silent.configure({ fault: "silence=60" });
    await silent.reset();

    const results = await Promise.all(
      Array.from({ length: 4 }, (_, j) => call(gateway, `${i}-${j}`)),
    );
    for (const result of results) assert.equal(result.outcome, "success", result.error);
    won = await gateway.metric("weir_hedges_total", { result: "won" });
    await silent.idle();
    await silent.configure({ fault: "" });
    if (won === 0) continue;
    const gone = (await silent.log()).filter((entry) => entry.clientGoneAtMs !== null);
    assert.ok(gone.length > 0, "the silent backend saw its client leave");
  }
  assert.ok(won > 0, "a hedge has won");
});
