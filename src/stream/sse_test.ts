import assert from "node:assert/strict";
import fc from "fast-check";
import { EventScanner, formatComment, formatEvent, type SseEvent, SseLimitError } from "./sse.ts";

const encoder = new TextEncoder();

/** Events in the text, given to a scanner in pieces that end at the byte offsets `cuts`. */
function scan(source: string | Uint8Array<ArrayBuffer>, cuts: readonly number[] = []): SseEvent[] {
  const bytes = typeof source === "string" ? encoder.encode(source) : source;
  const scanner = new EventScanner({ eventBytesMax: 4_000_000 });
  const events: SseEvent[] = [];
  const ends = [...cuts, bytes.length].map((cut) => Math.min(cut, bytes.length)).sort((a, b) =>
    a - b
  );
  let start = 0;
  for (const end of ends) {
    scanner.push(bytes.slice(start, end), (event) => events.push(event));
    start = end;
  }
  return events;
}

/** What a client would be told: `name|data`, blocks without data left out. */
function told(events: readonly SseEvent[]): string[] {
  return events.filter((event) => event.data !== null).map((event) =>
    `${event.event ?? "message"}|${event.data}`
  );
}

/** The standard's algorithm on a whole text, written for clearness alone. */
function interpret(text: string): string[] {
  const dispatched: string[] = [];
  let name = "";
  let data = "";
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/);
  for (const line of lines.slice(0, -1)) {
    if (line === "") {
      if (data !== "") dispatched.push(`${name || "message"}|${data.slice(0, -1)}`);
      [name, data] = ["", ""];
      continue;
    }
    const [, field, value] = /^([^:]*)(?:: ?)?([^]*)$/.exec(line) ?? [];
    if (field === "event") name = value ?? "";
    if (field === "data") data += `${value}\n`;
  }
  return dispatched;
}

Deno.test("EventScanner reads fields as the standard says", () => {
  const cases: readonly (readonly [stream: string, expected: readonly string[]])[] = [
    ["data: one\n\ndata: two\n\n", ["message|one", "message|two"]],
    ["data:no space\n\n", ["message|no space"]],
    ["data:  two spaces\n\n", ["message| two spaces"]],
    ["data\n\n", ["message|"]],
    ["data:\n\n", ["message|"]],
    ["data\ndata\n\n", ["message|\n"]],
    ["data: a\ndata:b\ndata\ndata: \n\n", ["message|a\nb\n\n"]],
    ["event: ping\ndata: x\n\ndata: y\n\n", ["ping|x", "message|y"]],
    ["event: a\nevent: b\ndata: x\n\n", ["b|x"]],
    ["event: a\nevent\ndata: x\n\n", ["message|x"]],
    ["event: lonely\n\ndata: x\n\n", ["message|x"]],
    ["Data: x\ndata : y\n data: z\ndatax: q\nevents: e\n\n", []],
    ["data: a:b: c\n\n", ["message|a:b: c"]],
    [": comment\ndata: x\n:\n:data: y\n\n", ["message|x"]],
    ["id: 1\nretry: 10\nunknown: x\ndata: x\n\n", ["message|x"]],
    ["id: 7\n\n: only a comment\n\n", []],
    ["\n\n\ndata: x\n\n\n\n\ndata: y\n\n", ["message|x", "message|y"]],
    ["data: x\r\rdata: y\r\n\r\ndata: z\n\r\n", ["message|x", "message|y", "message|z"]],
    ["data: x\r\ndata: y\rdata: z\n\r", ["message|x\ny\nz"]],
    ["\uFEFFdata: x\n\n\uFEFFdata: y\n\n", ["message|x"]],
    ["\n\uFEFFdata: x\n\n", []],
    ["\uFEFF\uFEFFdata: x\n\ndata: \uFEFFy\n\n", ["message|\uFEFFy"]],
    ["data: nul\0 ü 漢 😀\n\n", ["message|nul\0 ü 漢 😀"]],
    ["data: unfinished", []],
    ["data: unfinished\n", []],
    ["", []],
  ];
  for (const [stream, expected] of cases) {
    assert.deepEqual(told(scan(stream)), expected, JSON.stringify(stream));
    const everyByte = Array.from(encoder.encode(stream), (_, index) => index);
    assert.deepEqual(told(scan(stream, everyByte)), expected, `bytewise ${JSON.stringify(stream)}`);
  }
});

Deno.test("EventScanner reports blocks without data as such", () => {
  const [comment, ping, event] = scan(": keep\n\nevent: ping\n\ndata: x\n\n");
  assert.deepEqual([comment?.event, comment?.data], [null, null]);
  assert.deepEqual([ping?.event, ping?.data], ["ping", null]);
  assert.deepEqual([event?.event, event?.data], [null, "x"]);
});

Deno.test("EventScanner reports an event with its last byte, not later", () => {
  for (const newline of ["\n", "\r", "\r\n"]) {
    const scanner = new EventScanner({ eventBytesMax: 100 });
    let count = 0;
    // A CR ends a line by itself, so the LF of a last CRLF is not waited for.
    const text = `data: x${newline}${newline}`.replace(/\r\n$/, "\r");
    for (const byte of encoder.encode(text)) {
      assert.equal(count, 0);
      scanner.push(Uint8Array.of(byte), () => count++);
    }
    assert.equal(count, 1, JSON.stringify(newline));
    assert.equal(scanner.pendingBytes, 0);
  }
});

Deno.test("EventScanner takes CR and LF in two pieces for one line end", () => {
  const events = scan("data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", [8, 19, 20]);
  assert.deepEqual(told(events), ["message|a\nb", "message|c"]);
  assert.equal(new TextDecoder().decode(events[0]?.raw), "data: a\r\ndata: b\r\n\r");
  assert.equal(new TextDecoder().decode(events[1]?.raw), "data: c\r\n\r\n");
});

Deno.test("EventScanner gives offsets that let neighbours go out as one slice", () => {
  const bytes = encoder.encode('rest\n\n: c\n\n\ndata: {"ü":1}\n\nevent: e\ndata: 2\n\ndata: un');
  const scanner = new EventScanner({ eventBytesMax: 100 });
  scanner.push(encoder.encode("data: the "), () => assert.fail("nothing is complete"));
  const events: SseEvent[] = [];
  scanner.push(bytes, (event) => events.push(event));

  assert.deepEqual(events.map(({ data }) => data), ["the rest", null, '{"ü":1}', "2"]);
  assert.deepEqual(events.map(({ start }) => start), [-1, 6, 11, 28]);
  assert.deepEqual(events.map(({ end }) => end), [6, 11, 28, 46]);
  for (const { raw, start, end } of events.slice(1)) {
    assert.equal(raw.buffer, bytes.buffer);
    assert.deepEqual([raw.byteOffset, raw.byteLength], [start, end - start]);
  }
  assert.equal(scanner.pendingBytes, 8);
});

Deno.test("EventScanner leaves the byte order mark out of raw", () => {
  const source = "\uFEFFdata: x\n\n";
  for (const cuts of [[], [1], [2], [3], [5]]) {
    const [event] = scan(source, cuts);
    assert.equal(new TextDecoder("utf-8", { ignoreBOM: true }).decode(event?.raw), "data: x\n\n");
  }
});

Deno.test("EventScanner means the same in any split of any bytes", () => {
  const token = fc.constantFrom(
    "data",
    "event",
    ":",
    ": ",
    "\n",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\uFEFF",
    "x",
    "é",
    "漢",
    "😀",
    "\0",
    "data: {}\n\n",
  );
  const text = fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join(""));
  const cuts = fc.array(fc.nat(120), { maxLength: 12 });
  fc.assert(
    fc.property(text, cuts, (source, ends) => {
      assert.deepEqual(told(scan(source, ends)), interpret(source));
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("EventScanner decodes broken UTF-8 as a decoder of the whole would", () => {
  const byte = fc.constantFrom(0x0a, 0x0d, 0x61, 0x80, 0xc3, 0xa9, 0xe2, 0x82, 0xf0, 0xff);
  const cuts = fc.array(fc.nat(60), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 30 }), cuts, (middle, ends) => {
      const bytes = Uint8Array.from([
        ...encoder.encode("data: "),
        ...middle,
        ...encoder.encode("\n\n"),
      ]);
      const whole = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
      assert.deepEqual(told(scan(bytes, ends)), interpret(whole));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("EventScanner gives raw that parses to the event again and loses no byte", () => {
  const line = fc.constantFrom("data: a", "data: 漢", ": c", "event: e", "id: 1");
  const newline = fc.constantFrom("\n", "\r\n", "\r");
  const block = fc.tuple(fc.array(line, { minLength: 1, maxLength: 4 }), newline).map(
    ([lines, end]) => lines.join(end) + end + end,
  );
  const cuts = fc.array(fc.nat(200), { maxLength: 8 });
  fc.assert(fc.property(fc.array(block, { maxLength: 8 }), cuts, (blocks, ends) => {
    const source = blocks.join("");
    const events = scan(source, ends);
    assert.equal(events.length, blocks.length);
    for (const event of events) assert.deepEqual(told(scan(event.raw.slice())), told([event]));
    const sent = events.map(({ raw }) => new TextDecoder().decode(raw)).join("");
    // An LF split from its CR behind an event is the one thing that may be gone.
    assert.equal(sent.replaceAll("\r\n", "\r"), source.replaceAll("\r\n", "\r"));
  }));
});

Deno.test("EventScanner reads an event of 1 MB from small pieces", () => {
  const data = "0123456789é".repeat(90_000);
  const bytes = encoder.encode(`data: ${data}\n\ndata: next\n\n`);
  const scanner = new EventScanner({ eventBytesMax: 2_000_000 });
  const events: SseEvent[] = [];
  for (let start = 0; start < bytes.length; start += 1_001) {
    scanner.push(bytes.slice(start, start + 1_001), (event) => events.push(event));
  }
  assert.deepEqual(events.map((event) => event.data), [data, "next"]);
  assert.equal(events[0]?.raw.length, bytes.length - "data: next\n\n".length);
});

Deno.test("EventScanner refuses an event larger than eventBytesMax, in one piece or several", () => {
  const bytes = encoder.encode("data: 1\n\ndata: 12345678\n\n");
  for (const size of [bytes.length, 3]) {
    const scanner = new EventScanner({ eventBytesMax: 15 });
    const seen: (string | null)[] = [];
    assert.throws(() => {
      for (let start = 0; start < bytes.length; start += size) {
        scanner.push(bytes.slice(start, start + size), (event) => seen.push(event.data));
      }
    }, SseLimitError);
    assert.deepEqual(seen, ["1"]);
  }
  const exact = new EventScanner({ eventBytesMax: 16 });
  let count = 0;
  exact.push(bytes, () => count++);
  assert.equal(count, 2);
});

Deno.test("formatEvent() writes what EventScanner reads", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    const data = text.replace(/\r\n?/g, "\n"); // The format has one kind of line end only.
    const [event] = scan(formatEvent("error", data));
    assert.deepEqual([event?.event, event?.data], ["error", data]);
  }));
  assert.equal(new TextDecoder().decode(formatEvent(null, "x")), "data: x\n\n");
  assert.deepEqual(told(scan(formatEvent(null, "a\rb\r\nc\n"))), ["message|a\nb\nc\n"]);
});

Deno.test("formatComment() writes a block that clients ignore", () => {
  assert.equal(new TextDecoder().decode(formatComment("keep-alive")), ": keep-alive\n\n");
  assert.deepEqual(told(scan(formatComment("a\ndata: b\rdata: c"))), []);
});
