/**
 * Finds what the user asks last, and what it rests on.
 *
 * A request is taken apart into the *turn*, which is the last message of the
 * user, and its *frame*, which is everything around it: the earlier messages and
 * the last one with its content taken out. The frame goes into the scope, so
 * that turns are only ever compared within one history.
 *
 * @module
 */
import { isObject } from "../answer/fields.ts";
import type { BypassReason, CachedSurface, JsonObject } from "../types.ts";
import { dependenceOf } from "./dependence.ts";

/** The last user turn of a request. */
export interface Turn {
  /** The body's field that holds the conversation. */
  readonly field: "messages" | "prompt" | "input";
  /** The value of that field without the turn. */
  readonly frame: unknown;
  /** The turn in full: a text, or the parts or tokens it is made of. */
  readonly content: unknown;
  /** The text, if the turn is one text and nothing else. */
  readonly text: string | null;
  /** All text in it. */
  readonly prose: string;
  /** Whether another spelling of the text could have the same answer. */
  readonly spellable: boolean;
  /** How many messages the request has, instructions included. */
  readonly messages: number;
  /** The system prompt; empty if there is none. */
  readonly system: string;
  /** Whether something is fetched from elsewhere to answer it, such as an image by its address. */
  readonly remote: boolean;
}

/** Parts of a message that make a plain user turn, by API. */
const PLAIN_PARTS: Readonly<Record<CachedSurface, readonly string[]>> = {
  chat: ["text", "image_url", "file"],
  completions: [],
  responses: ["input_text", "input_image", "input_file"],
  messages: ["text", "image", "document"],
};

/**
 * Takes a request apart.
 *
 * @returns Why it cannot be cached, where it cannot.
 */
export function findTurn(surface: CachedSurface, body: JsonObject): Turn | BypassReason {
  switch (surface) {
    case "completions":
      return promptTurn(body);
    case "responses":
      if (typeof body["input"] === "string") return inputTurn(body["input"], body["instructions"]);
      return messagesTurn(surface, "input", body["input"], body["instructions"]);
    case "chat":
      return messagesTurn(surface, "messages", body["messages"], undefined);
    case "messages":
      return messagesTurn(surface, "messages", body["messages"], body["system"]);
  }
}

/**
 * A prompt is not asked, it is carried on: "The sea" and "the sea." go on differently.
 * Only where it is one line that ends as a sentence does, and nothing of it is part
 * of the answer, is another spelling of it the same question.
 */
function promptTurn(body: JsonObject): Turn | BypassReason {
  const prompt = body["prompt"];
  const list = Array.isArray(prompt) ? prompt as readonly unknown[] : [prompt];
  const [first] = list;
  const tokens = typeof first === "number";
  if (!tokens && list.length > 1) return "choices";
  if (!tokens && !Array.isArray(first) && (typeof first !== "string" || first === "")) {
    return "not_a_user_turn";
  }
  const text = typeof first === "string" ? first : null;
  return {
    field: "prompt",
    frame: text !== null && Array.isArray(prompt) ? [null] : null,
    content: text ?? prompt,
    text,
    prose: text ?? "",
    spellable: text !== null && /^[^\r\n]*[.?!]\s*$/.test(text) &&
      !body["echo"] && (body["suffix"] ?? "") === "",
    messages: 1,
    system: "",
    remote: false,
  };
}

function inputTurn(text: string, instructions: unknown): Turn | BypassReason {
  if (text === "") return "not_a_user_turn";
  const system = textOf(instructions);
  return {
    field: "input",
    frame: null,
    content: text,
    text,
    prose: text,
    spellable: true,
    messages: system === "" ? 1 : 2,
    system,
    remote: false,
  };
}

function messagesTurn(
  surface: CachedSurface,
  field: "messages" | "input",
  list: unknown,
  instructions: unknown,
): Turn | BypassReason {
  if (!Array.isArray(list)) return "not_a_user_turn";
  const messages = list as readonly unknown[];
  const last = messages.at(-1);
  if (!isObject(last) || last["role"] !== "user") return "not_a_user_turn";
  const type = last["type"];
  if (type !== undefined && type !== "message") return "not_a_user_turn";
  const content = last["content"];
  if (!isPlain(surface, content)) return "not_a_user_turn";
  const dependence = dependenceOf(messages);
  if (dependence === "stored") return "server_state";
  if (dependence === "cited") return "output";
  const part = singleTextPart(content);
  const text = typeof content === "string" ? content : part?.text ?? null;
  const system = systemText(instructions, messages);
  return {
    field,
    frame: [
      ...messages.slice(0, -1),
      // What else the message or its one part says belongs to the frame. A text is
      // never null, so that no request can look like the frame of another.
      { ...last, content: part === null ? null : [{ ...part, text: null }] },
    ],
    content: text ?? content,
    text: text === "" ? null : text,
    prose: text ?? textOf(content),
    spellable: true,
    messages: messages.length + (textOf(instructions) === "" ? 0 : 1),
    system,
    remote: dependence === "remote",
  };
}

function isPlain(surface: CachedSurface, content: unknown): boolean {
  if (typeof content === "string") return content !== "";
  if (!Array.isArray(content) || content.length === 0) return false;
  const allowed = PLAIN_PARTS[surface];
  return content.every((part: unknown) => {
    if (!isObject(part)) return false;
    const type = part["type"];
    if (typeof type !== "string" || !allowed.includes(type)) return false;
    return !type.endsWith("text") || typeof part["text"] === "string";
  });
}

/** The one part of a content that has one, if it is a text. */
function singleTextPart(content: unknown): JsonObject & { readonly text: string } | null {
  if (!Array.isArray(content) || content.length !== 1) return null;
  const part: unknown = content[0];
  if (!isObject(part)) return null;
  const { text, type } = part;
  return typeof text === "string" && (type === "text" || type === "input_text")
    ? { ...part, text }
    : null;
}

function systemText(instructions: unknown, messages: readonly unknown[]): string {
  let text = textOf(instructions);
  for (const message of messages) {
    if (!isObject(message)) break;
    if (message["role"] !== "system" && message["role"] !== "developer") break;
    const more = textOf(message["content"]);
    text = text === "" ? more : text + "\n" + more;
  }
  return text;
}

/** The text of a content, with a line for each part. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  const texts: string[] = [];
  for (const part of content as readonly unknown[]) {
    const text = isObject(part) ? part["text"] : undefined;
    if (typeof text === "string") texts.push(text);
  }
  return texts.join("\n");
}
