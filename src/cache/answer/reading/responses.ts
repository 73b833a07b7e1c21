/**
 * Reads OpenAI's responses.
 *
 * A stream says everything twice: piece by piece, and whole in the response at its
 * end. The pieces give the boundaries, the response gives the rest, and the two
 * have to agree. Reasoning is refused with everything else that is no text: its
 * items belong to one conversation, some of them encrypted.
 *
 * @module
 */
import type { JsonObject, StoreRefusal } from "../../types.ts";
import { carriesData, isObject, isShallow, isText } from "../fields.ts";
import { KEPT_FIELDS, RESPONSE_DEFAULTS } from "../surface_facts.ts";
import type { AnswerDraft } from "./draft.ts";

/** Defaults as they are compared. */
const DEFAULT_JSON: ReadonlyMap<string, string> = new Map(
  Object.entries(RESPONSE_DEFAULTS).map(([name, value]) => [name, JSON.stringify(value)]),
);

/** Reads an event of a stream. */
export function readResponsesEvent(json: JsonObject, draft: AnswerDraft): void {
  const { type } = json;
  if (!isText(type)) return draft.refuse("unreadable");
  switch (type) {
    case "response.created":
    case "response.in_progress":
    case "response.queued":
    case "response.output_text.done":
    case "response.content_part.done":
    case "response.output_item.done":
      return; // Said before, or said again at the end.
    case "response.output_item.added":
      return isObject(json.item) ? checkItem(json.item, draft) : draft.refuse("unreadable");
    case "response.content_part.added":
      if (!isObject(json.part)) return draft.refuse("unreadable");
      checkPart(json.part, draft);
      return;
    case "response.output_text.delta":
      if (carriesData(json.logprobs)) return draft.refuse("media");
      if (typeof json.delta !== "string") return draft.refuse("unreadable");
      return draft.appendText(json.delta);
    case "response.completed":
    case "response.incomplete":
    case "response.failed":
    case "response.cancelled":
      return isObject(json.response) ? readEnd(json.response, draft) : draft.refuse("unreadable");
    default:
      return draft.refuse(refusalOfEvent(type));
  }
}

/** Reads a whole answer. */
export function readResponsesAnswer(json: JsonObject, draft: AnswerDraft): void {
  const text = readResponse(json, draft);
  if (text !== null) draft.appendText(text);
}

function readEnd(response: JsonObject, draft: AnswerDraft): void {
  const text = readResponse(response, draft);
  // Some servers leave the output out here, having sent it; some send no pieces.
  if (text === null || text === "" || text === draft.text) return;
  if (draft.text === "") draft.appendText(text);
  else draft.refuse("unreadable");
}

/** The text of a response that is complete; `null` if it is not. */
function readResponse(response: JsonObject, draft: AnswerDraft): string | null {
  const { status, error, moderation, output } = response;
  if (carriesData(error)) draft.refuse("error");
  if (carriesData(moderation)) draft.refuse("media");
  if (status !== "completed") draft.refuse(refusalOfStatus(response));
  if (!Array.isArray(output)) draft.refuse("unreadable");
  if (draft.isRefused || !Array.isArray(output)) return null;

  if (isText(response.model)) draft.model = response.model;
  if (isObject(response.usage)) draft.usage = response.usage;
  for (const name of KEPT_FIELDS.responses) {
    const value = response[name];
    if (!isShallow(value)) draft.refuse("unreadable");
    if (draft.isRefused) return null;
    // Members in another order make a difference, which costs some bytes and no more.
    if (value !== undefined && JSON.stringify(value) !== DEFAULT_JSON.get(name)) {
      draft.keep(name, value);
    }
  }
  draft.finish = "completed";
  draft.ended = true;
  return readOutput(output, draft);
}

function readOutput(output: readonly unknown[], draft: AnswerDraft): string {
  if (output.length > 1) draft.refuse("media");
  let text = "";
  for (const item of output) {
    if (!isObject(item)) {
      draft.refuse("unreadable");
      continue;
    }
    checkItem(item, draft);
    const parts = Array.isArray(item.content) ? item.content : [];
    if (parts.length > 1) draft.refuse("media");
    for (const part of parts) {
      if (!isObject(part)) draft.refuse("unreadable");
      else text += checkPart(part, draft);
    }
  }
  return text;
}

function checkItem(item: JsonObject, draft: AnswerDraft): void {
  const { type, id: _id, status: _status, role: _role, content: _content, ...rest } = item;
  if (type !== "message") draft.refuse(refusalOfItem(type));
  else if (Object.values(rest).some((value) => carriesData(value))) draft.refuse("media");
}

function checkPart(part: JsonObject, draft: AnswerDraft): string {
  const { type, text, ...rest } = part;
  if (type !== "output_text") {
    draft.refuse(type === "refusal" ? "filtered" : "media");
    return "";
  }
  if (Object.values(rest).some((value) => carriesData(value))) draft.refuse("media");
  return typeof text === "string" ? text : "";
}

function refusalOfItem(type: unknown): StoreRefusal {
  if (!isText(type)) return "unreadable";
  if (type === "image_generation_call") return "media";
  return type.startsWith("mcp_") || /_call(_output)?$/.test(type) ? "tool_call" : "media";
}

/** Events that bring what no record holds; unknown ones may. */
function refusalOfEvent(type: string): StoreRefusal {
  if (type.startsWith("response.refusal.")) return "filtered";
  if (type.startsWith("response.image_generation_call.")) return "media";
  if (/^response\.(mcp_|[a-z_]+_call[._])/.test(type)) return "tool_call";
  return "media";
}

function refusalOfStatus({ status, incomplete_details: details }: JsonObject): StoreRefusal {
  switch (status) {
    case "incomplete":
      return isObject(details) && details.reason === "content_filter" ? "filtered" : "truncated";
    case "failed":
    case "cancelled":
      return "error";
    case "queued":
    case "in_progress":
      return "incomplete";
    default:
      return "unreadable";
  }
}
