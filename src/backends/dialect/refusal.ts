/**
 * What the translation says when it cannot carry something over.
 *
 * @module
 */
import { GatewayError } from "../../errors.ts";

/**
 * A part of the request that the backend's API has no words for.
 *
 * @param param Where it stands, such as `messages[2].content[0]`.
 * @param what What it is and why it cannot be sent, as the end of a sentence.
 */
export function untranslatable(param: string, what: string): GatewayError {
  return new GatewayError(
    "unsupported_translation",
    `Cannot translate the request for this backend: ${what}`,
    { param },
  );
}

/**
 * A part of the request that is wrong in the caller's own API.
 *
 * @param param Where it stands.
 * @param what What is wrong, as the end of a sentence.
 */
export function malformed(param: string, what: string): GatewayError {
  return new GatewayError("invalid_request", `Cannot translate the request: ${what}`, { param });
}

/** A backend's answer that is not what its API says. */
export function unreadable(what: string): GatewayError {
  return new GatewayError("answer_unreadable", `Cannot translate the answer: ${what}`);
}
