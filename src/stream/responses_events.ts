/**
 * Events of OpenAI's responses API.
 *
 * @module
 */
import { failedResponse } from "./in_band_error.ts";
import { isObject, isText, type JsonObject, type ReadingDraft } from "./wire.ts";
import { usageFrom } from "./usage.ts";

/** Notes what an event of a response stream means. */
export function readResponseEvent(json: JsonObject, draft: ReadingDraft): void {
  const { type, response } = json;
  if (typeof type !== "string") return;
  if (type.endsWith(".delta")) {
    draft.content = isText(json.delta) || isObject(json.delta);
    return;
  }
  if (isObject(response)) {
    if (isText(response.model)) draft.model = response.model;
    draft.usage = usageFrom(response.usage);
  }
  switch (type) {
    case "response.completed":
    case "response.incomplete":
      draft.terminal = true;
      draft.finish = isObject(response) && isText(response.status)
        ? response.status
        : type.slice("response.".length);
      return;
    case "response.failed":
    case "response.cancelled":
      draft.error = failedResponse(isObject(response) ? response : {});
      return;
    case "response.output_item.added":
      // Messages and reasoning start empty; a call starts with its name.
      draft.content = isObject(json.item) && isText(json.item.name);
      return;
    case "response.image_generation_call.partial_image":
      draft.content = true;
      return;
  }
}
