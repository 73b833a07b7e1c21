import assert from "node:assert/strict";
import fc from "fast-check";
import { parseRequestHead, type RequestHead } from "./http1_request_head.ts";
import { latin1 } from "./http_server_fixture.ts";
import { InputBuffer } from "./input_buffer.ts";
import { RequestRefusal } from "./request_refusal.ts";

function parse(text: string): RequestHead {
  const bytes = latin1(`xx${text}`); // Offsets must not be taken for indices.
  return parseRequestHead(bytes, 2, bytes.length);
}

/** The status a head is refused with, or 0. */
function refusal(text: string): number {
  try {
    parse(text);
    return 0;
  } catch (error) {
    assert.ok(error instanceof RequestRefusal, String(error));
    assert.match(error.message, /^Cannot read request: [a-z].*[^.]$/);
    return error.status;
  }
}

/** A head with these lines behind its request line. */
function post(...lines: readonly string[]): string {
  return ["POST / HTTP/1.1", ...lines, "", ""].join("\r\n");
}

Deno.test("parseRequestHead reads a request as clients send it", () => {
  const head = parse(
    post("Host: a.example:8080", "Content-Length: 12", "X-A: 1", "x-a:\t2 ", "X-Empty:"),
  );
  assert.equal(head.method, "POST");
  assert.equal(head.target, "/");
  assert.equal(head.host, "a.example:8080");
  assert.equal(head.minorVersion, 1);
  assert.equal(head.lengthBytes, 12);
  assert.equal(head.chunked, false);
  assert.equal(head.keepAlive, true);
  assert.equal(head.get("x-a"), "1, 2");
  assert.equal(head.get("X-A"), "1, 2");
  assert.equal(head.get("x-empty"), "");
  assert.equal(head.get("x-b"), null);
  assert.ok(head.has("content-length"));
  assert.ok(!head.has("x-b"));
  const fields = ["Hosta.example:8080", "Content-Length12", "X-A1", "x-a2", "X-Empty"];
  assert.equal(head.sizeBytes, fields.join("").length + 4 * fields.length);
});

Deno.test("parseRequestHead keeps bytes above ASCII as Latin-1", () => {
  assert.equal(parse(post("host: a", "x: \xe4\x80\xff")).get("x"), "\xe4\x80\xff");
});

Deno.test("parseRequestHead reads persistence and expectation as the version has them", () => {
  const keeps = (version: string, ...lines: string[]) =>
    parse([`GET / HTTP/${version}`, "host: a", ...lines, "", ""].join("\r\n")).keepAlive;
  assert.equal(keeps("1.1"), true);
  assert.equal(keeps("1.1", "connection: Close"), false);
  assert.equal(keeps("1.1", "connection: keep-alive, close"), false);
  assert.equal(keeps("1.1", "connection: close", "connection: keep-alive"), false);
  assert.equal(keeps("1.0"), false);
  assert.equal(keeps("1.0", "connection: Keep-Alive"), true);
  assert.equal(parse(post("host: a", "expect: 100-Continue")).expectsContinue, true);
  assert.equal(
    parse("POST / HTTP/1.0\r\nexpect: 100-continue\r\n\r\n").expectsContinue,
    false,
  );
  assert.equal(parse("GET / HTTP/1.0\r\n\r\n").host, null);
});

Deno.test("parseRequestHead takes a target in absolute form and prefers its host", () => {
  const target = (raw: string) => {
    const head = parse(`GET ${raw} HTTP/1.1\r\nhost: other\r\n\r\n`);
    return `${head.host} ${head.target}`;
  };
  assert.equal(target("http://a.example/p?q"), "a.example /p?q");
  assert.equal(target("HTTP://a.example:80"), "a.example:80 /");
  assert.equal(target("https://a.example?q=1"), "a.example /?q=1");
  assert.equal(target("//a.example/p"), "other //a.example/p");
});

Deno.test("parseRequestHead refuses request lines that are not as RFC 9112 has them", () => {
  const line = (text: string) => refusal(`${text}\r\nhost: a\r\n\r\n`);
  assert.equal(line("GET / HTTP/1.1"), 0);
  for (
    const bad of [
      "GET  / HTTP/1.1",
      "GET /  HTTP/1.1",
      "GET / HTTP/1.1 ",
      " GET / HTTP/1.1",
      "GET\t/ HTTP/1.1",
      "GET / ",
      "GET /",
      "GET",
      "GET / http/1.1",
      "GET / HTTP/1.",
      "GET / HTTP/11",
      "GET / HTTP/1.10",
      "G@T / HTTP/1.1",
      "GET /\x00 HTTP/1.1",
      "GET /\x7f HTTP/1.1",
      "GET /\xe4 HTTP/1.1",
      "GET /#part HTTP/1.1",
      "GET /a\rb HTTP/1.1",
      "GET * HTTP/1.1",
      "GET a HTTP/1.1",
      "GET ftp://a/ HTTP/1.1",
      "GET http:/// HTTP/1.1",
      "GET http://user@a/ HTTP/1.1",
      "GET http://a b/ HTTP/1.1",
    ]
  ) assert.equal(line(bad), 400, JSON.stringify(bad));
  assert.equal(line("PRI * HTTP/2.0"), 505);
  assert.equal(line("GET / HTTP/1.2"), 505);
  assert.equal(line("CONNECT /a HTTP/1.1"), 501);
});

Deno.test("parseRequestHead refuses header lines that are not as RFC 9112 has them", () => {
  assert.equal(refusal(post("host: a", "x: 1")), 0);
  for (
    const bad of [
      "x : 1",
      " x: 1",
      "\tfolded",
      "x",
      ": 1",
      "x\x00: 1",
      "x\xe4: 1",
      "x: a\x00b",
      "x: a\rb",
      "x: a\nb",
      "x: a\nhost: b",
      "x: a\x7f",
      "x: a\r\r",
    ]
  ) assert.equal(refusal(post("host: a", bad)), 400, JSON.stringify(bad));
  const many = Array.from({ length: 300 }, (_, at) => `x-${at}: 1`);
  assert.equal(refusal(post("host: a", ...many)), 431);
});

Deno.test("parseRequestHead wants exactly one host that makes a URL", () => {
  assert.equal(refusal(post()), 400);
  assert.equal(refusal(post("host: a", "Host: a")), 400);
  for (const good of ["a", "a_b.c", "127.0.0.1:80", "[::1]", "[::1]:8080", "localhost:1"]) {
    assert.equal(refusal(post(`host: ${good}`)), 0, good);
  }
  for (
    const bad of [
      "",
      "a b",
      "a/b",
      "a@b",
      "a:b",
      "a:123456",
      "a:99999",
      "[::1",
      "[zz]",
      "1.2.3.256",
      "a,b",
      "a?b",
      "a#b",
      "a\\b",
      "%61",
      "\xe4",
    ]
  ) assert.equal(refusal(post(`host: ${bad}`)), 400, bad);
});

Deno.test("parseRequestHead refuses whatever could be framed in two ways", () => {
  const framed = (...lines: string[]) => refusal(post("host: a", ...lines));
  assert.equal(framed("transfer-encoding: Chunked"), 0);
  assert.equal(framed("content-length: 0"), 0);
  for (
    const bad of [
      ["content-length: 5", "transfer-encoding: chunked"],
      ["transfer-encoding: chunked", "content-length: 5"],
      ["content-length: 5", "content-length: 6"],
      ["content-length: 5", "content-length: 5"],
      ["content-length: 5, 5"],
      ["content-length: +5"],
      ["content-length: -5"],
      ["content-length: 0x5"],
      ["content-length: 5 5"],
      ["content-length: 5.0"],
      ["content-length: 1e3"],
      ["content-length: "],
      ["content-length: 99999999999999999999"],
      ["transfer-encoding: chunked", "transfer-encoding: chunked"],
      ["content-length : 5"],
      ["transfer-encoding : chunked"],
      ["x: y\ntransfer-encoding: chunked"],
    ]
  ) assert.equal(framed(...bad), 400, JSON.stringify(bad));
  for (
    const coding of [
      "chunked, chunked",
      "gzip, chunked",
      "identity",
      "xchunked",
      "chunked;q=1",
      "\x0bchunked",
      '"chunked"',
      "",
    ]
  ) {
    const status = framed(`transfer-encoding: ${coding}`);
    assert.equal(status, coding.startsWith("\x0b") ? 400 : 501, JSON.stringify(coding));
  }
  assert.equal(refusal("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n"), 400);
});

/** What a buffer makes of bytes that come in pieces: heads, then perhaps a refusal. */
function readHeads(pieces: readonly Uint8Array[], headBytesMax = 4_096): string[] {
  const input = new InputBuffer(headBytesMax);
  const found: string[] = [];
  try {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        const space = input.space();
        if (space === null) return [...found, "no room"];
        const count = Math.min(space.length, piece.length - at);
        space.set(piece.subarray(at, at + count));
        input.filled(count);
        at += count;
        for (let head = input.takeHead(); head !== null; head = input.takeHead()) {
          found.push(`${head.method} ${head.target} ${head.get("x")}`);
        }
      }
    }
  } catch (error) {
    assert.ok(error instanceof RequestRefusal, String(error));
    found.push(String(error.status));
  }
  return found;
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
}

Deno.test("InputBuffer finds the same heads however the bytes are split", () => {
  const line = fc.constantFrom("x: 1", "x: \xe4", "accept: */*", "x:", `x: ${"a".repeat(300)}`);
  const head = fc.tuple(fc.array(line, { maxLength: 8 }), fc.boolean()).map(([lines, blank]) =>
    `${blank ? "\r\n" : ""}${post("host: a", ...lines)}`
  );
  fc.assert(fc.property(
    fc.array(head, { minLength: 1, maxLength: 5 }),
    fc.array(fc.nat(), { maxLength: 20 }),
    (heads, cuts) => {
      const bytes = latin1(heads.join(""));
      const whole = readHeads([bytes]);
      assert.equal(whole.length, heads.length);
      assert.deepEqual(readHeads(split(bytes, cuts)), whole);
    },
  ));
  const bytes = latin1(post("host: a", "x: 1") + post("host: b", "x: 2"));
  assert.deepEqual(readHeads(split(bytes, [...bytes.keys()])), ["POST / 1", "POST / 2"]);
});

Deno.test("InputBuffer never takes damaged heads otherwise than as a refusal", () => {
  const valid = latin1(post("host: a", "content-length: 3", "x: 1"));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      (edits, cuts) => {
        const bytes = valid.slice();
        for (const [at, byte] of edits) bytes[at] = byte;
        // What is accepted in pieces is accepted whole; a refusal may come sooner, never differ.
        const whole = readHeads([bytes]);
        const pieces = readHeads(split(bytes, cuts));
        assert.equal(pieces.length, whole.length);
        if (!/^\d+$/.test(whole[0] ?? "")) assert.deepEqual(pieces, whole);
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("InputBuffer refuses what is no HTTP at its first byte, and long heads", () => {
  assert.deepEqual(readHeads([Uint8Array.of(0x16, 3, 1, 2)]), ["400"]);
  assert.deepEqual(readHeads([latin1("\n")]), ["400"]);
  assert.deepEqual(readHeads([latin1("GET / HTTP/1.1\nhost")]), ["400"]);
  assert.deepEqual(readHeads([latin1("a".repeat(4_096))]), ["431"]);
  assert.deepEqual(readHeads([latin1(`${"a".repeat(4_095)}`)]), []);
  assert.deepEqual(readHeads([latin1(post("host: a", `x: ${"a".repeat(4_096)}`))]), ["431"]);
  const large = latin1(post("host: a", `x: ${"a".repeat(60_000)}`));
  assert.equal(readHeads([large], 65_536).length, 1);
  assert.deepEqual(readHeads(split(large, [1, 9_000, 40_000]), 65_536), readHeads([large], 65_536));
});
