/**
 * The metric label for a refusal.
 *
 * @module
 */
import { GatewayError } from "../errors.ts";
import type { RequestReason } from "../telemetry/request_metrics.ts";
import type { Refusal } from "./outcome.ts";

/** A closed list: our own code, or one word for all that backends say. */
export function reasonOf(refusal: Refusal): RequestReason {
  return refusal instanceof GatewayError ? refusal.code : "upstream_error";
}
