/**
 * A stream of the Messages API as chat completion chunks.
 *
 *     message_start                      role
 *     content_block_start  tool_use      tool call: index, id, name
 *     content_block_delta  text          content
 *                          thinking      reasoning_content
 *                          input_json    tool call: index, arguments
 *     content_block_stop   tool_use      arguments that did not come as deltas
 *     message_delta                      signed thinking, finish_reason
 *     (the backend's end)                usage, [DONE]
 *
 * `ping`, `error` and anything unknown say nothing. Signed thinking goes out
 * once, in one chunk: some clients join lists by `index`, others keep the last.
 *
 * @module
 */
import type { CallerEvent, StreamOptions, StreamTranslator } from "../translate.ts";
import { keptThinking } from "./completion_from_message.ts";
import { chatUsage, finishReason, mergedUsage } from "./finish.ts";
import { isObject, type JsonObject, objectOf, textOf } from "./json_value.ts";
import { argumentsFromInput } from "./tools.ts";

/** A tool call that is being streamed. */
interface OpenCall {
  /** Its place among the calls. */
  readonly index: number;
  /** What the block began with: all of it, where no deltas follow. */
  readonly input: unknown;
  /** Whether deltas have brought arguments. */
  begun: boolean;
}

/** Translates one stream. */
export class ChunksFromMessages implements StreamTranslator {
  readonly #options: StreamOptions;
  readonly #calls = new Map<unknown, OpenCall>();
  readonly #thoughts = new Map<unknown, JsonObject>();
  #model = "";
  #usage: JsonObject = {};
  #callsTotal = 0;
  #started = false;
  #finished = false;
  #ended = false;

  /** One translator a stream. */
  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** @inheritdoc */
  push(event: string | null, data: unknown): CallerEvent[] {
    if (!isObject(data) || this.#ended) return [];
    switch (data["type"] ?? event) {
      case "message_start":
        return this.#start(objectOf(data["message"]));
      case "content_block_start":
        return this.#startBlock(data["index"], objectOf(data["content_block"]));
      case "content_block_delta":
        return this.#delta(data["index"], objectOf(data["delta"]));
      case "content_block_stop":
        return this.#stopBlock(data["index"]);
      case "message_delta":
        this.#usage = mergedUsage(this.#usage, data["usage"]);
        return this.#finish(objectOf(data["delta"]));
      default:
        return [];
    }
  }

  /** @inheritdoc */
  end(): CallerEvent[] {
    if (this.#ended) return [];
    const owed = this.#finished ? [] : this.#finish({
      stop_reason: this.#callsTotal > 0 ? "tool_use" : "end_turn",
    });
    this.#ended = true;
    if (this.#options.includeUsage) {
      owed.push(this.#chunk({ choices: [], usage: chatUsage(this.#usage) }));
    }
    owed.push({ event: null, data: "[DONE]" });
    return owed;
  }

  #start(message: JsonObject): CallerEvent[] {
    if (this.#started) return [];
    this.#started = true;
    this.#model = textOf(message["model"]);
    this.#usage = mergedUsage(this.#usage, message["usage"]);
    return [this.#choice({ role: "assistant", content: "" })];
  }

  #startBlock(at: unknown, block: JsonObject): CallerEvent[] {
    switch (block["type"]) {
      case "text":
        return this.#text("content", block["text"]);
      case "thinking":
        this.#thoughts.set(at, { ...block });
        return this.#text("reasoning_content", block["thinking"]);
      case "redacted_thinking":
        this.#thoughts.set(at, block);
        return [];
      case "tool_use": {
        const call = { index: this.#callsTotal++, input: block["input"], begun: false };
        this.#calls.set(at, call);
        const called = { name: textOf(block["name"]), arguments: "" };
        const opened = { index: call.index, id: block["id"], type: "function", function: called };
        return [this.#choice({ tool_calls: [opened] })];
      }
      default:
        return [];
    }
  }

  #delta(at: unknown, delta: JsonObject): CallerEvent[] {
    switch (delta["type"]) {
      case "text_delta":
        return this.#text("content", delta["text"]);
      case "thinking_delta":
        this.#remember(at, "thinking", delta["thinking"]);
        return this.#text("reasoning_content", delta["thinking"]);
      case "signature_delta":
        this.#remember(at, "signature", delta["signature"]);
        return [];
      case "input_json_delta": {
        const call = this.#calls.get(at);
        const text = textOf(delta["partial_json"]);
        if (call === undefined || text === "") return [];
        call.begun = true;
        return [this.#argumentsChunk(call, text)];
      }
      default:
        return [];
    }
  }

  #stopBlock(at: unknown): CallerEvent[] {
    const call = this.#calls.get(at);
    if (call === undefined || call.begun) return [];
    call.begun = true;
    return [this.#argumentsChunk(call, argumentsFromInput(call.input))];
  }

  #finish(delta: JsonObject): CallerEvent[] {
    const reason = delta["stop_reason"];
    if (this.#finished || typeof reason !== "string") return [];
    this.#finished = true;
    const chunks: CallerEvent[] = [];
    const kept: JsonObject[] = [];
    for (const block of this.#thoughts.values()) {
      const thinking = keptThinking(block, kept.length);
      if (thinking !== null) kept.push(thinking);
    }
    if (kept.length > 0) chunks.push(this.#choice({ thinking_blocks: kept }));
    const sequence = delta["stop_sequence"];
    const extra = typeof sequence === "string" ? { stop_reason: sequence } : {};
    chunks.push(this.#choice({}, { finish_reason: finishReason(reason), ...extra }));
    return chunks;
  }

  #remember(at: unknown, field: string, text: unknown): void {
    const block = this.#thoughts.get(at);
    if (block !== undefined) block[field] = textOf(block[field]) + textOf(text);
  }

  #text(field: string, text: unknown): CallerEvent[] {
    return typeof text === "string" && text !== "" ? [this.#choice({ [field]: text })] : [];
  }

  #argumentsChunk(call: OpenCall, text: string): CallerEvent {
    return this.#choice({ tool_calls: [{ index: call.index, function: { arguments: text } }] });
  }

  #choice(delta: JsonObject, rest: JsonObject = { finish_reason: null }): CallerEvent {
    const choices = [{ index: 0, delta, logprobs: null, ...rest }];
    // Whoever asked for usage finds the field in every chunk, as at OpenAI.
    return this.#chunk(this.#options.includeUsage ? { choices, usage: null } : { choices });
  }

  #chunk(fields: JsonObject): CallerEvent {
    const { id, createdSeconds } = this.#options;
    const data = {
      id,
      object: "chat.completion.chunk",
      created: createdSeconds,
      model: this.#model,
      ...fields,
    };
    return { event: null, data };
  }
}
