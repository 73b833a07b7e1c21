/**
 * A gateway for stock clients: one simulated backend, reached over both protocols,
 * behind one alias for each way it can behave.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Upstream, UpstreamCall, UpstreamRequest } from "../../src/ports.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { SocketUpstream } from "../../src/runtime/upstream_socket.ts";
import type { LogEntry } from "../../src/simulate/request_log.ts";
import { type ServedGateway, serveGateway } from "./gateway_fixture.ts";
import { spawnSimulator } from "./simulator_process.ts";

/** What a backend speaks; clients of either API are sent to both. */
export const PROTOCOLS = ["openai", "anthropic"] as const;

/** What a backend speaks. */
export type ClientProtocol = (typeof PROTOCOLS)[number];

/** How a backend behaves; each is part of an alias. See `docs/simulator.md` for the faults. */
const BEHAVIOURS = {
  ok: "",
  slow: "token-ms=20,words=100",
  two_calls: "tool-calls=2",
  thinking: "reasoning=6",
  cut: "cut=3,token-ms=2,words=12",
  rst: "rst=3,token-ms=2,words=12",
  stall: "stall=3:60,token-ms=2,words=12",
  clean_cut: "clean-cut=3,token-ms=2,words=12",
  in_band: "in-band-error=3,token-ms=2,words=12",
  malformed: "malformed=3,token-ms=2,words=12",
  no_finish: "no-finish,no-done,token-ms=1",
  truncated: "truncated-body",
  half_json: "bad-json",
  page: "html",
  no_tokens: "cut=0",
  status_400: "status=400",
  context: "context-length",
  rate_limited: "status=429,retry-after=7",
  down: "status=503",
} as const;

/** A behaviour's name. */
export type Behaviour = keyof typeof BEHAVIOURS;

/** Ways for a stream to break after its first tokens. */
export const BROKEN_STREAMS = [
  "cut",
  "rst",
  "stall",
  "clean_cut",
  "in_band",
  "malformed",
  "no_finish",
] as const satisfies readonly Behaviour[];

/** Ways for an answer that is no stream to arrive damaged, with nobody else to ask. */
export const BROKEN_ANSWERS = [
  "truncated",
  "half_json",
  "page",
  "cut",
  "rst",
  "in_band",
] as const satisfies readonly Behaviour[];

/** The backend's model; `gpt-4o-mini` and a Claude, so that translation treats them as such. */
const MODELS = { openai: "gpt-4o-mini", anthropic: "claude-sonnet-4-5" };

/** The alias of a backend that behaves in a certain way. */
export function alias(protocol: ClientProtocol, behaviour: Behaviour): string {
  return `${protocol}.${behaviour}`;
}

/** A gateway with its backend. */
export interface ClientGateway extends AsyncDisposable {
  /** Base URL without a path, as Anthropic clients want it. */
  readonly url: string;
  /** Base URL with `/v1`, as OpenAI clients want it. */
  readonly openaiUrl: string;
  /** The gateway. */
  readonly gateway: ServedGateway;
  /** Bodies that the backend was sent, in order. */
  readonly sent: readonly Record<string, unknown>[];
  /** The text that the backend says to this prompt, asked without the gateway. */
  textFor(prompt: string): Promise<string>;
  /** What the backend saw. */
  log(): Promise<readonly LogEntry[]>;
  /** Settles once the backend has a request that it has not answered yet. */
  busy(): Promise<void>;
  /** Settles once the backend answers nobody any more. */
  idle(): Promise<void>;
}

/** Starts both; with `accessKey`, clients have to send it. */
export async function serveClients(
  options: { readonly accessKey?: string } = {},
): Promise<ClientGateway> {
  const simulator = await spawnSimulator({
    profile: {
      name: "clients",
      models: Object.values(MODELS),
      firstTokenMs: 0,
      interTokenMs: 0,
      jitter: 0,
      failureRate: 0,
    },
  });
  const upstream = new RecordingUpstream();
  const gateway = serveGateway(
    configFor(simulator.url, options.accessKey),
    { upstream },
  );
  return {
    url: gateway.url,
    openaiUrl: `${gateway.url}/v1`,
    gateway,
    sent: upstream.sent,
    textFor: (prompt) => askDirectly(simulator.url, prompt),
    log: () => simulator.log(),
    busy: () => untilBusy(() => simulator.log()),
    idle: () => simulator.idle(),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await simulator[Symbol.asyncDispose]();
    },
  };
}

function configFor(baseUrl: string, accessKey: string | undefined): unknown {
  const models = PROTOCOLS.flatMap((protocol) =>
    Object.entries(BEHAVIOURS).map(([behaviour, fault]) => ({
      name: `${protocol}.${behaviour}`,
      ...(behaviour === "stall" ? { timeouts: { idleSeconds: 0.2 } } : {}),
      targets: [{
        backend: protocol,
        model: fault === "" ? MODELS[protocol] : `${MODELS[protocol]}!${fault}`,
      }],
    }))
  );
  const keys = accessKey === undefined ? [] : [{
    name: "tests",
    sha256: createHash("sha256").update(accessKey).digest("hex"),
  }];
  return {
    access: { keys },
    backends: PROTOCOLS.map((protocol) => ({
      name: protocol,
      protocol,
      baseUrl,
    })),
    models,
  };
}

/** The real transport, with a record of what went over it. */
class RecordingUpstream implements Upstream {
  readonly sent: Record<string, unknown>[] = [];
  readonly #inner = new SocketUpstream({ clock: systemClock, caCerts: [] });

  start(
    request: UpstreamRequest,
    options: { readonly connectMs: number },
  ): UpstreamCall {
    if (request.body !== null) {
      this.sent.push(JSON.parse(new TextDecoder().decode(request.body)));
    }
    return this.#inner.start(request, options);
  }

  close(): void {
    this.#inner.close();
  }
}

/** Looks at the log again and again; each look is a round trip, so this spins slowly. */
async function untilBusy(log: () => Promise<readonly LogEntry[]>): Promise<void> {
  for (let look = 0; look < 2_000; look++) {
    if ((await log()).some((entry) => entry.endedAtMs === null)) return;
  }
  throw new Error("Cannot wait for a request: none arrived at the backend");
}

async function askDirectly(baseUrl: string, prompt: string): Promise<string> {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    body: JSON.stringify({
      model: MODELS.openai,
      messages: [{ role: "user", content: prompt }],
    }),
  });
  const answer = await response.json();
  return answer.choices[0].message.content;
}
