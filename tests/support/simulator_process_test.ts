import assert from "node:assert/strict";
import { INSTANT_PROFILE } from "../../src/simulate/profiles.ts";
import { rawExchange } from "./raw_http.ts";
import { spawnSimulator } from "./simulator_process.ts";

Deno.test("spawnSimulator() runs one that answers, logs, resets and changes", async () => {
  await using simulator = await spawnSimulator({ profile: INSTANT_PROFILE, seed: 5 });
  const body = { model: "m", messages: [{ role: "user", content: "Hello" }] };
  const ask = () => rawExchange(simulator.port, { path: "/v1/chat/completions", body });
  assert.equal((await ask()).status, 200);
  await simulator.idle();
  const [entry] = await simulator.log();
  assert.equal(entry?.model, "m");
  await simulator.configure({ fault: "status=503" });
  assert.equal((await ask()).status, 503);
  await simulator.reset();
  assert.deepEqual(await simulator.log(), []);
  await assert.rejects(simulator.configure({ fault: "bogus" }), /no such directive/);
});
