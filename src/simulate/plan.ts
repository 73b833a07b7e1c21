/**
 * Decides what to answer: request, faults and circumstances in, a script out.
 *
 * Nothing here waits or sends; time, counts and seeds come in as arguments.
 *
 * @module
 */

import { type AnswerOptions, answerTo } from "./answers/answer.ts";
import { hexDigits, logNormalFactor, seededRandom } from "./chance.ts";
import type { SimulatorSettings } from "./control.ts";
import { base64Vector, embeddingOf } from "./answers/embedding.ts";
import {
  FAILOVER_ANSWER,
  failoverFaults,
  type FailoverTiming,
  isFailoverModel,
} from "./faults/failover_models.ts";
import { type FailureSetting, refuseIfDue, statusError } from "./faults/failures.ts";
import { byteFaultWords, streamFaultWords } from "./faults/fault_words.ts";
import { type Faults, looksOf, parseFaults, splitModel } from "./faults/faults.ts";
import { CHAT_FORMAT } from "./formats/chat.ts";
import { COMPLETIONS_FORMAT } from "./formats/completions.ts";
import { MESSAGES_FORMAT } from "./formats/messages.ts";
import { RESPONSES_FORMAT } from "./formats/responses.ts";
import type { Exchange, WireFormat } from "./formats/wire.ts";
import { delayed, framed, type ResponseHead, type Script, wordless } from "./transport/framing.ts";
import { type Pace, streamPieces, wholePieces } from "./transport/pieces.ts";
import { type ErrorShape, Refusal, refusalBody } from "./refusal.ts";
import {
  type EmbeddingsRequest,
  promptTokens,
  type SimulatedRequest,
  type TextRequest,
  type TextSurface,
} from "./requests/request.ts";

/** Where and when an answer is planned. */
export interface Circumstances extends FailureSetting {
  /** Number of this request among those with the same model and fault since the reset, from 1. */
  readonly attempt: number;
  /** Times of the `fb-` models. */
  readonly failoverTiming: FailoverTiming;
  /** Whether answers differ from request to request. */
  readonly randomAnswers: boolean;
  /** Whether the connection may be kept. */
  readonly keepAlive: boolean;
  /** Whether the client speaks HTTP/1.0. */
  readonly oldHttp: boolean;
}

/** What happens for one request. */
export interface Plan {
  /** In words, for the log. */
  readonly action: string;
  /** The status sent; `null` if none is. */
  readonly status: number | null;
  /** What is sent. */
  readonly script: Script;
}

const FORMATS: Readonly<Record<TextSurface, WireFormat>> = {
  chat: CHAT_FORMAT,
  completions: COMPLETIONS_FORMAT,
  responses: RESPONSES_FORMAT,
  messages: MESSAGES_FORMAT,
};

const ENCODER = new TextEncoder();
const JSON_TYPE = ["content-type", "application/json"] as const;
const HTML = "<!doctype html><html><head><title>Simulated gateway</title></head>" +
  "<body><h1>Welcome</h1><p>This is a web page where an API answer belongs.</p></body></html>";

/**
 * The faults that hold for one request.
 *
 * @param model Model name, perhaps with `!fault`.
 * @param extra Fault text from the headers; wins over the model's, which wins over the settings'.
 * @throws {Refusal} If a fault cannot be read (400), or the model does not exist (404).
 */
export function faultsFor(
  model: string,
  extra: string,
  settings: SimulatorSettings,
): Faults {
  const { base, fault } = splitModel(model);
  const own = isFailoverModel(base) ? failoverFaults(base, settings.failoverTiming) : {};
  const { models, strictModels } = settings.profile;
  const unlisted = strictModels === true && !isFailoverModel(base) && !models.includes(base);
  if (own === null || unlisted) {
    const message = `Cannot use model "${base}": it does not exist`;
    throw new Refusal(404, message, { code: "model_not_found", param: "model" });
  }
  return {
    ...parseFaults(settings.fault),
    ...own,
    ...parseFaults(fault),
    ...parseFaults(extra),
  };
}

/**
 * Plans the answer to a valid request.
 *
 * @throws {Refusal} Where the answer is an error status.
 */
export function planAnswer(
  request: SimulatedRequest,
  faults: Faults,
  circumstances: Circumstances,
): Plan {
  const active = activeFaults(faults, circumstances.attempt);
  const failure = silentFailure(active);
  if (failure !== null) return failure;
  refuseIfDue(request, active, circumstances);
  return request.surface === "embeddings"
    ? planEmbeddings(request, active, circumstances)
    : planText(request, active, circumstances);
}

/** Plans an error answer. */
export function planRefusal(
  refusal: Refusal,
  shape: ErrorShape,
  circumstances: Pick<Circumstances, "seed" | "sequence" | "keepAlive" | "oldHttp">,
): Plan {
  const id = `req_${hexDigits(circumstances.seed, circumstances.sequence, 24)}`;
  const body = ENCODER.encode(refusalBody(refusal, shape, id));
  const extra = refusal.options.headers ?? [];
  const head = wholeHead(refusal.status, body.length, circumstances, [
    ["x-request-id", id],
    JSON_TYPE,
    ...extra,
  ]);
  const retry = extra.filter(([name]) => name.startsWith("retry-after"));
  const reason = refusal.options.code === undefined ? "" : ` ${refusal.options.code}`;
  return {
    action: `${refusal.status}${reason}${
      retry.map(([name, value]) => ` ${name}=${value}`).join("")
    }`,
    status: refusal.status,
    script: framed(head, wholePieces(body), {}),
  };
}

/** Plans any JSON answer with status 200. */
export function planJson(
  value: unknown,
  circumstances: Pick<Circumstances, "keepAlive" | "oldHttp">,
): Plan {
  const body = ENCODER.encode(JSON.stringify(value));
  const head = wholeHead(200, body.length, circumstances, [JSON_TYPE]);
  return { action: "200", status: 200, script: framed(head, wholePieces(body), {}) };
}

/** After `times` attempts nothing goes wrong any more; how the answer looks stays. */
function activeFaults(faults: Faults, attempt: number): Faults {
  return faults.times === undefined || attempt <= faults.times ? faults : looksOf(faults);
}

function silentFailure(faults: Faults): Plan | null {
  if (faults.reset === true) {
    return { action: "reset before headers", status: null, script: wordless(0, "reset") };
  }
  if (faults.silenceSeconds !== undefined) {
    const script = wordless(faults.silenceSeconds * 1_000, "close");
    return { action: `silence for ${faults.silenceSeconds} s`, status: null, script };
  }
  return null;
}

function planText(request: TextRequest, faults: Faults, circumstances: Circumstances): Plan {
  const scripted = isFailoverModel(request.model);
  const random = circumstances.randomAnswers || faults.random === true;
  const words = faults.words ?? circumstances.profile.words;
  const options: AnswerOptions = {
    variation: random ? (circumstances.seed ^ (circumstances.sequence + 1)) || 1 : 0,
    ...(scripted ? { fixedText: FAILOVER_ANSWER } : {}),
    ...(words === undefined ? {} : { words }),
    ...(faults.reasoningWords === undefined ? {} : { reasoningWords: faults.reasoningWords }),
    ...(faults.toolCalls === undefined ? {} : { toolCalls: faults.toolCalls }),
  };
  const exchange: Exchange = {
    request,
    answer: answerTo(request, options),
    id: hexDigits(circumstances.seed, circumstances.sequence, 24),
    createdSeconds: Math.floor(circumstances.wallMs / 1_000),
  };
  const format = FORMATS[request.surface];
  const pace = paceOf(faults, circumstances, scripted);
  const whole = faults.html === true || faults.badJson === true || faults.truncatedBody === true;
  if (!request.stream || whole) return planWhole(exchange, faults, { circumstances, pace });
  const head: ResponseHead = {
    status: 200,
    headers: [
      ["x-request-id", `req_${exchange.id}`],
      ["content-type", "text/event-stream; charset=utf-8"],
      ["cache-control", "no-cache"],
    ],
    lengthBytes: null,
    keepAlive: circumstances.keepAlive && !circumstances.oldHttp,
    oldHttp: circumstances.oldHttp,
  };
  const pieces = streamPieces(exchange, format, faults, pace);
  return {
    action: ["200 stream", ...streamFaultWords(faults)].join(", "),
    status: 200,
    script: framed(head, pieces, faults),
  };
}

function planWhole(
  exchange: Exchange,
  faults: Faults,
  setting: { readonly circumstances: Circumstances; readonly pace: Pace },
): Plan {
  const { circumstances, pace } = setting;
  const format = FORMATS[exchange.request.surface];
  const waitMs = pace.whole(exchange.answer.answerTokens) + (faults.slowSeconds ?? 0) * 1_000;
  if (faults.inBandErrorTokens !== undefined) {
    const shape = exchange.request.surface === "messages" ? "anthropic" : "openai";
    const body = refusalBody(statusError(500), shape, `req_${exchange.id}`);
    return bodyPlan(ENCODER.encode(body), {}, { circumstances, waitMs, note: "error in the body" });
  }
  if (faults.html === true) {
    return bodyPlan(ENCODER.encode(HTML), {}, { circumstances, waitMs, note: "html", html: true });
  }
  const body = ENCODER.encode(format.whole(exchange));
  if (faults.badJson === true || faults.malformedToken !== undefined) {
    const half = body.subarray(0, body.length / 2);
    return bodyPlan(half, faults, { circumstances, waitMs, note: "half of the JSON" });
  }
  return bodyPlan(body, wholeFaults(faults, body.length), { circumstances, waitMs, note: "" });
}

/** Faults by token have no place in a body sent at once; their nearest by byte do. */
function wholeFaults(faults: Faults, lengthBytes: number): Faults {
  const most = Math.floor(lengthBytes * 0.6);
  if (faults.truncatedBody === true || faults.cutTokens !== undefined) {
    return { ...faults, cutBytes: most };
  }
  if (faults.rstTokens !== undefined) return { ...faults, rstBytes: most };
  if (faults.stallTokens !== undefined) return { ...faults, stallBytes: 0 };
  return faults;
}

function bodyPlan(
  body: Uint8Array<ArrayBuffer>,
  faults: Faults,
  setting: {
    readonly circumstances: Circumstances;
    readonly waitMs: number;
    readonly note: string;
    readonly html?: boolean;
  },
): Plan {
  const { circumstances, waitMs, note } = setting;
  const type = setting.html === true ? ["content-type", "text/html"] as const : JSON_TYPE;
  const id = `req_${hexDigits(circumstances.seed, circumstances.sequence, 24)}`;
  const head = wholeHead(200, body.length, circumstances, [["x-request-id", id], type]);
  const script = framed(head, wholePieces(body), faults);
  const notes = note === "" ? byteFaultWords(faults) : [note, ...byteFaultWords(faults)];
  return {
    action: ["200", ...notes].join(", "),
    status: 200,
    script: waitMs > 0 ? delayed(waitMs, script) : script,
  };
}

function planEmbeddings(
  request: EmbeddingsRequest,
  faults: Faults,
  circumstances: Circumstances,
): Plan {
  const data = request.inputs.map((text, index) => {
    const vector = embeddingOf(text, request.dimensions);
    const embedding = request.encoding === "base64" ? base64Vector(vector) : [...vector];
    return { object: "embedding", index, embedding };
  });
  const tokens = promptTokens(request);
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  const value = { object: "list", data, model: request.model, usage };
  const body = ENCODER.encode(JSON.stringify(value));
  const pace = paceOf(faults, circumstances, isFailoverModel(request.model));
  const waitMs = pace.first() + (faults.slowSeconds ?? 0) * 1_000;
  const setting = { circumstances, waitMs, note: "" };
  if (faults.badJson === true) return bodyPlan(body.subarray(0, body.length / 2), faults, setting);
  return bodyPlan(body, wholeFaults(faults, body.length), setting);
}

function paceOf(faults: Faults, circumstances: Circumstances, scripted: boolean): Pace {
  const { profile, failoverTiming } = circumstances;
  const random = seededRandom(circumstances.seed ^ (circumstances.sequence * 0x9e3779b1));
  const firstMs = faults.firstTokenMs ?? (scripted ? 0 : profile.firstTokenMs);
  const nextMs = faults.interTokenMs ?? (scripted ? failoverTiming.tokenMs : profile.interTokenMs);
  const sigma = scripted ? 0 : profile.jitter;
  const first = () => firstMs * logNormalFactor(random, sigma);
  return {
    first,
    next: () => nextMs * logNormalFactor(random, sigma),
    // The catalogue's models answer at once unless they stream.
    whole: (tokens) => scripted ? 0 : first() + nextMs * Math.max(0, tokens - 1),
  };
}

function wholeHead(
  status: number,
  lengthBytes: number,
  circumstances: Pick<Circumstances, "keepAlive" | "oldHttp">,
  headers: ReadonlyArray<readonly [string, string]>,
): ResponseHead {
  const { keepAlive, oldHttp } = circumstances;
  return { status, headers, lengthBytes, keepAlive, oldHttp };
}
