/**
 * `demo`: a gateway and three simulated backends in one process.
 *
 * @module
 */
import { DEMO_PROFILES, type SimulatorProfile } from "../simulate/profiles.ts";
import { startSimulator } from "../simulate/server.ts";
import { type Options, portOption } from "./arguments.ts";
import { type DemoBackend, demoConfig } from "./demo_config.ts";
import { startServer } from "./server.ts";
import { stopSignal } from "./stop_signal.ts";
import type { Terminal } from "./terminal.ts";

/** Serves until a signal comes. */
export async function demo(options: Options, terminal: Terminal): Promise<number> {
  const port = portOption(options, "port") ?? 8_080;
  const adminPort = portOption(options, "admin-port") ?? 8_081;

  await using simulators = new AsyncDisposableStack();
  async function start(profile: SimulatorProfile): Promise<DemoBackend> {
    const { url, close } = await startSimulator({ port: 0, profile });
    simulators.defer(close);
    return {
      name: profile.name,
      baseUrl: url,
      model: profile.models[0] ?? profile.name,
    };
  }
  const [swift, steady, shaky] = DEMO_PROFILES;
  const backends = [
    await start(swift),
    await start(steady),
    await start(shaky),
  ] as const;

  const config = demoConfig(backends, { port, adminPort });
  const server = startServer(
    { config, secrets: new Map(), storeToken: null, caCertificates: [] },
    terminal.print,
  );
  terminal.print(greeting(server.url, server.adminUrl ?? ""));
  await stopSignal();
  await server.stop();
  return 0;
}

function greeting(url: string, adminUrl: string): string {
  return `Weir listens on ${url}, in front of three simulated backends. Try:

  curl -N ${url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"chat","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

Any client of OpenAI works with another baseURL (and so does Anthropic's, with ${url}):

  import OpenAI from "openai";
  const client = new OpenAI({ baseURL: "${url}/v1", apiKey: "unused" });
  const stream = await client.chat.completions.create({
    model: "chat", stream: true, messages: [{ role: "user", content: "Hello" }],
  });
  for await (const chunk of stream) console.log(chunk.choices[0]?.delta?.content ?? "");

A question that was asked before costs no call: ask it twice, then in other words, and look at the
header x-weir-cache (miss, exact, canonical, semantic).

  ask() { curl -s -D - -o /dev/null ${url}/v1/chat/completions -H 'content-type: application/json' \\
    -d "{\\"model\\":\\"chat\\",\\"messages\\":[{\\"role\\":\\"user\\",\\"content\\":\\"$1\\"}]}" |
    grep -E '^(x-weir-cache|cache-status|weir-cache|x-weir-overhead)'; }
  ask 'How do I change the oil filter of a tractor?'
  ask 'How do I change the oil filter of a tractor?'
  ask 'hi, how do i change the oil filter of a tractor'
  ask 'How do I change an oil filter of the tractor?'

Models:  chat      three backends: fast, middling, slow and flaky; watch who gets the traffic
         fallback  the first choice is down; the second answers
         cut       every stream breaks after 8 tokens; the client is told so
         rescued   every stream breaks after 8 tokens; another backend carries it on

  curl ${adminUrl}/metrics    curl ${adminUrl}/backends    curl ${adminUrl}/cache/entries

Ctrl+C ends it.`;
}
