import assert from "node:assert/strict";
import fc from "fast-check";
import { UpstreamError } from "../ports.ts";
import { ResponseParser } from "./http1_parser.ts";

/** All that can be seen of a parsed response. */
interface Seen {
  readonly status: number | null;
  readonly header: string | null;
  readonly body: string;
  readonly done: boolean;
  readonly reusable: boolean;
  readonly failure: string | null;
}

function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Parses `text`, cut at `cuts`, in the buffer a socket would read into; then the connection ends. */
function parse(text: string, cuts: readonly number[] = [], method = "GET"): Seen {
  const parser = new ResponseParser({ method, headBytesMax: 1_000 });
  const bytes = latin1(text);
  const buffer = new Uint8Array(bytes.length);
  let body = "";
  let failure: string | null = null;
  let start = 0;
  try {
    for (const end of [...cuts, bytes.length]) {
      if (end <= start) continue;
      buffer.fill(0xff);
      buffer.set(bytes.subarray(start, end));
      const piece = parser.push(buffer, end - start);
      if (piece !== null) {
        assert.ok(piece.length > 0);
        assert.notEqual(piece.buffer, buffer.buffer);
        body += String.fromCharCode(...piece);
      }
      start = end;
    }
    parser.end();
  } catch (error) {
    assert.ok(error instanceof UpstreamError, String(error));
    failure = `${error.kind}: ${error.message}`;
  }
  return {
    status: parser.head?.status ?? null,
    header: parser.head?.header("x-a") ?? null,
    // After a failure it depends on the cuts how much of the body came out before.
    body: failure === null ? body : "",
    done: parser.done,
    reusable: parser.reusable,
    failure,
  };
}

const HEAD = "HTTP/1.1 200 OK\r\nx-a: b\r\n";
const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n\r\n`;

const body = fc.string({ unit: "binary-ascii", maxLength: 60 });
const chunk = fc.tuple(
  fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 40 }),
  fc.constantFrom("", ";a=b", " ; x", ';q="y"'),
  fc.nat(3),
).map(([data, extension, zeros]) =>
  `${"0".repeat(zeros)}${data.length.toString(16)}${extension}\r\n${data}\r\n`
);

const wellFormed = fc.oneof(
  body.map((text) => `${HEAD}content-length: ${text.length}\r\n\r\n${text}`),
  body.map((text) => `${HEAD}\r\n${text}`),
  fc.tuple(fc.array(chunk, { maxLength: 8 }), fc.constantFrom("", "x: y\r\n", "x: y\r\nz: w\r\n"))
    .map(([chunks, trailers]) => `${CHUNKED}${chunks.join("")}0\r\n${trailers}\r\n`),
  body.map((text) => `HTTP/1.1 103 Early\r\nx-a: c\r\n\r\nHTTP/1.1 204 None\r\n\r\n${text}`),
);

/** A well-formed response, or one with a byte changed, removed or doubled, or cut short. */
const anyResponse = fc.tuple(
  wellFormed,
  fc.constantFrom("keep", "change", "remove", "double", "cut"),
  fc.nat(),
  fc.nat(255),
).map(([text, damage, where, byte]) => {
  const at = where % text.length;
  const other = String.fromCharCode(byte);
  if (damage === "change") return text.slice(0, at) + other + text.slice(at + 1);
  if (damage === "remove") return text.slice(0, at) + text.slice(at + 1);
  if (damage === "double") return text.slice(0, at) + text.slice(at, at + 1) + text.slice(at);
  if (damage === "cut") return text.slice(0, at);
  return text;
});

const someCuts = fc.array(fc.nat(400), { maxLength: 12 })
  .map((cuts) => [...cuts].sort((a, b) => a - b));

Deno.test("ResponseParser sees the same however the bytes are cut", () => {
  fc.assert(
    fc.property(anyResponse, someCuts, (text, cuts) => {
      const valid = cuts.filter((cut) => cut < text.length);
      assert.deepEqual(withoutReason(parse(text, valid)), withoutReason(parse(text)));
    }),
    { numRuns: 3_000 },
  );
});

/** Which of two faults is met first may depend on the cuts; its kind may not. */
function withoutReason(seen: Seen): Seen {
  const kind = seen.failure?.split(":")[0] ?? null;
  return kind === null ? seen : { ...seen, status: null, header: null, failure: kind };
}

Deno.test("ResponseParser sees the same byte by byte", () => {
  fc.assert(
    fc.property(wellFormed, (text) => {
      const cuts = Array.from({ length: text.length }, (_, at) => at);
      assert.deepEqual(parse(text, cuts), parse(text));
    }),
    { numRuns: 500 },
  );
});

Deno.test("ResponseParser never takes a response that was cut short for a whole one", () => {
  fc.assert(
    fc.property(fc.array(chunk, { minLength: 1, maxLength: 8 }), fc.nat(), (chunks, where) => {
      const text = `${CHUNKED}${chunks.join("")}0\r\n\r\n`;
      const seen = parse(text.slice(0, where % text.length));
      assert.equal(seen.done, false);
      assert.match(seen.failure ?? "", /^reset: /);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("ResponseParser puts chunks together", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1, maxLength: 30 }), { maxLength: 9 }), (parts) => {
      const chunks = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("");
      const seen = parse(`${CHUNKED}${chunks}0\r\n\r\n`);
      assert.deepEqual(seen, {
        status: 200,
        header: "b",
        body: parts.join(""),
        done: true,
        reusable: true,
        failure: null,
      });
    }),
  );
});

Deno.test("ResponseParser survives anything", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom("", HEAD, CHUNKED),
      (raw, head) => {
        parse(head + String.fromCharCode(...raw));
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("ResponseParser expects no body in the answer to a HEAD", () => {
  const seen = parse(`${HEAD}content-length: 9\r\n\r\n`, [], "HEAD");
  assert.equal(seen.done, true);
  assert.equal(seen.reusable, true);
});

Deno.test("ResponseParser lets a connection be used again only after a clean end", () => {
  const reusable = (text: string): boolean => parse(text).reusable;
  assert.equal(reusable(`${HEAD}content-length: 2\r\n\r\nok`), true);
  assert.equal(reusable(`${HEAD}content-length: 2\r\n\r\nokx`), false);
  assert.equal(reusable(`${HEAD}content-length: 2\r\nconnection: a, close\r\n\r\nok`), false);
  assert.equal(reusable(`${HEAD}content-length: 2\r\nconnection: closed\r\n\r\nok`), true);
  assert.equal(reusable("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"), false);
  assert.equal(reusable("HTTP/1.1 204 No Content\r\n\r\nx"), false);
  assert.equal(reusable(`${HEAD}\r\nok`), false);
});
