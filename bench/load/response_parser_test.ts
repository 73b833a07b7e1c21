import assert from "node:assert/strict";
import { ResponseParser } from "./response_parser.ts";

const encoder = new TextEncoder();

/** Feeds a text in pieces of `size` bytes. */
function play(text: string, size: number): ResponseParser {
  const parser = new ResponseParser();
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at += size) parser.feed(bytes.subarray(at, at + size));
  return parser;
}

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
  "6\r\na: 1\n\n\r\nA;x=y\r\nb: 2\n\nc: 3\r\n2\r\n\n\n\r\n0\r\nt: 1\r\n\r\n";

Deno.test("ResponseParser counts events and content of chunked bodies at any split", () => {
  for (let size = 1; size <= CHUNKED.length; size++) {
    const parser = play(CHUNKED, size);
    assert.equal(parser.done, true, `size ${size}`);
    assert.equal(parser.status, 200);
    assert.equal(parser.events, 3);
    assert.equal(parser.bodyBytes, 18);
    assert.equal(parser.keepAlive, true);
  }
});

Deno.test("ResponseParser ends by content length, and by close only where nothing else says so", () => {
  const counted = play("HTTP/1.1 404 No\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc", 2);
  assert.equal(counted.done, true);
  assert.equal(counted.status, 404);
  assert.equal(counted.keepAlive, false);

  const cut = play("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc", 5);
  cut.close();
  assert.equal(cut.done, false);

  const open = play("HTTP/1.0 200 OK\r\n\r\nabc", 5);
  assert.equal(open.done, false);
  open.close();
  assert.equal(open.done, true);
});

Deno.test("ResponseParser refuses what is no response, and bytes after the end", () => {
  assert.throws(() => play("junk\r\n\r\n", 3), /Cannot parse: junk/);
  assert.throws(() => play("HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\nx", 99), /after/);
});

Deno.test("ResponseParser.reset() starts a new response", () => {
  const parser = play(CHUNKED, 7);
  parser.reset();
  parser.feed(encoder.encode("HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n\n\n"));
  assert.equal(parser.status, 500);
  assert.equal(parser.events, 1);
  assert.equal(parser.done, true);
});
