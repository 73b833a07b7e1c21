/**
 * What one event costs on its way through `src/stream/`, without any socket.
 *
 * Budget: an event of 300 bytes found in its piece in at most 1 µs, read in at
 * most 1.3 µs with its `JSON.parse`, which is the yardstick here. A piece of 20
 * events stands for a busy connection, a piece of one for a paced stream; times
 * of the former are for all 20.
 *
 *     deno task bench --filter stream
 *
 * @module
 */
import { Transcript } from "../src/stream/continuation.ts";
import { depthExceeds, spliceTopLevel } from "../src/stream/json_splice.ts";
import { Progress, readEvent } from "../src/stream/reading.ts";
import { EventScanner, type SseEvent } from "../src/stream/sse.ts";

const encoder = new TextEncoder();

function chunk(content: string): string {
  return JSON.stringify({
    id: "chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    object: "chat.completion.chunk",
    created: 1_763_990_000,
    model: "llama-3.1-8b-instruct",
    system_fingerprint: "fp_44709d6fcb",
    choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }],
  });
}

function events(data: string, count: number, newline = "\n", name = ""): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${name}data: ${data}${newline}${newline}`.repeat(count));
}

const scanner = new EventScanner({ eventBytesMax: 2_000_000 });
const progress = new Progress();
let seen = 0;
const count = () => void seen++;
const read = (event: SseEvent) => progress.push(readEvent("chat", event.event, event.data ?? ""));

const plain = chunk(" hello");
const one = events(plain, 1);
const many = events(plain, 20);
const pieces: readonly (readonly [name: string, pieces: readonly Uint8Array<ArrayBuffer>[]])[] = [
  ["1 event", [one]],
  ["1 event, UTF-8", [events(chunk(" héllo 漢"), 1)]],
  ["1 event in 2 pieces", [one.slice(0, 100), one.slice(100)]],
  ["20 events", [many]],
  ["20 events, UTF-8", [events(chunk(" héllo 漢"), 20)]],
  ["20 events, CRLF", [events(plain, 20, "\r\n")]],
  ["20 events, named", [events(plain, 20, "\n", "event: content_block_delta\n")]],
];

Deno.bench("stream: JSON.parse of 1 chunk", { group: "scan", baseline: true }, () => {
  JSON.parse(plain);
});
for (const [name, parts] of pieces) {
  Deno.bench(`stream: scan ${name}`, { group: "scan" }, () => {
    for (const part of parts) scanner.push(part, count);
  });
}

const largeBytes = events(JSON.stringify({ text: "x".repeat(1_000_000) }), 1);
Deno.bench("stream: scan 1 event of 1 MB in pieces of 1 kB", { group: "large" }, () => {
  for (let start = 0; start < largeBytes.length; start += 1_024) {
    scanner.push(largeBytes.subarray(start, start + 1_024), count);
  }
});

Deno.bench("stream: JSON.parse of the chunk", { group: "read", baseline: true }, () => {
  JSON.parse(plain);
});
Deno.bench("stream: readEvent", { group: "read" }, () => {
  readEvent("chat", null, plain);
});
Deno.bench("stream: scan, read, Progress, 1 event", { group: "read" }, () => {
  scanner.push(one, read);
});
Deno.bench("stream: scan, read, Progress, 20 events", { group: "read" }, () => {
  scanner.push(many, read);
});

const words = Array.from(
  { length: 500 },
  (_, index) => readEvent("chat", null, chunk(` ${index}`)),
);
Deno.bench("stream: splice 500 readings that were sent, 500 new", { group: "continue" }, () => {
  const transcript = new Transcript("chat");
  for (const reading of words) transcript.record(reading);
  transcript.begin("restart");
  for (const reading of words) transcript.splice(reading);
  for (const reading of words) transcript.splice(reading);
});

const content = `He said "hi"\n${"lorem ipsum dolor sit amet ".repeat(180)}`;
const prompt = JSON.stringify({
  model: "chat",
  messages: Array.from({ length: 20 }, () => ({ role: "user", content })),
  stream: true,
});
Deno.bench("stream: JSON.parse of a 100 kB request", { group: "request", baseline: true }, () => {
  JSON.parse(prompt);
});
Deno.bench("stream: spliceTopLevel, 100 kB", { group: "request" }, () => {
  spliceTopLevel(prompt, { model: '"llama"', stream_options: '{"include_usage":true}' });
});
Deno.bench("stream: depthExceeds, 100 kB", { group: "request" }, () => {
  depthExceeds(prompt, 64);
});
