/**
 * Trailers of requests: decoded, for the table's sake, checked and forgotten.
 *
 * Source: RFC 9113, section 8.1.
 *
 * @module
 */

import { FieldKind, type HeaderField } from "./header_field.ts";
import type { FieldSink } from "./hpack_decoder.ts";

/** Looks for what trailers may not hold. */
export class TrailerCheck implements FieldSink {
  /** Whether there was any of it. */
  fault = false;

  /** See {@linkcode FieldSink.take}. */
  take(field: HeaderField): void {
    if (
      field.fault !== null || field.kind === FieldKind.hopByHop ||
      field.name.charCodeAt(0) === 58
    ) this.fault = true;
  }
}
