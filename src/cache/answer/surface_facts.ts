/**
 * What is known of the answers of each API: how a stored one ends, and which of
 * its fields are kept.
 *
 * @module
 */
import type { CachedSurface, JsonObject } from "../types.ts";

/** Finish reasons, stop reasons and statuses of an answer that may be stored. */
export const STORED_FINISHES: Readonly<Record<CachedSurface, readonly string[]>> = {
  chat: ["stop"],
  completions: ["stop"],
  messages: ["end_turn", "stop_sequence"],
  responses: ["completed"],
};

/**
 * Names under which chat completions carry reasoning. Some releases of vLLM send
 * each piece under both, which is the last of the three.
 */
export const REASONING_FIELDS: readonly string[] = [
  "reasoning",
  "reasoning_content",
  "reasoning reasoning_content",
];

/**
 * What a response says of its request, and the value that stands where the backend
 * said nothing. A field is kept only if it differs, so that an answer that was
 * replayed and one that was not give the same record.
 *
 * `metadata` and `user` are not among them: two requests with one key may differ
 * in them, and neither should read the other's.
 */
export const RESPONSE_DEFAULTS: JsonObject = {
  access_programs: null,
  background: false,
  instructions: null,
  max_output_tokens: null,
  max_tool_calls: null,
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: null, summary: null },
  temperature: null,
  text: { format: { type: "text" } },
  tool_choice: "auto",
  tools: [],
  top_logprobs: 0,
  top_p: null,
  truncation: "disabled",
};

/** Texts at the top of an answer that are kept. */
const CHOICE_FIELDS: readonly string[] = ["service_tier", "system_fingerprint"];

/** Fields at the top of an answer that are kept in its record's `extra`. */
export const KEPT_FIELDS: Readonly<Record<CachedSurface, readonly string[]>> = {
  chat: CHOICE_FIELDS,
  completions: CHOICE_FIELDS,
  messages: [],
  responses: [
    ...Object.keys(RESPONSE_DEFAULTS),
    "frequency_penalty",
    "presence_penalty",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
  ],
};

/** Whether `value` may stand in the `extra` of a record under this name. */
export function isKept(surface: CachedSurface, name: string, value: unknown): boolean {
  if (!KEPT_FIELDS[surface].includes(name)) return false;
  return surface === "responses" ? value !== undefined : typeof value === "string" && value !== "";
}
