/**
 * Answers on the wire, of every kind, in four APIs; and how they are read.
 *
 * @module
 */
import type { CachedSurface } from "../../src/cache/types.ts";
import { errorEvent } from "../../src/backends/error_shape.ts";

/** How an answer turns out. */
export type Kind =
  | "complete"
  | "reasoning"
  | "truncated"
  | "filtered"
  | "refusal"
  | "tool_call"
  | "two_choices"
  | "empty"
  | "unended" // as if it had ended, without its protocol's end
  | "in_band" // an error inside a 200, and then no more
  | "error_inside" // an error inside a 200, and a proper end all the same
  | "cut" // the connection was lost
  | "garbled";

/** One event. */
export interface WireEvent {
  /** Its bytes, as text. */
  readonly text: string;
  /** Whether it is for those alone who asked for usage. */
  readonly usageOnly: boolean;
}

const FAILURE = { status: 502, code: "backend_failed", message: "Cannot go on: it broke" };

const FINISHES: Readonly<Record<"choices" | "messages", Partial<Record<Kind, string>>>> = {
  choices: { truncated: "length", filtered: "content_filter", tool_call: "tool_calls" },
  messages: { truncated: "max_tokens", refusal: "refusal", tool_call: "tool_use" },
};

/** Kinds that may be stored, in this API. */
export function isStorable(kind: Kind, surface: CachedSurface): boolean {
  return kind === "complete" || (kind === "reasoning" && surface === "chat");
}

/** Whether a stream of this kind ends as if it were whole. */
export function endsCleanly(kind: Kind): boolean {
  return kind !== "cut" && kind !== "in_band";
}

/** An answer that comes whole. */
export function wholeOf(surface: CachedSurface, kind: Kind, text: string, model: string): string {
  if (kind === "garbled") return `{"text":${JSON.stringify(text)}`;
  if (kind === "in_band" || kind === "error_inside") {
    return JSON.stringify({ error: { message: "no", type: "server_error" } });
  }
  switch (surface) {
    case "chat":
    case "completions":
      return JSON.stringify(choicesWhole(surface, kind, text, model));
    case "messages":
      return JSON.stringify(messageWhole(kind, text, model));
    case "responses":
      return JSON.stringify(responseWhole(kind, text, model));
  }
}

/** An answer as events; a cut or broken one as far as it got. */
export function eventsOf(
  surface: CachedSurface,
  kind: Kind,
  pieces: readonly string[],
  model: string,
): readonly WireEvent[] {
  const events = surface === "messages"
    ? messageEvents(kind, pieces, model)
    : surface === "responses"
    ? responseEvents(kind, pieces, model)
    : choicesEvents(surface, kind, pieces, model);
  if (kind === "error_inside") {
    return [...events.slice(0, 2), errorOf(surface), ...events.slice(2)];
  }
  if (endsCleanly(kind)) return events;
  const reached = events.slice(0, Math.max(2, events.length - 2));
  return kind === "cut" ? reached : [...reached, errorOf(surface)];
}

function errorOf(surface: CachedSurface): WireEvent {
  return { text: errorEvent(surface, FAILURE), usageOnly: false };
}

function event(data: unknown, name: string | null = null, usageOnly = false): WireEvent {
  const head = name === null ? "" : `event: ${name}\n`;
  return {
    text: `${head}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`,
    usageOnly,
  };
}

function named(data: { readonly type: string } & Record<string, unknown>): WireEvent {
  return event(data, data.type);
}

const USAGE = { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 };

function choicesWhole(surface: "chat" | "completions", kind: Kind, text: string, model: string) {
  const finish = kind === "unended" ? null : FINISHES.choices[kind] ?? "stop";
  const said = kind === "empty" ? "" : text;
  const message = {
    role: "assistant",
    content: kind === "refusal" ? null : said,
    ...(kind === "refusal" ? { refusal: text } : {}),
    ...(kind === "reasoning" ? { reasoning_content: `thinking of ${text}` } : {}),
    ...(kind === "tool_call" ? { tool_calls: [{ id: "c", type: "function", function: {} }] } : {}),
  };
  const body = surface === "chat" ? { message } : { text: said };
  const choice = { index: 0, ...body, finish_reason: finish };
  const choices = kind === "two_choices" ? [choice, { ...choice, index: 1 }] : [choice];
  return { id: "c1", object: "x", created: 1, model, choices, usage: USAGE };
}

function choicesEvents(
  surface: "chat" | "completions",
  kind: Kind,
  pieces: readonly string[],
  model: string,
): WireEvent[] {
  const chunk = (body: object, finish: string | null, index = 0): WireEvent =>
    event({
      id: "c1",
      object: "x",
      created: 1,
      model,
      choices: [{ index, ...body, finish_reason: finish }],
    });
  const isChat = surface === "chat";
  const say = (text: string): object => isChat ? { delta: { content: text } } : { text };
  const nothing = isChat ? { delta: {} } : { text: "" };
  const events: WireEvent[] = isChat
    ? [chunk({ delta: { role: "assistant", content: "" } }, null)]
    : [];
  if (kind === "reasoning" && isChat) {
    events.push(chunk({ delta: { reasoning_content: "thinking" } }, null));
  }
  if (kind === "tool_call" && isChat) {
    events.push(chunk({ delta: { tool_calls: [{ index: 0, id: "c", type: "function" }] } }, null));
  }
  if (kind === "refusal" && isChat) events.push(chunk({ delta: { refusal: "I will not." } }, null));
  if (kind !== "empty") { for (const piece of pieces) events.push(chunk(say(piece), null)); }
  if (kind === "two_choices") events.push(chunk(say("another"), null, 1));
  if (kind === "garbled") events.push(event('{"choices":['));
  if (kind === "unended") return events;
  events.push(chunk(nothing, FINISHES.choices[kind] ?? "stop"));
  events.push(
    event({ id: "c1", object: "x", created: 1, model, choices: [], usage: USAGE }, null, true),
  );
  return [...events, event("[DONE]")];
}

function messageWhole(kind: Kind, text: string, model: string) {
  const block = { type: "text", text: kind === "empty" ? "" : text };
  const more = messageExtra(kind);
  return {
    id: "m1",
    type: "message",
    role: "assistant",
    model,
    content: more === null ? [block] : [more, block],
    stop_reason: kind === "unended" ? null : FINISHES.messages[kind] ?? "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 9, output_tokens: 7 },
  };
}

/** A block that stands beside the text. */
function messageExtra(kind: Kind): object | null {
  switch (kind) {
    case "reasoning":
      return { type: "thinking", thinking: "hm", signature: "s" };
    case "tool_call":
      return { type: "tool_use", id: "t", name: "clock", input: {} };
    case "two_choices":
    case "filtered":
      return { type: "text", text: "another" };
    default:
      return null;
  }
}

function messageEvents(kind: Kind, pieces: readonly string[], model: string): WireEvent[] {
  const { content: _content, ...start } = messageWhole("unended", "", model);
  const events = [named({ type: "message_start", message: { ...start, content: [] } })];
  const extra = messageExtra(kind);
  if (extra !== null) {
    events.push(
      named({ type: "content_block_start", index: 0, content_block: extra }),
      named({ type: "content_block_stop", index: 0 }),
    );
  }
  events.push(
    named({ type: "content_block_start", index: 1, content_block: { type: "text", text: "" } }),
  );
  for (const text of kind === "empty" ? [] : pieces) {
    const delta = { type: "text_delta", text };
    events.push(named({ type: "content_block_delta", index: 1, delta }));
  }
  if (kind === "garbled") events.push(event('{"type":', "content_block_delta"));
  events.push(named({ type: "content_block_stop", index: 1 }));
  const reason = FINISHES.messages[kind] ?? "end_turn";
  if (kind === "unended") return events;
  events.push(
    named({
      type: "message_delta",
      delta: { stop_reason: reason, stop_sequence: null },
      usage: { output_tokens: 7 },
    }),
    named({ type: "message_stop" }),
  );
  return events;
}

function responseWhole(kind: Kind, text: string, model: string) {
  const part = kind === "refusal"
    ? { type: "refusal", refusal: text }
    : { type: "output_text", text: kind === "empty" ? "" : text, annotations: [] };
  const item = {
    id: "i1",
    type: "message",
    status: "completed",
    role: "assistant",
    content: kind === "two_choices" ? [part, part] : [part],
  };
  const before = kind === "reasoning"
    ? [{ id: "i0", type: "reasoning", summary: [] }]
    : kind === "tool_call"
    ? [{ id: "i0", type: "function_call", name: "clock", arguments: "{}" }]
    : [];
  const isCutShort = kind === "truncated" || kind === "filtered";
  const reason = kind === "filtered" ? "content_filter" : "max_output_tokens";
  return {
    id: "p1",
    object: "response",
    created_at: 1,
    status: kind === "unended" ? "in_progress" : isCutShort ? "incomplete" : "completed",
    error: null,
    incomplete_details: isCutShort ? { reason } : null,
    model,
    output: [...before, item],
    usage: { input_tokens: 9, output_tokens: 7, total_tokens: 16 },
  };
}

function responseEvents(kind: Kind, pieces: readonly string[], model: string): WireEvent[] {
  const whole = responseWhole(kind, pieces.join(""), model);
  const events = [
    named({ type: "response.created", response: { ...whole, status: "in_progress", output: [] } }),
  ];
  for (const item of whole.output) {
    events.push(named({ type: "response.output_item.added", item: { ...item, content: [] } }));
  }
  for (const delta of kind === "empty" ? [] : pieces) {
    events.push(named({ type: "response.output_text.delta", delta }));
  }
  if (kind === "garbled") events.push(event('{"type":', "response.output_text.delta"));
  if (kind === "unended") return events;
  events.push(named({ type: `response.${whole.status}`, response: whole }));
  return events;
}

/** What a client makes of what it was sent. */
export interface Seen {
  /** The text. */
  readonly text: string;
  /** Whether its protocol's end was there. */
  readonly isEnded: boolean;
}

/** Reads a stream that was sent to a client. */
export function readStream(surface: CachedSurface, wire: string): Seen {
  let text = "";
  let isEnded = false;
  for (const block of wire.split("\n\n")) {
    const at = block.indexOf("data: ");
    if (at < 0) continue;
    const data = block.slice(at + 6);
    if (data === "[DONE]") {
      isEnded = true;
      continue;
    }
    const json = JSON.parse(data);
    switch (surface) {
      case "chat":
        text += json.choices?.[0]?.delta?.content ?? "";
        break;
      case "completions":
        text += json.choices?.[0]?.text ?? "";
        break;
      case "messages":
        text += json.delta?.text ?? "";
        isEnded ||= json.type === "message_stop";
        break;
      case "responses":
        if (json.type === "response.output_text.delta") text += json.delta;
        isEnded ||= json.type === "response.completed";
    }
  }
  return { text, isEnded };
}

/** Reads an answer that was sent whole. */
export function readWhole(surface: CachedSurface, wire: string): Seen {
  const json = JSON.parse(wire);
  switch (surface) {
    case "chat":
      return {
        text: json.choices?.[0]?.message?.content ?? "",
        isEnded: json.choices?.[0]?.finish_reason === "stop",
      };
    case "completions":
      return {
        text: json.choices?.[0]?.text ?? "",
        isEnded: json.choices?.[0]?.finish_reason === "stop",
      };
    case "messages":
      return { text: json.content?.at(-1)?.text ?? "", isEnded: json.stop_reason === "end_turn" };
    case "responses":
      return {
        text: json.output?.at(-1)?.content?.[0]?.text ?? "",
        isEnded: json.status === "completed",
      };
  }
}
