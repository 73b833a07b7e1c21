/**
 * Answers of the listener: bytes of the protocol, or a plain text that says why not.
 *
 * Header lists are made once; a reply of the hot path costs one object.
 *
 * @module
 */
import type { Reply, StreamSource } from "../../src/ports.ts";
import { KvError } from "../errors.ts";

type Headers = Reply["headers"];

/** What the data path speaks. */
export const PROTOBUF_TYPE = "application/x-protobuf";

const PROTOBUF: Headers = [["content-type", PROTOBUF_TYPE]];
const STREAM: Headers = [
  ["content-type", "application/octet-stream"],
  ["cache-control", "no-store"],
];
/** npm's client takes exactly this type; there is a token in it, which no cache may keep. */
const JSON_TYPE: Headers = [["content-type", "application/json"], ["cache-control", "no-store"]];
const TEXT_TYPE = ["content-type", "text/plain; charset=utf-8"] as const;
const TEXT: Headers = [TEXT_TYPE];
const TEXT_BY_STATUS: Readonly<Record<number, Headers>> = {
  401: [TEXT_TYPE, ["www-authenticate", "Bearer"]],
  405: [TEXT_TYPE, ["allow", "POST"]],
  503: [TEXT_TYPE, ["retry-after", "1"]],
};

/** An answer of the data path. */
export function protobufReply(body: Uint8Array<ArrayBuffer>): Reply {
  return { status: 200, headers: PROTOBUF, body };
}

/** Frames, one after the other. */
export function streamReply(body: StreamSource): Reply {
  return { status: 200, headers: STREAM, body };
}

/** An answer of the metadata exchange. */
export function jsonReply(value: unknown): Reply {
  return { status: 200, headers: JSON_TYPE, body: JSON.stringify(value) };
}

/** A text for people. */
export function textReply(status: number, text: string): Reply {
  return { status, headers: TEXT_BY_STATUS[status] ?? TEXT, body: text };
}

/** What the client may know of an error: its text, or that there was one. */
export function refusalReply(error: unknown): Reply {
  if (error instanceof KvError) return textReply(error.status, error.message);
  return textReply(500, "Cannot answer: this node made a mistake; its log says more");
}
