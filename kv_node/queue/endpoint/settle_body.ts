/**
 * The bodies of what consumers ask for: to receive, to settle.
 *
 * @module
 */
import type { ReceiveRequest } from "../message_queue.ts";
import { DEFAULT_LEASE_MS, type QueueOptions } from "../queue_options.ts";
import type { Settlement } from "../settlement.ts";
import { Fields } from "./fields.ts";

const SETTLEMENT_FIELDS = ["receipt", "action", "leaseMs", "error", "final"];

/**
 * Reads the body of a receive.
 *
 * @throws {KvError} `bad_request`.
 */
export function readReceive(body: Uint8Array, options: QueueOptions): ReceiveRequest {
  const fields = Fields.ofBody(body, ["messagesMax", "leaseMs", "waitMs"]);
  return {
    messagesMax: fields.integerOr("messagesMax", 1, options.batchMax, 1),
    leaseMs: fields.has("leaseMs") ? leaseMsOf(fields, options) : defaultLeaseMs(options),
    waitMs: fields.integerOr("waitMs", 0, options.waitMsMax, 0),
  };
}

/**
 * Reads the body of a settle.
 *
 * @throws {KvError} `bad_request`, or `limit_exceeded` for too many.
 */
export function readSettle(body: Uint8Array, options: QueueOptions): readonly Settlement[] {
  const fields = Fields.ofBody(body, ["settlements"]);
  const settlements = fields.list("settlements", options.batchMax, (value, path) => {
    return readSettlement(Fields.of(value, path, SETTLEMENT_FIELDS), options);
  });
  if (settlements.length === 0) throw fields.wrong("settlements", "a list with at least one");
  return settlements;
}

function readSettlement(fields: Fields, options: QueueOptions): Settlement {
  const receipt = fields.text("receipt");
  const type = fields.text("action");
  switch (type) {
    case "ack":
    case "release":
      return { type, receipt };
    case "fail": {
      const error = fields.has("error") ? fields.text("error") : "";
      // A text that goes on for pages is no reason to lose the message.
      return {
        type,
        receipt,
        error: error.slice(0, options.errorCharsMax),
        isFinal: fields.flag("final"),
      };
    }
    case "extend": {
      const leaseMs = fields.has("leaseMs") ? leaseMsOf(fields, options) : defaultLeaseMs(options);
      return { type, receipt, leaseMs };
    }
    default:
      throw fields.wrong("action", "ack, fail, extend or release");
  }
}

function leaseMsOf(fields: Fields, options: QueueOptions): number {
  return fields.integer("leaseMs", options.leaseMsMin, options.leaseMsMax);
}

function defaultLeaseMs({ leaseMsMin, leaseMsMax }: QueueOptions): number {
  return Math.min(leaseMsMax, Math.max(leaseMsMin, DEFAULT_LEASE_MS));
}
