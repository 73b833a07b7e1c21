/**
 * Reads a client's request: what it asks for, and what a backend must be able to do.
 *
 * Only the fields that routing needs are checked; all others pass to the
 * backend, which knows them better. A field of the wrong type is refused here
 * with its path, so that no backend is paid for a request that cannot work.
 *
 * @module
 */
import type { Demand } from "../balance/types.ts";
import type { Surface } from "../backends/surface.ts";
import { GatewayError } from "../errors.ts";
import { depthExceeds } from "../stream/json_splice.ts";

/** A checked request. */
export interface Inbound {
  /** The API it came in by. */
  readonly surface: Surface;
  /** The body as it was sent. */
  readonly text: string;
  /** The body parsed. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The model asked for: an alias of the configuration. */
  readonly model: string;
  /** Whether the client wants a stream. */
  readonly stream: boolean;
  /** Whether the client asked for a usage chunk (chat and completions). */
  readonly wantsUsage: boolean;
  /** How many choices were asked for. */
  readonly choices: number;
  /** Whether the last message is the assistant's: to be carried on, not answered. */
  readonly prefilled: boolean;
  /** What a target must offer, but for the fields that only the gateway knows. */
  readonly demand: Pick<
    Demand,
    "promptTokens" | "answerTokensMax" | "streaming" | "tools" | "vision" | "jsonSchema"
  >;
  /** `prompt_cache_key`, where given. */
  readonly cacheKey: string | null;
  /** The head of the rendered prompt, 1,024 characters at most: the affinity key's source. */
  readonly promptHead: string;
}

/** How large a request may be. */
export interface InboundLimits {
  /** Deepest nesting of arrays and objects. */
  readonly jsonDepth: number;
}

/** Length of the prompt's head that affinity looks at. */
const HEAD_CHARACTERS = 1_024;

/** How many characters make a token, where nobody counted. */
const CHARACTERS_A_TOKEN = 4;

/**
 * Checks a request body.
 *
 * @param surface The API it came in by.
 * @param text The body, decoded.
 * @throws {GatewayError} `invalid_json`, `nesting_too_deep` or `invalid_request`, with the path.
 */
export function readInbound(surface: Surface, text: string, limits: InboundLimits): Inbound {
  const body = parseObject(text, limits);
  const model = body["model"];
  if (model === undefined) {
    throw invalid("model", "it is missing; name one that GET /v1/models lists");
  }
  if (typeof model !== "string" || model === "") {
    throw invalid("model", `it must be a non-empty string, not ${kindOf(model)}`);
  }
  const stream = optionalBoolean(body, "stream") ?? false;
  const prompt = new PromptSize();
  const prefilled = readPrompt(surface, body, prompt);
  const options = body["stream_options"];
  if (options !== undefined && options !== null && !isObject(options)) {
    throw invalid("stream_options", `it must be an object, not ${kindOf(options)}`);
  }
  return {
    surface,
    text,
    body,
    model,
    stream: surface === "embeddings" ? false : stream,
    wantsUsage: isObject(options) && options["include_usage"] === true,
    choices: choicesOf(body),
    prefilled,
    demand: {
      promptTokens: Math.ceil(prompt.characters / CHARACTERS_A_TOKEN),
      answerTokensMax: answerTokensMax(body),
      streaming: stream,
      tools: usesTools(body),
      vision: prompt.images,
      jsonSchema: usesJsonSchema(body),
    },
    cacheKey: typeof body["prompt_cache_key"] === "string" ? body["prompt_cache_key"] : null,
    promptHead: prompt.head,
  };
}

/** Parses a JSON object, bounded in depth. */
function parseObject(text: string, limits: InboundLimits): Record<string, unknown> {
  if (text.trim() === "") throw new GatewayError("invalid_json", "Cannot read body: it is empty");
  if (depthExceeds(text, limits.jsonDepth)) {
    throw new GatewayError(
      "nesting_too_deep",
      `Cannot read body: it nests deeper than ${limits.jsonDepth} levels`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new GatewayError(
      "invalid_json",
      `Cannot read body: it is no valid JSON${positionIn(cause.message)}`,
      { cause },
    );
  }
  if (!isObject(value)) {
    throw new GatewayError(
      "invalid_request",
      `Cannot read body: it must be a JSON object, not ${kindOf(value)}`,
    );
  }
  return value;
}

/** V8 quotes the input in its message; only the position is passed on. */
function positionIn(message: string): string {
  const position = /position (\d+)(?: \(line (\d+) column (\d+)\))?/.exec(message);
  if (position === null) return "";
  return position[2] === undefined
    ? ` at position ${position[1]}`
    : ` at line ${position[2]}, column ${position[3]}`;
}

/** Adds up the prompt while it is checked. */
class PromptSize {
  characters = 0;
  images = false;
  head = "";

  text(value: string): void {
    this.characters += value.length;
    if (this.head.length < HEAD_CHARACTERS) {
      this.head += value.slice(0, HEAD_CHARACTERS - this.head.length);
    }
  }
}

/** Checks the prompt of a surface; returns whether it ends in an assistant's turn. */
function readPrompt(
  surface: Surface,
  body: Record<string, unknown>,
  size: PromptSize,
): boolean {
  switch (surface) {
    case "chat":
      return readMessages(body, size);
    case "messages": {
      const system = body["system"];
      if (typeof system === "string") size.text(system);
      else if (Array.isArray(system)) readParts(system, "system", size);
      else if (system !== undefined) {
        throw invalid("system", `it must be a string or an array, not ${kindOf(system)}`);
      }
      const limit = body["max_tokens"];
      if (limit === undefined) throw invalid("max_tokens", "it is missing; this API requires it");
      return readMessages(body, size);
    }
    case "completions":
      readPlain(body, "prompt", size);
      return false;
    case "embeddings":
      readPlain(body, "input", size);
      return false;
    case "responses":
      readResponsesInput(body, size);
      return false;
  }
}

function readMessages(body: Record<string, unknown>, size: PromptSize): boolean {
  const messages = body["messages"];
  if (messages === undefined) throw invalid("messages", "it is missing");
  if (!Array.isArray(messages)) {
    throw invalid("messages", `it must be an array, not ${kindOf(messages)}`);
  }
  if (messages.length === 0) throw invalid("messages", "it must hold at least one message");
  let role = "";
  for (const [index, message] of messages.entries()) {
    const path = `messages[${index}]`;
    if (!isObject(message)) throw invalid(path, `it must be an object, not ${kindOf(message)}`);
    if (typeof message["role"] !== "string") {
      throw invalid(`${path}.role`, `it must be a string, not ${kindOf(message["role"])}`);
    }
    role = message["role"];
    const content = message["content"];
    if (typeof content === "string") size.text(content);
    else if (Array.isArray(content)) readParts(content, `${path}.content`, size);
    else if (content !== undefined && content !== null) {
      throw invalid(`${path}.content`, `it must be a string or an array, not ${kindOf(content)}`);
    }
  }
  return role === "assistant";
}

/** Reads content parts: text counts, an image is noticed, its bytes do not count as prompt. */
function readParts(parts: readonly unknown[], path: string, size: PromptSize): void {
  for (const [index, part] of parts.entries()) {
    if (typeof part === "string") {
      size.text(part);
      continue;
    }
    if (!isObject(part)) {
      throw invalid(`${path}[${index}]`, `it must be an object, not ${kindOf(part)}`);
    }
    const text = part["text"];
    if (typeof text === "string") size.text(text);
    const type = part["type"];
    if (type === "image_url" || type === "image" || type === "input_image") size.images = true;
    const nested = part["content"];
    if (typeof nested === "string") size.text(nested);
    else if (Array.isArray(nested)) readParts(nested, `${path}[${index}].content`, size);
  }
}

/** A string, an array of strings, or arrays of token numbers. */
function readPlain(body: Record<string, unknown>, name: string, size: PromptSize): void {
  const value = body[name];
  if (value === undefined) throw invalid(name, "it is missing");
  if (typeof value === "string") return size.text(value);
  if (!Array.isArray(value)) {
    throw invalid(name, `it must be a string or an array, not ${kindOf(value)}`);
  }
  for (const item of value) {
    if (typeof item === "string") size.text(item);
    else if (typeof item === "number") size.characters += CHARACTERS_A_TOKEN;
    else if (Array.isArray(item)) size.characters += CHARACTERS_A_TOKEN * item.length;
    else throw invalid(name, `it must hold strings or numbers, not ${kindOf(item)}`);
  }
}

function readResponsesInput(body: Record<string, unknown>, size: PromptSize): void {
  const instructions = body["instructions"];
  if (typeof instructions === "string") size.text(instructions);
  const input = body["input"];
  if (typeof input === "string") return size.text(input);
  if (Array.isArray(input)) return readParts(input, "input", size);
  if (input !== undefined && input !== null) {
    throw invalid("input", `it must be a string or an array, not ${kindOf(input)}`);
  }
}

function answerTokensMax(body: Record<string, unknown>): number {
  for (const name of ["max_completion_tokens", "max_tokens", "max_output_tokens"]) {
    const value = body[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0) {
      throw invalid(name, `it must be a whole number of at least 0, not ${kindOf(value)}`);
    }
    return value;
  }
  return 0;
}

function choicesOf(body: Record<string, unknown>): number {
  const choices = body["n"];
  if (choices === undefined || choices === null) return 1;
  if (typeof choices !== "number" || !Number.isInteger(choices) || choices < 1 || choices > 128) {
    throw invalid("n", `it must be a whole number from 1 to 128, not ${kindOf(choices)}`);
  }
  return choices;
}

function usesTools(body: Record<string, unknown>): boolean {
  const tools = body["tools"];
  if (tools === undefined || tools === null) return false;
  if (!Array.isArray(tools)) throw invalid("tools", `it must be an array, not ${kindOf(tools)}`);
  return tools.length > 0;
}

function usesJsonSchema(body: Record<string, unknown>): boolean {
  const format = body["response_format"];
  if (isObject(format)) return format["type"] === "json_schema";
  const text = body["text"];
  if (isObject(text) && isObject(text["format"])) return text["format"]["type"] === "json_schema";
  return false;
}

function optionalBoolean(body: Record<string, unknown>, name: string): boolean | null {
  const value = body[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== "boolean") {
    throw invalid(name, `it must be true or false, not ${kindOf(value)}`);
  }
  return value;
}

function invalid(param: string, why: string): GatewayError {
  return new GatewayError("invalid_request", `Cannot use "${param}": ${why}`, { param });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Names a value's kind for an error message; never the value itself. */
function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return "an object";
  if (typeof value === "number" && !Number.isInteger(value)) return "a fraction";
  return `a ${typeof value}`;
}
