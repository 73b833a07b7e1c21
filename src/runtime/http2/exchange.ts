/**
 * From a request to its reply, whatever happens on the way.
 *
 * @module
 */

import type { Reply } from "../../ports.ts";
import { cancelSource, isSource } from "../reply_writer.ts";
import type { Http2Context } from "./http2_context.ts";
import type { ServerStream } from "./server_stream.ts";

/** What a client gets whose handler failed. */
export const FAILURE: Reply = { status: 500, headers: [], body: null };

/** Takes the reply to a request; called once. */
export type ReplyListener = (stream: ServerStream, reply: Reply) => void;

/** Has a request handled, or refuses it. */
export function exchange(
  stream: ServerStream,
  context: Http2Context,
  answer: ReplyListener,
): void {
  const { isTooLarge, method } = stream.fields;
  if (isTooLarge) {
    const why = `its header fields are longer than ${context.headBytesMax} bytes`;
    return answer(stream, refusal(context, 431, why));
  }
  if (method === "CONNECT") {
    return answer(stream, refusal(context, 501, "the method CONNECT is not supported"));
  }
  let reply: Promise<Reply>;
  try {
    reply = context.handle(stream);
  } catch {
    return answer(stream, FAILURE);
  }
  reply.then((value) => answer(stream, value), () => answer(stream, FAILURE));
}

/** Lets go of a reply that nobody will get. */
export function dropReply(reply: Reply): void {
  if (isSource(reply.body)) cancelSource(reply.body);
}

function refusal(context: Http2Context, status: number, why: string): Reply {
  try {
    return context.refuse(status, `Cannot read request: ${why}`);
  } catch {
    return { status, headers: [], body: null };
  }
}
