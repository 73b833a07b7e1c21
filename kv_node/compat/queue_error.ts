/**
 * What can go wrong between a queue's client and its node.
 *
 * @module
 */

/** How a call to a queue failed. */
export type QueueFailure =
  | "address" // no address of a node
  | "token" // no access token, or one that does not count there
  | "refused" // the request can never work: what is wrong stands in the message
  | "unavailable" // the node cannot be reached or is busy; it was tried again in vain
  | "protocol" // what answered is no queue of this kind
  | "closed"; // the client was closed, or the call given up by its signal

/** A call to a queue that failed. */
export class QueueError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "QueueError";
  /** How it failed. */
  readonly kind: QueueFailure;

  /** Says what failed; `message` never holds a token, a key or a value. */
  constructor(kind: QueueFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
