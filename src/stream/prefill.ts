/**
 * Requests that ask a backend to go on behind a given text.
 *
 * @module
 */
import { isObject, isText, type JsonObject, type WireForm } from "./wire.ts";

/**
 * The request with `text` as the beginning of its answer: as last message of the
 * assistant (joined to one that the client put there itself), or behind the
 * prompt of a legacy completion.
 *
 * A limit on the answer's length is left as it is: it then bounds the rest alone.
 * Dialects that want to be told (vLLM: `continue_final_message`) are the
 * caller's business.
 *
 * @returns `null` where the request leaves no place for it.
 */
export function prefilled(
  form: WireForm,
  body: JsonObject,
  text: string,
): Record<string, unknown> | null {
  if (typeof body.n === "number" && body.n > 1) return null; // Each would begin with the same text.
  if (form === "completions") {
    // With `echo` the answer repeats the prompt, and with a list there are several answers.
    if (typeof body.prompt !== "string" || body.echo === true) return null;
    return { ...body, prompt: body.prompt + text };
  }
  if (form !== "chat" && form !== "messages") return null;
  // Anthropic refuses a prefilled answer where the model is to think first.
  if (isObject(body.thinking) && body.thinking.type !== "disabled") return null;
  if (!Array.isArray(body.messages)) return null;
  const messages: readonly unknown[] = body.messages;
  const last = messages.at(-1);
  if (!isObject(last) || last.role !== "assistant") {
    return { ...body, messages: [...messages, { role: "assistant", content: text }] };
  }
  const content = joined(last.content, text);
  if (content === null) return null;
  return { ...body, messages: [...messages.slice(0, -1), { ...last, content }] };
}

/** Content that goes on with `text`; `null` where it ends in something else than text. */
function joined(content: unknown, text: string): unknown {
  if (typeof content === "string") return content + text;
  if (!Array.isArray(content)) return null;
  const part: unknown = content.at(-1);
  if (!isObject(part) || part.type !== "text" || !isText(part.text)) return null;
  return [...content.slice(0, -1), { ...part, text: part.text + text }];
}
