/**
 * Settings of the cache: the part all models share, and the part each model has.
 *
 * @module
 */
import * as z from "zod";
import {
  backendName,
  bytes,
  credentialReference,
  filePath,
  MEBIBYTE,
  modelName,
  seconds,
  upstreamModel,
} from "./values.ts";

const Embedder = z.strictObject({
  type: z.enum(["builtin", "backend", "local"]).default("builtin").describe(
    "`builtin` finds near-identical wordings, knows no synonyms and needs nothing; `backend` is " +
      "any OpenAI-compatible `/v1/embeddings`; `local` a model of your own (an add-on).",
  ),
  backend: backendName().exactOptional().describe("`backend`: name of an entry of `backends`."),
  model: upstreamModel().exactOptional().describe(
    "`backend`: what that backend calls its embedding model.",
  ),
  dimensions: z.int().min(8).max(8_192).exactOptional().describe(
    "`backend`: length of its vectors. One of another length is refused: the model behind the " +
      "name has changed.",
  ),
  sendDimensions: z.boolean().default(false).describe(
    "`backend`: whether to ask for that length, for models that can shorten their vectors.",
  ),
  batchMax: z.int().min(1).max(2_048).default(64).describe(
    "`backend`: texts in one call at most.",
  ),
  memoEntries: z.int().min(0).max(1_000_000).default(2_048).describe(
    "`backend`: recent texts whose vectors are remembered.",
  ),
  directory: filePath().exactOptional().describe(
    "`local`: folder with the ONNX model and its tokenizer files.",
  ),
  deadlineSeconds: z.number().min(0.001).max(10).meta({ unit: "seconds" }).exactOptional().describe(
    "How long after its arrival a request may wait for its neighbours; then similarity is " +
      "skipped. 0.01 for `builtin`, 0.12 for `backend`, 0.05 for `local` where left out.",
  ),
});

const Judge = z.strictObject({
  type: z.enum(["equal", "similar", "model"]).default("similar").describe(
    "How two answers are compared: `equal` but for spaces, case and JSON key order; `similar` by " +
      "their vectors; `model` asks a model.",
  ),
  similarity: z.number().min(0).max(1).default(0.85).describe(
    "From where on two answers are taken for the same (`similar`).",
  ),
  model: modelName().exactOptional().describe("Which model to ask (`model`): one of `models`."),
});

/** The part all models share. */
export const SharedCacheSettings = z.strictObject({
  memoryBytes: bytes(MEBIBYTE, 1_024 * 1_024 * MEBIBYTE, 256 * MEBIBYTE).describe(
    "What all stored answers of this process may occupy.",
  ),
  tenantShare: z.number().min(0.01).max(1).default(0.25).describe(
    "The part of it that one access key may fill; all of it where no keys are set.",
  ),
  entryBytes: bytes(1_024, 64 * MEBIBYTE, 256 * 1_024).describe("Longest answer that is stored."),
  bodyBytes: bytes(1_024, 64 * MEBIBYTE, 256 * 1_024).describe(
    "Longest request that is looked up.",
  ),
  store: z.string().regex(/^(memory:|file:.+|https?:\/\/.+|weir:\/\/.+)$/).meta({
    allowed:
      "`memory:`, `file:PATH`, `weir://HOST:PORT,…/NAME` for nodes of `kv`, or the http(s) " +
      "URL of any KV Connect server",
  }).default("memory:").describe(
    "Where answers outlive the process and other gateways find them. `memory:` keeps them here " +
      "alone.",
  ),
  storeCredential: credentialReference().exactOptional().describe(
    "Where the access token of that server is kept: `env:NAME` or `file:PATH`.",
  ),
  storeReadSeconds: seconds(0.001, 10, 0.015).describe(
    "How long after its arrival a request may wait for that store.",
  ),
  indexDirectory: filePath().exactOptional().describe(
    "Folder in which the vector index is saved, for a quick restart; not saved where left out.",
  ),
  graphFrom: z.int().min(64).max(1_000_000).default(2_048).describe(
    "Vectors of one scope above which a graph index takes the place of the plain scan.",
  ),
  native: z.enum(["auto", "never"]).default("auto").describe(
    "Whether the native vector library is used where it may be loaded; without it, every " +
      "search is a scan.",
  ),
  embedder: Embedder.prefault({}).describe("What makes vectors of texts."),
  judge: Judge.prefault({}).describe("What compares two answers, for the mode `verified`."),
  followersMax: z.int().min(0).max(100_000).default(256).describe(
    "Clients that may share a request in progress besides the first.",
  ),
  flightBytes: bytes(4_096, 1_024 * MEBIBYTE, 4 * MEBIBYTE).describe(
    "How much of a shared stream is held for its slower clients.",
  ),
  nearMissesMax: z.int().min(0).max(100_000).default(1_000).describe(
    "Lookups just under the line that are remembered for operators.",
  ),
  nearMissTexts: z.boolean().default(false).describe(
    "Whether their questions are remembered as well. They are your users' words.",
  ),
});

const Semantic = z.strictObject({
  mode: z.enum(["off", "observe", "static", "verified"]).default("observe").describe(
    "`observe` looks up and serves nothing; `static` serves from a threshold on; `verified` " +
      "serves where the error has been shown to stay within `errorBound`.",
  ),
  threshold: z.number().min(0).max(1).exactOptional().describe(
    "Similarity from which `static` serves. The built-in embedder has a default; for any other, " +
      "`calibrate` shows what to choose.",
  ),
  errorBound: z.number().min(0.001).max(0.5).default(0.05).describe(
    "Greatest share of wrong answers among the answers served by `verified`, on average.",
  ),
  messagesMax: z.int().min(1).max(1_000).default(4).describe(
    "Requests with more messages are not answered by similarity.",
  ),
  turnCharactersMax: z.int().min(1).max(100_000).default(2_000).describe(
    "Nor are those whose last message is longer than this many characters.",
  ),
});

/** The part each model has. */
export const ModelCacheSettings = z.strictObject({
  enabled: z.boolean().default(false).describe("Whether answers of this model are kept at all."),
  flight: z.boolean().default(true).describe(
    "Whether clients with one and the same request share one call while it runs.",
  ),
  exact: z.boolean().default(true).describe("Whether the same request is answered from the cache."),
  canonical: z.boolean().default(true).describe(
    "Whether one that differs in spaces, case, end punctuation or politeness is, too.",
  ),
  semantic: Semantic.prefault({}).describe("Whether one that is worded differently is, too."),
  ttlSeconds: seconds(1, 31_536_000, 3_600).describe("How long an answer is fresh, ± 10 %."),
  ttlSecondsMax: seconds(1, 31_536_000, 86_400).describe(
    "The most a client may ask for with `Weir-Cache-TTL`.",
  ),
  relativeTimeTtlSeconds: seconds(0, 31_536_000, 60).describe(
    "The same for questions that speak of the present, such as “today” or “latest”.",
  ),
  staleIfErrorSeconds: seconds(0, 31_536_000, 86_400).describe(
    "How long after that an answer may still serve, marked, when no backend can.",
  ),
  maxTemperature: z.number().min(0).max(2).default(0.3).describe(
    "Above this temperature only the very same request is answered.",
  ),
  deterministicOnly: z.boolean().default(false).describe(
    "Whether only requests with temperature 0 are cached.",
  ),
  strict: z.boolean().default(false).describe(
    "Whether every hit first asks the shared store for invalidations, instead of hearing of them.",
  ),
  replayEventsPerSecond: z.number().min(1).max(100_000).exactOptional().describe(
    "Pace of replayed streams; as fast as the client reads where left out.",
  ),
});

/** Prices of a model, for the saved cost. */
export const PriceSettings = z.strictObject({
  inputPerMillion: z.number().min(0).max(1e6).describe("Price of a million prompt tokens."),
  outputPerMillion: z.number().min(0).max(1e6).describe("Price of a million answer tokens."),
});
