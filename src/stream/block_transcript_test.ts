import assert from "node:assert/strict";
import fc from "fast-check";
import { Transcript } from "./continuation.ts";
import { readEvent } from "./reading.ts";
import type { JsonObject } from "./wire.ts";

/** A block of a message: what it is, and all of its text, thinking or tool input. */
interface Part {
  readonly type: "text" | "thinking" | "tool_use";
  readonly body: string;
}

const MEMBERS = {
  text: ["text_delta", "text"],
  thinking: ["thinking_delta", "thinking"],
  tool_use: ["input_json_delta", "partial_json"],
} as const;

/** The parts as a message stream, divided into pieces of the given lengths. */
function messageStream(parts: readonly Part[], id: string, sizes: readonly number[]): JsonObject[] {
  const events: JsonObject[] = [
    { type: "message_start", message: { id, model: `m-${id}`, usage: { input_tokens: 3 } } },
    { type: "ping" },
  ];
  let turn = 0;
  for (const [index, { type, body }] of parts.entries()) {
    const [deltaType, member] = MEMBERS[type];
    const content_block = type === "tool_use"
      ? { type, id: `${id}-${index}`, name: "find", input: {} }
      : { type, [member]: "" };
    events.push({ type: "content_block_start", index, content_block });
    for (let start = 0; start < body.length;) {
      const end = start + (sizes[turn++ % sizes.length] ?? 1);
      const delta = { type: deltaType, [member]: body.slice(start, end) };
      events.push({ type: "content_block_delta", index, delta });
      start = end;
    }
    if (type === "thinking") {
      const delta = { type: "signature_delta", signature: `by ${id}` };
      events.push({ type: "content_block_delta", index, delta });
    }
    events.push({ type: "content_block_stop", index });
  }
  events.push({
    type: "message_delta",
    delta: { stop_reason: "end_turn" },
    usage: { output_tokens: 5 },
  });
  return [...events, { type: "message_stop" }];
}

/** Puts a message together as the stock client does, and refuses what it would stumble over. */
function reassemble(events: readonly JsonObject[]): { parts: Part[]; ids: unknown[] } {
  const parts: { type: Part["type"]; body: string }[] = [];
  const ids: unknown[] = [];
  const open = new Set<unknown>();
  const signed = new Set<unknown>();
  const order = events.map(({ type }) => type).filter((type) => type !== "ping");
  assert.equal(order.filter((type) => type === "message_start").length, 1, "one start");
  assert.equal(order.filter((type) => type === "message_delta").length, 1, "one stop reason");
  assert.deepEqual(order.slice(-2), ["message_delta", "message_stop"]);
  for (const json of JSON.parse(JSON.stringify(events))) {
    if (json.type === "content_block_start") {
      assert.equal(json.index, parts.length, "indexes count up");
      assert.equal(open.size, 0, "one block at a time");
      open.add(json.index);
      parts.push({ type: json.content_block.type, body: "" });
      ids.push(json.content_block.id);
    } else if (json.type === "content_block_delta") {
      assert.ok(open.has(json.index), "deltas lie inside their block");
      const part = parts[json.index];
      assert.ok(part);
      if (json.delta.type === "signature_delta") {
        assert.ok(!signed.has(json.index), "one signature");
        signed.add(json.index);
      } else {
        assert.equal(json.delta.type, MEMBERS[part.type][0]);
        part.body += json.delta[MEMBERS[part.type][1]];
      }
    } else if (json.type === "content_block_stop") {
      assert.ok(open.delete(json.index), "blocks end once");
    }
  }
  assert.equal(open.size, 0, "every block ends");
  return { parts, ids };
}

function read(json: JsonObject) {
  return readEvent("messages", String(json.type), JSON.stringify(json));
}

/** Plays streams one after the other, each cut after `cuts[i]` events, the last one whole. */
function carryOn(
  streams: readonly (readonly JsonObject[])[],
  cuts: readonly number[],
): { sent: JsonObject[]; isMismatch: boolean } {
  const transcript = new Transcript("messages");
  const sent: JsonObject[] = [];
  for (const [number, stream] of streams.entries()) {
    if (number > 0) transcript.begin("restart");
    for (const json of stream.slice(0, cuts[number])) {
      if (number === 0) {
        transcript.record(read(json));
        sent.push(json);
        continue;
      }
      const result = transcript.splice(read(json));
      if (result.mismatch) return { sent, isMismatch: true };
      sent.push(...result.events);
    }
  }
  return { sent, isMismatch: false };
}

const PLAIN = { noNullPrototype: true } as const; // deepEqual() tells prototypes apart.
const texts = fc.string({ unit: "grapheme", maxLength: 20 });
const types = fc.constantFrom<Part["type"]>("text", "thinking", "tool_use");
const messages = fc.array(fc.record({ type: types, body: texts }, PLAIN), { maxLength: 4 });
const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 });

Deno.test("Transcript carries a message on to the same one, wherever it is cut", () => {
  fc.assert(
    fc.property(
      messages,
      sizes,
      sizes,
      sizes,
      fc.nat(60),
      fc.nat(60),
      (parts, first, second, third, firstCut, secondCut) => {
        const streams = [
          messageStream(parts, "a", first),
          messageStream(parts, "b", second),
          messageStream(parts, "c", third),
        ];
        // A stream that has sent its last event is not carried on.
        const cut = (number: number, at: number) => 1 + at % ((streams[number]?.length ?? 2) - 1);
        const { sent, isMismatch } = carryOn(
          streams.with(1, streams[1]?.slice(0, -1) ?? []),
          [cut(0, firstCut), cut(1, secondCut)],
        );
        assert.equal(isMismatch, false);
        assert.deepEqual(reassemble(sent).parts, parts);
      },
    ),
    { numRuns: 1_500 },
  );
});

Deno.test("Transcript refuses a message that differs in what was sent", () => {
  const sent: readonly Part[] = [{ type: "thinking", body: "hm" }, { type: "text", body: "yes" }];
  const others: readonly (readonly Part[])[] = [
    [{ type: "thinking", body: "hum" }, { type: "text", body: "yes" }],
    [{ type: "thinking", body: "hm" }, { type: "text", body: "ye" }],
    [{ type: "thinking", body: "hm" }, { type: "tool_use", body: "yes" }],
    [{ type: "text", body: "yes" }],
    [{ type: "thinking", body: "hm" }],
    [],
    [{ type: "thinking", body: "hmm" }, { type: "text", body: "yes" }], // That block has ended.
    sent,
    [{ type: "thinking", body: "hm" }, { type: "text", body: "yes!" }],
  ];
  // All but the end of the last block, stop reason and end.
  const first = messageStream(sent, "a", [9]).slice(0, -3);
  const results = others.map((parts) => carryOn([first, messageStream(parts, "b", [2])], []));
  assert.deepEqual(
    results.map(({ isMismatch }) => isMismatch),
    [true, true, true, true, true, true, true, false, false],
  );
  for (const { sent, isMismatch } of results) {
    const hasFinish = sent.some(({ type }) => type === "message_delta");
    assert.notEqual(hasFinish, isMismatch, "a stop reason is sent for the same message only");
  }
});

Deno.test("Transcript keeps the start of a message and the ids of its tools", () => {
  const parts: readonly Part[] = [{ type: "tool_use", body: "{}" }, {
    type: "tool_use",
    body: "1",
  }];
  const streams = ["a", "b"].map((id) => messageStream(parts, id, [1]));
  const { sent } = carryOn(streams, [4]); // Start, ping, head of the first call, "{".
  assert.deepEqual(reassemble(sent).ids, ["a-0", "b-1"]);
});

Deno.test("Transcript gives up on blocks it cannot compare", () => {
  const block = (content_block: JsonObject) => ({
    type: "content_block_start",
    index: 0,
    content_block,
  });
  const cases: readonly (readonly [events: JsonObject[], canContinue: boolean])[] = [
    [[block({ type: "text", text: "" })], true],
    [[block({ type: "redacted_thinking", data: "x" })], false],
    [[block({ type: "server_tool_use", id: "1", name: "web_search", input: {} })], false],
    [[block({ type: "tool_use", id: "1", name: "f", input: { a: 1 } })], false],
    [[block({ type: "text", text: "" }), {
      type: "content_block_delta",
      index: 0,
      delta: { type: "citations_delta", citation: {} },
    }], false],
  ];
  for (const [events, canContinue] of cases) {
    const transcript = new Transcript("messages");
    for (const event of events) transcript.record(read(event));
    assert.equal(transcript.canContinue, canContinue, JSON.stringify(events));
  }
});

/** A message of one text, cut, carried on by a stream that was given that text. */
function prefill(sent: readonly JsonObject[], next: readonly JsonObject[]): JsonObject[] {
  const transcript = new Transcript("messages");
  for (const json of sent) transcript.record(read(json));
  assert.equal(transcript.canPrefill, true);
  transcript.begin("prefill");
  const events = next.flatMap((json) => {
    const result = transcript.splice(read(json));
    assert.ok(!result.mismatch);
    return result.events;
  });
  return [...sent, ...events];
}

Deno.test("Transcript goes on in the open block of a prefilled message", () => {
  fc.assert(
    fc.property(
      texts,
      messages,
      sizes,
      fc.boolean(),
      fc.boolean(),
      (text, rest, second, isOpen, doesRepeat) => {
        const first = rest[0]?.type === "text" ? rest[0].body : null;
        fc.pre(text !== "" && text.trimEnd() === text);
        fc.pre(!first?.startsWith(text) && !(doesRepeat && (text.length < 8 || first === null)));
        const sent = messageStream([{ type: "text", body: text }], "a", [99])
          .slice(0, isOpen ? -3 : -2);
        const given = doesRepeat ? rest.with(0, { type: "text", body: text + first }) : rest;
        const { parts } = reassemble(prefill(sent, messageStream(given, "b", second)));

        // A repetition is only known as one in the block it repeats.
        const joins = isOpen && first !== null;
        const expected: Part[] = joins
          ? [{ type: "text", body: text + first }, ...rest.slice(1)]
          : [{ type: "text", body: text }, ...(isOpen ? rest : given)];
        assert.deepEqual(parts, expected);
      },
    ),
    { numRuns: 1_500 },
  );
});
