/**
 * Every setting of the gateway: name, type, unit, range, default, meaning.
 *
 * This schema is the only place where a setting is declared. The loader, the
 * JSON Schema for editors and `docs/configuration.md` are all derived from it.
 * What needs more than one setting to judge is in `rules.ts`.
 *
 * Times are seconds (fractions allowed), sizes are bytes. A secret is never a
 * value here: only a reference to where it is kept.
 *
 * @module
 */
import * as z from "zod";
import { ModelCacheSettings, PriceSettings, SharedCacheSettings } from "./cache_schema.ts";
import {
  apiKeyDigest,
  backendName,
  baseUrl,
  bytes,
  credentialReference,
  host,
  MEBIBYTE,
  modelName,
  port,
  seconds,
  upstreamModel,
} from "./values.ts";

const Listen = z.strictObject({
  host: host("127.0.0.1").describe("Address to listen on; `0.0.0.0` for every interface."),
  port: port(8_080).describe("TCP port to listen on; 0 lets the system choose one."),
});

const Admin = z.strictObject({
  enabled: z.boolean().default(true).describe("Whether the admin listener is started at all."),
  host: host("127.0.0.1").describe(
    "Address of the admin listener. It asks for no key, so keep it off public networks.",
  ),
  port: port(8_081).describe("TCP port of `/metrics`, `/healthz` and `/readyz`."),
});

const AccessKey = z.strictObject({
  name: backendName().describe("Who the key was given to; shown in logs in place of the key."),
  sha256: apiKeyDigest().describe("SHA-256 of the key, in hex: `printf %s KEY | sha256sum`."),
});

const Access = z.strictObject({
  keys: z.array(AccessKey).max(10_000).default([]).describe(
    "Keys that clients may use. With none, every client is let in.",
  ),
});

const Limits = z.strictObject({
  bodyBytes: bytes(1_024, 1_024 * MEBIBYTE, 20 * MEBIBYTE).describe("Longest request body."),
  bodySeconds: seconds(0.1, 3_600, 30).describe("Longest time a request body may take to arrive."),
  headersBytes: bytes(1_024, MEBIBYTE, 32 * 1_024).describe(
    "Longest request head: names and values of all headers together.",
  ),
  jsonDepth: z.int().min(4).max(1_000).default(64).describe(
    "Deepest nesting of arrays and objects in a request body.",
  ),
  answerBytes: bytes(1_024, 1_024 * MEBIBYTE, 64 * MEBIBYTE).describe(
    "Longest answer of a backend that is not a stream; it is held whole before it is sent on.",
  ),
  eventBytes: bytes(1_024, 64 * MEBIBYTE, 4 * MEBIBYTE).describe(
    "Longest single event of a stream.",
  ),
  streamsMax: z.int().min(1).max(1_000_000).default(10_000).describe(
    "Requests in flight at most; the next one is answered 503 at once.",
  ),
  errorBodyBytes: bytes(256, MEBIBYTE, 64 * 1_024).describe(
    "How much of a backend's error body is read and passed on.",
  ),
});

const connectSeconds = () => seconds(0.05, 300, 5);
const firstTokenSeconds = () => seconds(0.1, 3_600, 30);
const idleSeconds = () => seconds(0.1, 3_600, 30);
const totalSeconds = () => seconds(1, 86_400, 600);

const Timeouts = z.strictObject({
  connectSeconds: connectSeconds().describe("Name lookup, TCP and TLS of one attempt together."),
  firstTokenSeconds: firstTokenSeconds().describe(
    "From the start of an attempt to its first content; then another backend is asked.",
  ),
  idleSeconds: idleSeconds().describe("Longest silence between two pieces of a stream."),
  totalSeconds: totalSeconds().describe("Longest life of a client's request, retries included."),
});

const TimeoutOverrides = z.strictObject({
  connectSeconds: connectSeconds().unwrap().exactOptional().describe(
    "In place of the general one.",
  ),
  firstTokenSeconds: firstTokenSeconds().unwrap().exactOptional().describe(
    "In place of the general one.",
  ),
  idleSeconds: idleSeconds().unwrap().exactOptional().describe("In place of the general one."),
  totalSeconds: totalSeconds().unwrap().exactOptional().describe("In place of the general one."),
});

const Shutdown = z.strictObject({
  graceSeconds: seconds(0, 3_600, 30).describe(
    "After SIGTERM, how long streams in flight may go on before they are cut.",
  ),
});

const Log = z.strictObject({
  level: z.enum(["debug", "info", "warn", "error"]).default("info").describe(
    "The least severe lines that are written.",
  ),
});

const Breaker = z.strictObject({
  consecutiveFailures: z.int().min(1).max(1_000).default(5).describe(
    "Failures in a row after which a backend gets no more traffic.",
  ),
  failureRatio: z.number().min(0.01).max(1).default(0.5).describe(
    "Share of failures within the window that trips as well.",
  ),
  minimumOutcomes: z.int().min(1).max(100_000).default(10).describe(
    "Outcomes the window must hold before its ratio counts.",
  ),
  windowSeconds: seconds(1, 600, 30).describe("Length of that window."),
  openSeconds: seconds(0.1, 600, 2).describe(
    "How long the first trip lasts; it doubles with each trip in a row, and is jittered by half.",
  ),
  openSecondsMax: seconds(0.1, 3_600, 15).describe("Where the doubling ends."),
});

const Balancing = z.strictObject({
  decaySeconds: seconds(0.1, 600, 10).describe(
    "Time constant of the latency estimate: after this long 63 % of an old peak is gone.",
  ),
  breaker: Breaker.prefault({}).describe("When a backend is left alone, and for how long."),
  slowStartSeconds: seconds(0, 600, 10).describe(
    "How long a backend that came back takes to reach its full share.",
  ),
});

const contextTokens = () => z.int().min(1).max(100_000_000).nullable();

const Capabilities = z.strictObject({
  contextTokens: contextTokens().default(null).describe(
    "Prompt and answer together, in tokens; `null` where not known.",
  ),
  streaming: z.boolean().default(true).describe("Answers as a stream."),
  tools: z.boolean().default(true).describe("Takes tool definitions."),
  vision: z.boolean().default(true).describe("Takes images."),
  jsonSchema: z.boolean().default(true).describe("Takes a JSON schema for its answer."),
  prefill: z.boolean().default(false).describe(
    "Continues a last message of the assistant instead of refusing it.",
  ),
});

const CapabilityOverrides = z.strictObject({
  contextTokens: contextTokens().exactOptional().describe("In place of the backend's."),
  streaming: z.boolean().exactOptional().describe("In place of the backend's."),
  tools: z.boolean().exactOptional().describe("In place of the backend's."),
  vision: z.boolean().exactOptional().describe("In place of the backend's."),
  jsonSchema: z.boolean().exactOptional().describe("In place of the backend's."),
  prefill: z.boolean().exactOptional().describe("In place of the backend's."),
});

const Backend = z.strictObject({
  name: backendName().describe("Unique name; the value of the label `backend` in every metric."),
  protocol: z.enum(["openai", "azure", "anthropic"]).describe(
    "What it speaks. vLLM, llama.cpp, Ollama and most others speak `openai`.",
  ),
  baseUrl: baseUrl().describe(
    "Where its API begins: `https://api.openai.com/v1`, `http://127.0.0.1:8000/v1`, " +
      "`https://NAME.openai.azure.com`, `https://api.anthropic.com`.",
  ),
  apiVersion: z.string().regex(/^[A-Za-z0-9._-]{1,32}$/).meta({
    allowed: "a version such as 2024-10-21, of up to 32 letters, digits, dots and dashes",
  }).exactOptional().describe(
    "Azure only: the query parameter `api-version`; a recent one where left out.",
  ),
  credential: credentialReference().exactOptional().describe(
    "Where its API key is kept: `env:NAME` or `file:PATH`. Never the key itself.",
  ),
  headers: z.record(z.string(), z.string().max(4_096)).exactOptional().describe(
    "Headers to send with every request; a secret one as `env:NAME` or `file:PATH`.",
  ),
  maxConcurrency: z.int().min(1).max(1_000_000).exactOptional().describe(
    "Attempts in flight at most; no limit where left out.",
  ),
  hedge: z.boolean().default(true).describe("Whether hedges may go to or start from here."),
  includeUsage: z.boolean().default(true).describe(
    "Whether to ask for token counts at the end of a stream; `false` for servers that refuse it.",
  ),
  capabilities: Capabilities.prefault({}).describe("What its models can do."),
});

const Target = z.strictObject({
  backend: backendName().describe("Name of an entry of `backends`."),
  model: upstreamModel().describe("What that backend calls the model."),
  weight: z.number().min(0.001).max(1_000).default(1).describe(
    "Relative share among the targets of the same tier.",
  ),
  tier: z.int().min(0).max(100).default(0).describe(
    "Preference: 0 is asked first, a higher tier only when no lower one can answer.",
  ),
  capabilities: CapabilityOverrides.exactOptional().describe("Where this model differs."),
});

const RetryBudget = z.strictObject({
  max: z.number().min(0).max(10_000).default(10).describe("Retries that may be saved up."),
  perRequest: z.number().min(0).max(10).default(0.2).describe("Earned by each client request."),
  perSecond: z.number().min(0).max(1_000).default(1).describe("Earned by each second."),
});

const Retries = z.strictObject({
  attemptsMax: z.int().min(1).max(10).default(3).describe(
    "Attempts for one request, the first one included; 1 turns retries off.",
  ),
  retryAfterWaitMaxSeconds: seconds(0, 60, 3).describe(
    "Longest Retry-After that is waited for; beyond it the next tier is asked at once.",
  ),
  budget: RetryBudget.prefault({}).describe("Keeps retries from multiplying an outage."),
});

const Model = z.strictObject({
  name: modelName().describe("What clients ask for."),
  targets: z.array(Target).min(1).max(1_000).describe("Who may answer."),
  timeouts: TimeoutOverrides.exactOptional().describe("Where this model needs other time limits."),
  retries: Retries.prefault({}).describe("How often, and how, a failed attempt is made good."),
  hedging: z.strictObject({
    enabled: z.boolean().default(false).describe(
      "Ask a second backend when the first is slower than usual; may pay for a prompt twice.",
    ),
  }).prefault({}).describe("Second requests against slow answers."),
  affinity: z.strictObject({
    enabled: z.boolean().default(true).describe(
      "Send requests of one session or with one long prompt to one backend, for its prompt cache.",
    ),
  }).prefault({}).describe("Keeping a conversation where its prompt is cached."),
  spill: z.enum(["off", "proportional"]).default("off").describe(
    "`proportional` moves a share of the traffic to the next tier as this one loses backends.",
  ),
  continuation: z.enum(["off", "verified"]).default("off").describe(
    "`verified` carries a broken stream on elsewhere, where the rest provably fits.",
  ),
  cache: ModelCacheSettings.prefault({}).describe("Whether, and when, its answers are used again."),
  prices: PriceSettings.exactOptional().describe("Its prices, for the metric of saved cost."),
});

/** The whole configuration file. */
export const Config = z.strictObject({
  listen: Listen.prefault({}).describe("Where clients connect."),
  admin: Admin.prefault({}).describe("Where operators connect."),
  access: Access.prefault({}).describe("Who may connect."),
  limits: Limits.prefault({}).describe("What is refused for its size."),
  timeouts: Timeouts.prefault({}).describe("How long each stage may take."),
  keepAliveSeconds: seconds(0, 3_600, 15).describe(
    "Silence after which a comment is sent on a stream, so that nothing in between closes it; " +
      "0 for never.",
  ),
  forwardHeaders: z.array(
    z.string().regex(/^[a-z0-9-]{1,64}$/).meta({ allowed: "a header name in lower case" }),
  ).max(50).default(["openai-beta", "anthropic-beta", "traceparent", "tracestate"]).describe(
    "Headers of clients that backends get to see; all others end at the gateway.",
  ),
  shutdown: Shutdown.prefault({}).describe("How the gateway ends."),
  log: Log.prefault({}).describe("What is written to standard output."),
  transport: z.enum(["socket", "fetch"]).default("socket").describe(
    "How backends are reached: `socket` is faster, `fetch` works on every platform.",
  ),
  caCertificates: z.array(z.string().min(1).max(4_096)).max(100).exactOptional().describe(
    "PEM files of certificate authorities to trust besides the built-in ones.",
  ),
  cache: SharedCacheSettings.prefault({}).describe("Where stored answers live."),
  balancing: Balancing.prefault({}).describe("How a backend is chosen."),
  backends: z.array(Backend).min(1).max(10_000).describe("Where requests may go."),
  models: z.array(Model).min(1).max(10_000).describe("What clients may ask for."),
});

/** A checked configuration, with every default filled in. */
export type Config = z.output<typeof Config>;

/** One entry of `backends`. */
export type BackendConfig = Config["backends"][number];

/** One entry of `models`. */
export type ModelConfig = Config["models"][number];
