/**
 * The older text completions: chunks and whole.
 *
 * @module
 */

import { chatUsage } from "./chat.ts";
import { dataEvent, type Exchange, type WireEvent, type WireFormat } from "./wire.ts";

/** The format of `/v1/completions`. */
export const COMPLETIONS_FORMAT: WireFormat = { events, whole, malformed, failure };

function* events(exchange: Exchange): Generator<WireEvent> {
  const { answer, request } = exchange;
  const noUsage = request.includeUsage ? ',"usage":null' : "";
  const head = `${objectHead(exchange)},"choices":[{"index":0,"logprobs":null,"text":`;
  for (const token of answer.tokens) {
    const text = JSON.stringify(token);
    yield dataEvent("token", `${head}${text},"finish_reason":null}]${noUsage}}`);
  }
  yield dataEvent("finish", `${head}"","finish_reason":"${answer.finish}"}]${noUsage}}`);
  if (request.includeUsage) {
    const usage = JSON.stringify(chatUsage(exchange));
    yield dataEvent("usage", `${objectHead(exchange)},"choices":[],"usage":${usage}}`);
  }
  yield dataEvent("done", "[DONE]");
}

function whole(exchange: Exchange): string {
  const { answer } = exchange;
  const text = answer.tokens.join("");
  const choice = { index: 0, text, logprobs: null, finish_reason: answer.finish };
  const usage = JSON.stringify(chatUsage(exchange));
  return `${objectHead(exchange)},"choices":[${JSON.stringify(choice)}],"usage":${usage}}`;
}

function malformed(exchange: Exchange): string {
  return `data: ${objectHead(exchange)},"choices":[{"index":0,"te\n\n`;
}

function failure(_exchange: Exchange, message: string): string {
  const error = { message, type: "server_error", param: null, code: null };
  return `data: ${JSON.stringify({ error })}\n\n`;
}

function objectHead({ id, createdSeconds, request }: Exchange): string {
  return `{"id":"cmpl-${id}","object":"text_completion","created":${createdSeconds},` +
    `"model":${JSON.stringify(request.model)}`;
}
