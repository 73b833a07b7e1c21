/**
 * What a conversation refers to that is not in it.
 *
 * @module
 */
import type { JsonObject } from "../types.ts";

/**
 * On what an answer depends besides the text of its request, from harmless to grave:
 * nothing (`inline`), something fetched by its address, which may change there
 * (`remote`), a source it is to quote by its place (`cited`), or something that the
 * backend keeps under an id, which may be deleted there (`stored`).
 */
export type Dependence = "inline" | "remote" | "cited" | "stored";

const RANK: Readonly<Record<Dependence, number>> = { inline: 0, remote: 1, cited: 2, stored: 3 };

/** Looks through a list of messages, items or parts for the gravest dependence. */
export function dependenceOf(list: readonly unknown[]): Dependence {
  let gravest: Dependence = "inline";
  for (const value of list) {
    if (typeof value !== "object" || value === null) continue;
    gravest = graver(gravest, dependenceOfPart(value as JsonObject));
    if (gravest === "stored") break;
  }
  return gravest;
}

/** One message, item or part, with those inside it. */
function dependenceOfPart(part: JsonObject): Dependence {
  let found = ownDependence(part);
  for (const inner of [part["content"], part["output"], objectOf(part["source"])["content"]]) {
    if (Array.isArray(inner)) found = graver(found, dependenceOf(inner));
  }
  return found;
}

function ownDependence(part: JsonObject): Dependence {
  // An assistant's earlier spoken answer is referred to by its id.
  if (typeof objectOf(part["audio"])["id"] === "string") return "stored";
  const type = part["type"];
  switch (type) {
    case "image_url":
    case "video_url":
    case "audio_url":
      return ofAddress(part[type]);
    case "file":
      return ofFile(objectOf(part["file"]));
    case "input_image":
    case "input_file":
      return ofFile(part);
    case "computer_call_output":
      return ofFile(objectOf(part["output"]));
    case "image":
    case "document":
    case "search_result":
      return ofSource(part);
    case "container_upload":
    case "item_reference":
      return "stored";
  }
  return "inline";
}

/** The forms of OpenAI's APIs. */
function ofFile(file: JsonObject): Dependence {
  if (typeof file["file_id"] === "string") return "stored";
  if (typeof file["file_url"] === "string") return "remote";
  return ofAddress(file["image_url"]);
}

/** The forms of the Messages API. */
function ofSource(part: JsonObject): Dependence {
  const type = objectOf(part["source"])["type"];
  if (type === "file") return "stored";
  if (objectOf(part["citations"])["enabled"] === true) return "cited";
  return type === "url" ? "remote" : "inline";
}

function ofAddress(value: unknown): Dependence {
  const address = typeof value === "string" ? value : objectOf(value)["url"];
  return typeof address !== "string" || /^data:/i.test(address) ? "inline" : "remote";
}

function graver(one: Dependence, other: Dependence): Dependence {
  return RANK[one] >= RANK[other] ? one : other;
}

function objectOf(value: unknown): JsonObject {
  return typeof value === "object" && value !== null ? value as JsonObject : {};
}
