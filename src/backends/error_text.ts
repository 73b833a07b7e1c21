/**
 * What a backend's error body says, whatever its shape.
 *
 * Error bodies come from model servers, but from proxies and balancers in front
 * of them as well: JSON of many shapes, HTML, plain text, nothing.
 *
 * @module
 */
import { isObject, type JsonObject, listOf } from "./dialect/json_value.ts";

/** Longest message that is passed on, in UTF-16 units. */
export const MESSAGE_LENGTH_MAX = 2_000;

/** Longest body that is looked at, in UTF-16 units. */
const BODY_LENGTH_MAX = 65_536;

/** The parts of an error, each `null` where the body does not say. */
export interface ErrorParts {
  /** The machine-readable reason. */
  readonly code: string | null;
  /** The class of errors it belongs to. */
  readonly type: string | null;
  /** For people; cleaned and shortened. */
  readonly message: string | null;
  /** The request's field that is wrong. */
  readonly param: string | null;
}

const NOTHING: ErrorParts = { code: null, type: null, message: null, param: null };

/**
 * Finds the parts of an error in a body.
 *
 * Known shapes: `{error: {…}}` (OpenAI, Anthropic, Azure, vLLM, llama.cpp),
 * `{error: "…"}` (Ollama), `{object: "error", message, …}` (older vLLM),
 * `{detail: …}` (FastAPI), `{message}`, `{errors: […]}`, problem details, HTML
 * and text.
 */
export function readErrorParts(text: string): ErrorParts {
  const body = text.length > BODY_LENGTH_MAX ? text.slice(0, BODY_LENGTH_MAX) : text;
  const trimmed = body.trim();
  if (trimmed === "") return NOTHING;
  let json: unknown;
  try {
    json = JSON.parse(trimmed);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { ...NOTHING, message: messageOf(withoutMarkup(trimmed)) };
  }
  return partsOf(json);
}

/**
 * Makes a message fit to be passed on: one that holds no control characters, no
 * credential, and is not longer than {@linkcode MESSAGE_LENGTH_MAX}.
 *
 * Backends repeat the key they refuse, more or less masked. It is the gateway's
 * own, and none of the caller's business.
 */
export function cleanMessage(message: string): string {
  const printable = message.slice(0, 4 * MESSAGE_LENGTH_MAX)
    // deno-lint-ignore no-control-regex -- control characters are what is looked for
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]+/g, " ")
    .replace(/\b(sk|pk|rk|key|gsk|xai|hf|nvapi)[-_][A-Za-z0-9_*.-]{6,}/g, "[redacted]")
    .replace(/\b(bearer|basic)\s+[A-Za-z0-9._~+/=*-]{8,}/gi, "$1 [redacted]")
    .trim();
  if (printable.length <= MESSAGE_LENGTH_MAX) return printable;
  return `${printable.slice(0, MESSAGE_LENGTH_MAX - 1)}…`;
}

function partsOf(json: unknown): ErrorParts {
  if (typeof json === "string") return { ...NOTHING, message: messageOf(json) };
  if (Array.isArray(json)) return json.length === 0 ? NOTHING : partsOf(json[0]);
  if (!isObject(json)) return NOTHING;

  const inner = json["error"];
  if (isObject(inner)) return fieldsOf(inner);
  if (typeof inner === "string") {
    // Some servers give the code here and the message beside it.
    const beside = fieldsOf(json);
    if (beside.message === null) return { ...beside, message: messageOf(inner) };
    return { ...beside, code: beside.code ?? (/^[\w.-]+$/.test(inner) ? codeOf(inner) : null) };
  }
  const fields = fieldsOf(json);
  if (fields.message !== null) return fields;
  const first = listOf(json["errors"])[0];
  if (first !== undefined) return partsOf(first);
  const message = messageOf(json["detail"]) ?? messageOf(json["title"]);
  return { ...fields, message };
}

function fieldsOf(error: JsonObject): ErrorParts {
  const details = error["details"];
  const innerCode = isObject(details) ? details["error_code"] : null;
  return {
    code: codeOf(error["code"]) ?? codeOf(innerCode),
    type: codeOf(error["type"]),
    message: messageOf(error["message"]) ?? messageOf(error["msg"]),
    param: codeOf(error["param"]),
  };
}

/** A name; numbers, which some servers put there, only repeat the status. */
function codeOf(value: unknown): string | null {
  if (typeof value !== "string" || value === "" || /^\d{3}$/.test(value)) return null;
  return cleanMessage(value).slice(0, 200);
}

function messageOf(value: unknown): string | null {
  if (typeof value === "string") return cleanMessage(value) || null;
  if (Array.isArray(value)) {
    // FastAPI's list of fields: [{loc: ["body", "model"], msg: "Field required"}]
    const lines = value.map(fieldMessage).filter((line) => line !== null);
    return lines.length === 0 ? null : cleanMessage(lines.join("; "));
  }
  if (!isObject(value)) return null;
  return messageOf(value["message"] ?? value["msg"] ?? value["error"]) ??
    cleanMessage(JSON.stringify(value));
}

function fieldMessage(item: unknown): string | null {
  if (!isObject(item)) return messageOf(item);
  const where = listOf(item["loc"]).join(".");
  const what = messageOf(item["msg"] ?? item["message"]);
  if (what === null) return null;
  return where === "" ? what : `${where}: ${what}`;
}

/** The title of a page, or its text. */
function withoutMarkup(text: string): string {
  if (!/^\s*<(!doctype|html|head|body|\?xml)/i.test(text)) return text;
  const title = /<title[^>]*>([^<]*)/i.exec(text)?.[1]?.trim();
  if (title) return title;
  return text.replace(/<(script|style)[\s\S]*?<\/\1\s*>/gi, " ").replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ").trim();
}
