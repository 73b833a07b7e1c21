/**
 * What the header fields of a request say, all rules applied.
 *
 * Everything that two readers could understand in two ways is refused, as in
 * HTTP/1.1: that is how requests are smuggled past a proxy.
 *
 * Source: RFC 9113, sections 8.1.1, 8.2 and 8.3; RFC 9110, sections 7.2 and 8.6.
 *
 * @module
 */

import type { HeaderFields } from "../../ports.ts";
import { checkHost, equalsName } from "../http1_request_framing.ts";
import { RequestRefusal } from "../request_refusal.ts";
import { ENTRY_OVERHEAD_BYTES, FieldKind, type HeaderField } from "./header_field.ts";
import type { FieldSink } from "./hpack_decoder.ts";

/** More fields than any client sends; looking one up takes a walk over all. */
const FIELDS_MAX = 256;
/** What {@linkcode HeaderFields.sizeBytes} counts for what is between the fields. */
const BETWEEN_BYTES = 4;

/** The head of a request; requests with the same header block share one. */
export class RequestFields implements HeaderFields, FieldSink {
  /** Method, as it was sent. */
  method = "";
  /** Path and query, beginning with "/". */
  path = "";
  /** Host and port that the request is for. */
  host = "";
  /** What `content-length` says, or -1. */
  lengthBytes = -1;
  /** Whether the client waits for a 100 before it sends the body. */
  expectsContinue = false;
  /** Why it is no request, or `null`; complete only after {@linkcode finish}. */
  fault: string | null = null;
  /** Whether its fields are more than a server takes. */
  isTooLarge = false;
  /** See {@linkcode HeaderFields.sizeBytes}. */
  sizeBytes = 0;
  readonly #listBytesMax: number;
  #fields: HeaderField[] = [];
  #listBytes = 0;
  #scheme = "";
  #authority: string | null = null;
  #ownHost: string | null = null;
  /** Bits, by kind, of the pseudo-header fields that came. */
  #seen = 0;
  #pseudoEnded = false;
  #te: string | null = null;

  /** Empty; `listBytesMax` is the most that fields may be, by HPACK's way of counting. */
  constructor(listBytesMax: number) {
    this.#listBytesMax = listBytesMax;
  }

  /** See {@linkcode FieldSink.take}. */
  take(field: HeaderField): void {
    this.#listBytes += field.sizeBytes;
    if (this.#listBytes > this.#listBytesMax || this.#fields.length === FIELDS_MAX) {
      // The rest is decoded, for the table's sake, and forgotten.
      this.isTooLarge = true;
      return;
    }
    if (field.fault !== null) return this.#refuse(field.fault);
    if (field.name.charCodeAt(0) === 58) return this.#takePseudo(field);
    this.#pseudoEnded = true;
    this.#fields.push(field);
    this.sizeBytes += field.sizeBytes - ENTRY_OVERHEAD_BYTES + BETWEEN_BYTES;
    if (field.kind !== FieldKind.plain) this.#takeSpecial(field);
  }

  /** Checks what only the whole can tell. */
  finish(): void {
    if (this.fault !== null || this.isTooLarge) return;
    const mustHave = 1 << FieldKind.method | 1 << FieldKind.scheme | 1 << FieldKind.path;
    if (this.method === "CONNECT") return; // It has neither scheme nor path, and is turned down.
    if ((this.#seen & mustHave) !== mustHave) return this.#refuse("a pseudo-header is missing");
    if (!/^[A-Za-z][A-Za-z0-9+.-]*$/.test(this.#scheme)) return this.#refuse("its scheme is none");
    if (!/^\/[\x21\x22\x24-\x7e]*$/.test(this.path)) return this.#refuse("its path is none");
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(this.method)) {
      return this.#refuse("its method is none");
    }
    if (this.#te !== null && this.#te !== "trailers") this.#refuse("its te is not trailers");
    this.#settleHost();
  }

  /** See {@linkcode HeaderFields.get}. */
  get(name: string): string | null {
    let found: string | null = null;
    for (const field of this.#fields) {
      if (!isNamed(field, name)) continue;
      // Cookies may come apart (RFC 9113, section 8.2.3).
      const between = field.kind === FieldKind.cookie ? "; " : ", ";
      found = found === null ? field.value : `${found}${between}${field.value}`;
    }
    return found ?? (equalsName(name, 0, name.length, "host") ? this.host : null);
  }

  /** See {@linkcode HeaderFields.has}. */
  has(name: string): boolean {
    for (const field of this.#fields) {
      if (isNamed(field, name)) return true;
    }
    return equalsName(name, 0, name.length, "host");
  }

  #refuse(why: string): void {
    this.fault ??= why;
  }

  #takePseudo(field: HeaderField): void {
    const bit = 1 << field.kind;
    if (field.kind === FieldKind.strange) return this.#refuse("a pseudo-header is unknown");
    if (this.#pseudoEnded) return this.#refuse("a pseudo-header comes behind a header field");
    if ((this.#seen & bit) !== 0) return this.#refuse("a pseudo-header comes twice");
    this.#seen |= bit;
    switch (field.kind) {
      case FieldKind.method:
        this.method = field.value;
        break;
      case FieldKind.scheme:
        this.#scheme = field.value;
        break;
      case FieldKind.path:
        this.path = field.value;
        break;
      default:
        this.#authority = field.value;
    }
  }

  #takeSpecial(field: HeaderField): void {
    const { value } = field;
    switch (field.kind) {
      case FieldKind.contentLength:
        if (this.lengthBytes >= 0) return this.#refuse("it has more than one content-length");
        if (!/^[0-9]{1,15}$/.test(value)) return this.#refuse("its content-length is no number");
        this.lengthBytes = Number(value);
        break;
      case FieldKind.host:
        if (this.#ownHost !== null) return this.#refuse("it has more than one host header");
        this.#ownHost = value;
        break;
      case FieldKind.te:
        this.#te = this.#te === null ? value.toLowerCase() : "more than one";
        break;
      case FieldKind.expect:
        if (/^100-continue$/i.test(value)) this.expectsContinue = true;
        break;
      case FieldKind.hopByHop:
        this.#refuse("it has a header field that is for HTTP/1.1 only");
        break;
    }
  }

  #settleHost(): void {
    const host = this.#authority ?? this.#ownHost;
    if (host === null) return this.#refuse("it names no host");
    if (this.#ownHost !== null && this.#ownHost.toLowerCase() !== host.toLowerCase()) {
      return this.#refuse("it names two hosts");
    }
    try {
      this.host = checkHost(host);
    } catch (cause) {
      if (!(cause instanceof RequestRefusal)) throw cause;
      this.#refuse("its host is no host name");
    }
  }
}

function isNamed(field: HeaderField, name: string): boolean {
  return field.name === name || equalsName(field.name, 0, field.name.length, name);
}
