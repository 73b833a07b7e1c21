import assert from "node:assert/strict";
import { Refusal } from "../refusal.ts";
import { HEAD_BYTES_MAX, type HttpRequest, RequestReader } from "./http1.ts";

/** Feeds `text` in pieces of `size` bytes and collects every request. */
function read(text: string, size = text.length): HttpRequest[] {
  const reader = new RequestReader();
  const bytes = new TextEncoder().encode(text);
  const requests: HttpRequest[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    reader.push(bytes.slice(at, at + size));
    for (let next = reader.next(); next !== null; next = reader.next()) requests.push(next);
  }
  return requests;
}

const body = (request: HttpRequest | undefined) => new TextDecoder().decode(request?.body);

Deno.test("RequestReader reads requests however their bytes are split", () => {
  const text =
    "POST /a?q=1 HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello" +
    "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e=1\r\nde\r\n0\r\nt: 1\r\n\r\n" +
    "GET /c HTTP/1.1\r\nConnection: close\r\n\r\n" +
    "GET /d HTTP/1.0\r\n\r\n";
  for (let size = 1; size <= text.length; size++) {
    const [a, b, c, d, ...rest] = read(text, size);
    assert.equal(rest.length, 0);
    assert.deepEqual([a?.method, a?.path, body(a), a?.keepAlive], ["POST", "/a", "hello", true]);
    assert.equal(a?.headers.get("x-a"), "1, 2");
    assert.deepEqual([b?.path, body(b)], ["/b", "abcde"]);
    assert.deepEqual([c?.path, c?.keepAlive, c?.body.length], ["/c", false, 0]);
    assert.deepEqual([d?.path, d?.keepAlive, d?.oldHttp], ["/d", false, true]);
  }
});

Deno.test("RequestReader refuses what is no request", () => {
  const cases: ReadonlyArray<readonly [string, number]> = [
    ["hello\r\n\r\n", 400],
    ["GET / HTTP/2\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nno colon\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nbad name: 1\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", 501],
    ["POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400],
    ["POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413],
    [`GET / HTTP/1.1\r\na: ${"x".repeat(HEAD_BYTES_MAX)}`, 431],
  ];
  for (const [text, status] of cases) {
    assert.throws(
      () => read(text),
      (error) => error instanceof Refusal && error.status === status,
      text.slice(0, 40),
    );
  }
});

Deno.test("RequestReader reports the expectation of 100 Continue once", () => {
  const reader = new RequestReader();
  const head = "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n";
  reader.push(new TextEncoder().encode(head));
  assert.equal(reader.next(), null);
  assert.equal(reader.takeExpectation(), true);
  assert.equal(reader.takeExpectation(), false);
  reader.push(new TextEncoder().encode("x"));
  assert.equal(body(reader.next() ?? undefined), "x");
});
