/**
 * Pieces of a message: text, images and documents, in both APIs.
 *
 *     chat                                          messages
 *     {type: "text", text}                          {type: "text", text}
 *     {type: "image_url", image_url: {url}}         {type: "image", source: {type: "url", url}}
 *       url "data:image/png;base64,…"                 source {type: "base64", media_type, data}
 *     {type: "file", file: {file_data, filename}}   {type: "document", source, title}
 *
 * @module
 */
import { isObject, type JsonObject, listOf, objectOf, textOf } from "./json_value.ts";
import { malformed, untranslatable } from "./refusal.ts";

/**
 * A content block of the Messages API for a part of the chat API.
 *
 * @param part The part.
 * @param param Where it stands, for the error.
 * @returns `null` for empty text, which the Messages API refuses.
 * @throws {GatewayError} If it has no counterpart there (audio, uploaded files).
 */
export function blockFromPart(part: unknown, param: string): JsonObject | null {
  if (!isObject(part)) throw malformed(param, "a content part must be an object");
  switch (part["type"]) {
    case "text":
      return textBlock(part["text"], part["cache_control"]);
    case "refusal":
      return textBlock(part["refusal"], undefined);
    case "image_url": {
      const image = part["image_url"];
      const url = typeof image === "string" ? image : textOf(objectOf(image)["url"]);
      return cached({ type: "image", source: imageSource(url, param) }, part["cache_control"]);
    }
    case "file":
      return documentBlock(objectOf(part["file"]), param);
    default:
      throw untranslatable(param, `content of type ${shown(part["type"])} has no counterpart`);
  }
}

/** A text block, or `null` for empty text. */
export function textBlock(text: unknown, cacheControl: unknown): JsonObject | null {
  if (typeof text !== "string" || text === "") return null;
  return cached({ type: "text", text }, cacheControl);
}

/**
 * A user's content part of the chat API for a block of the Messages API.
 *
 * @returns `null` for a block that says nothing.
 * @throws {GatewayError} If it has no counterpart there.
 */
export function partFromBlock(block: unknown, param: string): JsonObject | null {
  if (!isObject(block)) throw malformed(param, "a content block must be an object");
  switch (block["type"]) {
    case "text":
      return { type: "text", text: textOf(block["text"]) };
    case "image":
      return { type: "image_url", image_url: { url: imageUrl(objectOf(block["source"]), param) } };
    case "document":
      return filePart(block, param);
    case "search_result":
      return { type: "text", text: searchResultText(block) };
    default:
      throw untranslatable(param, `content of type ${shown(block["type"])} has no counterpart`);
  }
}

/** The text of a string or of text blocks, joined by `separator`; other blocks are skipped. */
export function joinedText(content: unknown, separator: string): string {
  if (typeof content === "string") return content;
  return listOf(content).filter(isObject).filter((block) => block["type"] === "text")
    .map((block) => textOf(block["text"])).join(separator);
}

/** A type name out of a request, short enough for an error message. */
export function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "undefined").slice(0, 60);
}

function cached(block: JsonObject, cacheControl: unknown): JsonObject {
  return isObject(cacheControl) ? { ...block, cache_control: cacheControl } : block;
}

function imageSource(url: string, param: string): JsonObject {
  if (/^https?:\/\//i.test(url)) return { type: "url", url };
  const data = readDataUrl(url);
  if (data === null) throw malformed(param, "an image must be a base64 data URL or a web address");
  // A frequent misspelling that the Messages API refuses.
  const mediaType = data.mediaType === "image/jpg" ? "image/jpeg" : data.mediaType;
  return { type: "base64", media_type: mediaType, data: data.base64 };
}

function imageUrl(source: JsonObject, param: string): string {
  switch (source["type"]) {
    case "base64":
      return `data:${textOf(source["media_type"])};base64,${textOf(source["data"])}`;
    case "url":
      return textOf(source["url"]);
    default:
      throw untranslatable(param, `an image source of type ${shown(source["type"])}`);
  }
}

function documentBlock(file: JsonObject, param: string): JsonObject {
  const data = readDataUrl(textOf(file["file_data"]));
  if (data === null) {
    throw untranslatable(param, "files can be sent as base64 data URLs only");
  }
  if (data.mediaType !== "application/pdf") {
    throw untranslatable(param, `files of type ${shown(data.mediaType)}, only PDF can be sent`);
  }
  const source = { type: "base64", media_type: data.mediaType, data: data.base64 };
  const title = textOf(file["filename"]);
  return title === "" ? { type: "document", source } : { type: "document", source, title };
}

function filePart(block: JsonObject, param: string): JsonObject {
  const source = objectOf(block["source"]);
  switch (source["type"]) {
    case "base64": {
      const url = `data:${textOf(source["media_type"])};base64,${textOf(source["data"])}`;
      const filename = textOf(block["title"]) || "document.pdf";
      return { type: "file", file: { filename, file_data: url } };
    }
    case "text":
      return { type: "text", text: titled(block, textOf(source["data"])) };
    case "content":
      return { type: "text", text: titled(block, joinedText(source["content"], "\n")) };
    default:
      throw untranslatable(param, `a document source of type ${shown(source["type"])}`);
  }
}

function searchResultText(block: JsonObject): string {
  const source = textOf(block["source"]);
  const body = joinedText(block["content"], "\n");
  return titled(block, source === "" ? body : `${source}\n${body}`);
}

function titled(block: JsonObject, text: string): string {
  const title = textOf(block["title"]);
  return title === "" ? text : `${title}\n\n${text}`;
}

interface DataUrl {
  readonly mediaType: string;
  readonly base64: string;
}

/** Splits `data:image/png;base64,…`; the data may be megabytes, so no pattern runs over it. */
function readDataUrl(url: string): DataUrl | null {
  if (!url.startsWith("data:")) return null;
  const comma = url.indexOf(",");
  if (comma < 0) return null;
  const [mediaType = "", ...flags] = url.slice("data:".length, comma).split(";");
  if (!flags.includes("base64") || mediaType === "") return null;
  return { mediaType: mediaType.toLowerCase(), base64: url.slice(comma + 1) };
}
