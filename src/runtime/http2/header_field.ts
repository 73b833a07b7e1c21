/**
 * One header field, checked once, however often it is referred to.
 *
 * Source: RFC 9113, section 8.2; RFC 7541, sections 4.1 and 6.
 *
 * @module
 */

/** What a field's name means to a server. */
export const FieldKind = {
  plain: 0,
  method: 1,
  scheme: 2,
  authority: 3,
  path: 4,
  contentLength: 5,
  host: 6,
  cookie: 7,
  expect: 8,
  te: 9,
  /** A pseudo-header field that no request has. */
  strange: 10,
  /** Means something on a connection of HTTP/1.1 only, and may not occur. */
  hopByHop: 11,
} as const;

/** What every entry of a table costs besides its bytes. */
export const ENTRY_OVERHEAD_BYTES = 32;

/** 1 where a byte may stand in a field name: a token without capital letters. */
const NAME = new Uint8Array(256);
/** 1 where a byte may stand in a field value: no control character but TAB. */
const VALUE = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const character = String.fromCharCode(byte);
  const token = byte > 32 && byte < 127 && !'"(),/:;<=>?@[\\]{}'.includes(character);
  NAME[byte] = token && !(byte >= 65 && byte <= 90) ? 1 : 0;
  VALUE[byte] = byte === 9 || (byte >= 32 && byte !== 127) ? 1 : 0;
}

/** A header field as it was decoded. */
export class HeaderField {
  /** Name; in lower case unless there is a {@linkcode fault}. */
  readonly name: string;
  /** Value, one character a byte. */
  readonly value: string;
  /** Size by the rules of HPACK: both lengths, and 32. */
  readonly sizeBytes: number;
  /** One of {@linkcode FieldKind}. */
  readonly kind: number;
  /** Why no request may hold it, or `null`. */
  readonly fault: string | null;

  /** Checks it. */
  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.sizeBytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.kind = kindOf(name);
    this.fault = faultOf(name, value);
  }
}

function kindOf(name: string): number {
  switch (name) {
    case ":method":
      return FieldKind.method;
    case ":scheme":
      return FieldKind.scheme;
    case ":authority":
      return FieldKind.authority;
    case ":path":
      return FieldKind.path;
    case "content-length":
      return FieldKind.contentLength;
    case "host":
      return FieldKind.host;
    case "cookie":
      return FieldKind.cookie;
    case "expect":
      return FieldKind.expect;
    case "te":
      return FieldKind.te;
    case "connection":
    case "keep-alive":
    case "proxy-connection":
    case "transfer-encoding":
    case "upgrade":
      return FieldKind.hopByHop;
    default:
      return name.charCodeAt(0) === 58 ? FieldKind.strange : FieldKind.plain;
  }
}

function faultOf(name: string, value: string): string | null {
  const start = name.charCodeAt(0) === 58 ? 1 : 0;
  if (name.length === start) return "a header field has no name";
  for (let at = start; at < name.length; at++) {
    if (NAME[name.charCodeAt(at)] !== 1) return "a header name holds a forbidden character";
  }
  for (let at = 0; at < value.length; at++) {
    if (VALUE[value.charCodeAt(at)] !== 1) return "a header value holds a control character";
  }
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))) {
    return "a header value begins or ends with a blank";
  }
  return null;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
