/**
 * Chat completion chunks as a stream of the Messages API.
 *
 * That API sends one block after the other, each opened and closed. Chunks just
 * come: most servers send one tool call after the other, some mix them. So one
 * block is live at a time; what belongs to another waits, unless the live block
 * is known to be complete: text and thinking always are, a tool call is once its
 * arguments parse as JSON. What waits goes out, in order, at the end.
 *
 * Usage is known only at the end: `message_start` says 0, `message_delta` has
 * the totals, which clients take over.
 *
 * @module
 */
import type { CallerEvent, StreamOptions, StreamTranslator } from "../translate.ts";
import { joinedText } from "./content.ts";
import { matchedStop, messagesUsage, stopFrom } from "./finish.ts";
import { isObject, type JsonObject, listOf, objectOf, textOf } from "./json_value.ts";
import { reasoningText } from "./message_from_completion.ts";

/** One content block. */
interface Block {
  readonly kind: "text" | "thinking" | "tool";
  /** The call's place in the chat stream; 0 for the others. */
  readonly call: number;
  /** The tool call as announced. */
  readonly id: string;
  /** The tool that is called. */
  readonly name: string;
  /** What has come: for a tool all of its arguments, for others what waits. */
  text: string;
}

/** Translates one stream. */
export class EventsFromChat implements StreamTranslator {
  readonly #options: StreamOptions;
  readonly #calls: Block[] = [];
  readonly #waiting: Block[] = [];
  #live: Block | null = null;
  #blocksTotal = 0;
  #model = "";
  #usage: unknown = null;
  #finish: unknown = null;
  #sequence: unknown = null;
  #started = false;
  #ended = false;

  /** One translator a stream. */
  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** @inheritdoc */
  push(_event: string | null, data: unknown): CallerEvent[] {
    if (!isObject(data) || this.#ended) return [];
    if (isObject(data["usage"])) this.#usage = data["usage"];
    if (this.#model === "") this.#model = textOf(data["model"]);
    const choice = listOf(data["choices"]).filter(isObject).find(isFirst);
    // Azure begins with a chunk about its filters that has no choice and no model yet.
    if (choice === undefined) return [];
    const events = this.#start();
    const delta = objectOf(choice["delta"]);
    this.#piece(events, "thinking", reasoningText(delta));
    this.#signature(events, delta);
    this.#piece(events, "text", joinedText(delta["content"], ""));
    if (textOf(delta["refusal"]) !== "") {
      this.#piece(events, "text", textOf(delta["refusal"]));
      this.#finish = "content_filter";
    }
    for (const call of listOf(delta["tool_calls"])) {
      if (isObject(call)) this.#toolPiece(events, call);
    }
    this.#finish ??= choice["finish_reason"] ?? null;
    this.#sequence ??= matchedStop(choice) ?? null;
    return events;
  }

  /** @inheritdoc */
  end(): CallerEvent[] {
    if (this.#ended) return [];
    const events = this.#start();
    this.#close(events);
    for (const block of this.#waiting) {
      this.#open(events, block);
      if (block.text !== "") events.push(this.#delta(block, block.text));
      this.#close(events);
    }
    this.#ended = true;
    const stop = stopFrom(this.#finish, {
      callsTools: this.#calls.length > 0,
      sequence: this.#sequence,
    });
    events.push(
      named("message_delta", {
        delta: { stop_reason: stop.reason, stop_sequence: stop.sequence },
        usage: messagesUsage(this.#usage),
      }),
      named("message_stop", {}),
    );
    return events;
  }

  #start(): CallerEvent[] {
    if (this.#started) return [];
    this.#started = true;
    const message = {
      id: this.#options.id,
      type: "message",
      role: "assistant",
      model: this.#model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: messagesUsage(null),
    };
    return [named("message_start", { message })];
  }

  #piece(events: CallerEvent[], kind: "text" | "thinking", text: string): void {
    if (text === "") return;
    if (this.#live?.kind === kind && this.#waiting.length === 0) {
      events.push(this.#delta(this.#live, text));
      return;
    }
    const last = this.#waiting.at(-1);
    if (last?.kind === kind) {
      last.text += text;
      return;
    }
    this.#begin(events, { kind, call: 0, id: "", name: "", text: "" }, text);
  }

  #toolPiece(events: CallerEvent[], call: JsonObject): void {
    const called = objectOf(call["function"]);
    const text = textOf(called["arguments"]);
    const known = this.#callOf(call, textOf(called["name"]));
    if (known === null) {
      const at = typeof call["index"] === "number" ? call["index"] : this.#calls.length;
      const id = textOf(call["id"]) || `${this.#options.id}_${this.#calls.length}`;
      const block: Block = { kind: "tool", call: at, id, name: textOf(called["name"]), text: "" };
      this.#calls.push(block);
      this.#begin(events, block, text);
      return;
    }
    if (text === "") return;
    const isLive = known === this.#live;
    // A call that was closed was complete: only white space can follow.
    if (!isLive && !this.#waiting.includes(known)) return;
    known.text += text;
    if (isLive) events.push(this.#delta(known, text));
  }

  /**
   * The call that a piece belongs to, or `null` if it begins one. Some servers
   * leave the index out, or give every call the same one and only another id.
   */
  #callOf(call: JsonObject, name: string): Block | null {
    const id = textOf(call["id"]);
    const index = call["index"];
    const known = typeof index === "number"
      ? this.#calls.findLast((block) => block.call === index)
      : id === ""
      ? this.#calls.at(-1)
      : this.#calls.find((block) => block.id === id);
    if (known === undefined) return null;
    return id !== "" && name !== "" && id !== known.id ? null : known;
  }

  /** Makes a new block live, or lets it wait. */
  #begin(events: CallerEvent[], block: Block, text: string): void {
    if (this.#waiting.length > 0 || (this.#live !== null && !isComplete(this.#live))) {
      block.text = text;
      this.#waiting.push(block);
      return;
    }
    this.#close(events);
    this.#open(events, block);
    if (block.kind === "tool") block.text = text;
    if (text !== "") events.push(this.#delta(block, text));
  }

  /** A signature, which other gateways send after the thinking it belongs to. */
  #signature(events: CallerEvent[], delta: JsonObject): void {
    if (this.#live?.kind !== "thinking") return;
    for (const block of listOf(delta["thinking_blocks"])) {
      const signature = textOf(objectOf(block)["signature"]);
      if (signature === "") continue;
      const index = this.#blocksTotal - 1;
      const inner = { type: "signature_delta", signature };
      events.push(named("content_block_delta", { index, delta: inner }));
    }
  }

  #open(events: CallerEvent[], block: Block): void {
    const index = this.#blocksTotal++;
    this.#live = block;
    events.push(named("content_block_start", { index, content_block: emptyBlock(block) }));
  }

  #close(events: CallerEvent[]): void {
    if (this.#live === null) return;
    this.#live = null;
    events.push(named("content_block_stop", { index: this.#blocksTotal - 1 }));
  }

  #delta(block: Block, text: string): CallerEvent {
    const index = this.#blocksTotal - 1;
    const delta = block.kind === "text"
      ? { type: "text_delta", text }
      : block.kind === "thinking"
      ? { type: "thinking_delta", thinking: text }
      : { type: "input_json_delta", partial_json: text };
    return named("content_block_delta", { index, delta });
  }
}

function named(type: string, fields: JsonObject): CallerEvent {
  return { event: type, data: { type, ...fields } };
}

function isFirst(choice: JsonObject): boolean {
  return choice["index"] === undefined || choice["index"] === 0;
}

function emptyBlock(block: Block): JsonObject {
  switch (block.kind) {
    case "text":
      return { type: "text", text: "" };
    case "thinking":
      return { type: "thinking", thinking: "", signature: "" };
    case "tool":
      return { type: "tool_use", id: block.id, name: block.name, input: {} };
  }
}

function isComplete(block: Block): boolean {
  if (block.kind !== "tool") return true;
  try {
    JSON.parse(block.text);
    return true;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return false;
  }
}
