import assert from "node:assert/strict";
import fc from "fast-check";
import { Transcript } from "./continuation.ts";
import { readEvent } from "./reading.ts";
import { isObject, isText, type JsonObject, type WireForm } from "./wire.ts";

/** One choice as a client has it in the end. */
interface Answer {
  readonly reasoning: string;
  readonly content: string;
  readonly tools: readonly { readonly name: string; readonly input: string }[];
}

/** How one backend would divide an answer into chunks. */
interface Division {
  readonly id: string;
  /** Lengths of successive pieces, over and over. */
  readonly sizes: readonly number[];
  /** Which of the choices the next chunk belongs to, over and over. */
  readonly order: readonly number[];
}

/** The answers as a chat stream, without `[DONE]`. */
function chatStream(answers: readonly Answer[], division: Division): JsonObject[] {
  let turn = 0;
  const nextSize = () => division.sizes[turn++ % division.sizes.length] ?? 1;
  const queues = answers.map((answer, index) => {
    const deltas: JsonObject[] = [{ role: "assistant", content: "" }];
    for (const piece of pieces(answer.reasoning, nextSize)) {
      deltas.push({ reasoning_content: piece });
    }
    for (const piece of pieces(answer.content, nextSize)) deltas.push({ content: piece });
    for (const [tool, { name, input }] of answer.tools.entries()) {
      const id = `${division.id}-call-${tool}`;
      const head = { index: tool, id, type: "function", function: { name, arguments: "" } };
      deltas.push({ tool_calls: [head] });
      for (const piece of pieces(input, nextSize)) {
        deltas.push({ tool_calls: [{ index: tool, function: { arguments: piece } }] });
      }
    }
    const choices = deltas.map((delta) => ({ index, delta, finish_reason: null as string | null }));
    return [...choices, { index, delta: {}, finish_reason: "stop" }];
  });
  const chunks: JsonObject[] = [];
  for (let step = 0; queues.some((queue) => queue.length > 0); step++) {
    const wanted = queues[(division.order[step % division.order.length] ?? 0) % queues.length];
    const queue = wanted?.length ? wanted : queues.find(({ length }) => length > 0);
    chunks.push(chunk(division.id, [queue?.shift() ?? {}]));
  }
  return [...chunks, { ...chunk(division.id, []), usage: { prompt_tokens: 3 } }];
}

function* pieces(text: string, nextSize: () => number): Generator<string> {
  for (let start = 0; start < text.length;) {
    const size = nextSize();
    yield text.slice(start, start + size);
    start += size;
  }
}

function chunk(id: string, choices: readonly JsonObject[]): JsonObject {
  return { id, object: "chat.completion.chunk", created: id.length, model: `m-${id}`, choices };
}

/** Puts chunks together as the stock clients do, and refuses what they would stumble over. */
function reassemble(chunks: readonly JsonObject[]): { answers: Answer[]; callIds: string[] } {
  const answers: {
    reasoning: string;
    content: string;
    tools: { name: string; input: string }[];
  }[] = [];
  const callIds: string[] = [];
  const roles = new Set<number>();
  const finished = new Set<number>();
  assert.ok(new Set(chunks.map(({ id, created }) => `${id} ${created}`)).size <= 1, "one identity");
  for (const value of chunks.flatMap(({ choices }) => Array.isArray(choices) ? choices : [])) {
    const index = Number(value.index);
    const answer = answers[index] ??= { reasoning: "", content: "", tools: [] };
    assert.ok(!finished.has(index), "nothing behind a finish reason");
    if (value.delta.role) assert.ok(!roles.has(index), "one role");
    if (value.delta.role) roles.add(index);
    answer.reasoning += value.delta.reasoning_content ?? "";
    answer.content += value.delta.content ?? "";
    for (const call of value.delta.tool_calls ?? []) {
      if (call.id) {
        assert.equal(answer.tools[call.index], undefined, "one id a call");
        answer.tools[call.index] = { name: call.function.name, input: "" };
        callIds.push(call.id);
      }
      const tool = answer.tools[call.index];
      assert.ok(tool, "a call starts with its id");
      tool.input += call.function.arguments;
    }
    if (value.finish_reason) finished.add(index);
  }
  assert.equal(finished.size, answers.length, "every choice finishes");
  return { answers, callIds };
}

/** Plays streams one after the other, each cut after `cuts[i]` events, the last one whole. */
function carryOn(
  form: WireForm,
  streams: readonly (readonly JsonObject[])[],
  cuts: readonly number[],
): { sent: JsonObject[]; isMismatch: boolean } {
  const transcript = new Transcript(form);
  const sent: JsonObject[] = [];
  for (const [number, stream] of streams.entries()) {
    if (number > 0) transcript.begin("restart");
    for (const json of stream.slice(0, cuts[number])) {
      const reading = readEvent(form, null, JSON.stringify(json));
      if (number === 0) {
        transcript.record(reading);
        sent.push(json);
        continue;
      }
      const result = transcript.splice(reading);
      if (result.mismatch) return { sent, isMismatch: true };
      sent.push(...result.events);
    }
  }
  const end = transcript.splice(readEvent(form, null, "[DONE]"));
  if (!end.mismatch) assert.equal(end.events.length, 0);
  return { sent, isMismatch: end.mismatch };
}

const texts = fc.string({ unit: "grapheme", maxLength: 24 });
const PLAIN = { noNullPrototype: true } as const; // deepEqual() tells prototypes apart.
const tools = fc.record({ name: fc.stringMatching(/^[a-z]{1,5}$/), input: texts }, PLAIN);
const answers = fc.record({
  reasoning: texts,
  content: texts,
  tools: fc.array(tools, { maxLength: 2 }),
}, PLAIN);
const division = (id: string) =>
  fc.record({
    id: fc.constant(id),
    sizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
    order: fc.array(fc.nat(2), { minLength: 1, maxLength: 6 }),
  });
const choices = fc.array(answers, { minLength: 1, maxLength: 2 });

Deno.test("Transcript carries a chat on to the same message, wherever it is cut", () => {
  fc.assert(
    fc.property(
      choices,
      division("a"),
      division("bb"),
      division("ccc"),
      fc.nat(80),
      fc.nat(80),
      (expected, first, second, third, firstCut, secondCut) => {
        const streams = [first, second, third].map((each) => chatStream(expected, each));
        const cut = 1 + firstCut % (streams[0]?.length ?? 1);
        const { sent, isMismatch } = carryOn("chat", streams, [cut, secondCut]);
        assert.equal(isMismatch, false);
        assert.deepEqual(reassemble(sent).answers, expected);
        assert.equal(sent.at(-1)?.usage !== undefined, true);
      },
    ),
    { numRuns: 1_500 },
  );
});

Deno.test("Transcript forwards nothing of an answer that differs in what was sent", () => {
  fc.assert(
    fc.property(
      answers,
      division("a"),
      division("bb"),
      fc.nat(),
      fc.boolean(),
      (answer, first, second, seed, isShorter) => {
        fc.pre(answer.content.length > 0);
        const at = seed % answer.content.length;
        const changed = isShorter ? "" : answer.content[at] === "x" ? "y" : "x";
        const content = answer.content.slice(0, at) + changed +
          (isShorter ? "" : answer.content.slice(at + 1));
        const original = chatStream([answer], first);
        const other = chatStream([{ ...answer, content }], second);
        // Everything but finish reason and usage has been sent.
        const { sent, isMismatch } = carryOn("chat", [original.slice(0, -2), other], []);
        assert.equal(isMismatch, true);
        assert.equal(sent.length, original.length - 2);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("Transcript keeps the ids of tool calls the client knows and takes new ones", () => {
  const answer = {
    reasoning: "",
    content: "",
    tools: [{ name: "find", input: '{"q":1}' }, { name: "open", input: "{}" }],
  };
  const whole = { sizes: [3], order: [0] };
  const streams = ["old", "new"].map((id) => chatStream([answer], { id, ...whole }));
  const { sent } = carryOn("chat", streams, [3]); // Role, head of the first call, "{"q".
  assert.deepEqual(reassemble(sent).callIds, ["old-call-0", "new-call-1"]);
  assert.equal(sent.at(-1)?.model, "m-new");
});

Deno.test("Transcript.splice() says how much agrees, and no more", () => {
  const transcript = new Transcript("chat");
  const say = (content: string) =>
    readEvent("chat", null, JSON.stringify(chunk("a", [{ index: 0, delta: { content } }])));
  transcript.record(say("The quick"));
  transcript.begin("restart");
  assert.deepEqual(transcript.splice(say("The ")), { mismatch: false, events: [] });
  assert.deepEqual(transcript.splice(say("quiet fox")), {
    mismatch: true,
    at: 7,
    expected: 9,
    got: 13,
  });
});

Deno.test("Transcript.splice() refuses another tool, another order of ends, and news behind an end", () => {
  const call = (name: string) => ({
    index: 0,
    delta: { tool_calls: [{ index: 0, id: "1", function: { name, arguments: "" } }] },
  });
  const stop = { index: 0, delta: {}, finish_reason: "stop" };
  const word = (content: string) => ({ index: 0, delta: { content } });
  const cases: readonly (readonly [sent: JsonObject[], next: JsonObject[]])[] = [
    [[call("find")], [call("open")]],
    [[call("find")], [call("finder")]],
    [[call("find")], [stop]],
    [[word("a")], [stop]],
    [[word("a"), stop], [word("a"), word("b")]],
    [[word("a"), { ...word("b"), index: 1 }], [word("a"), stop]],
    [[word("a")], [word("a"), { ...word("b"), index: 1 }, word("")]],
  ];
  const results = cases.map(([sent, next]) =>
    carryOn("chat", [sent, next].map((all) => all.map((choice) => chunk("a", [choice]))), [])
      .isMismatch
  );
  assert.deepEqual(results, [true, true, true, true, true, true, false]);
});

Deno.test("Transcript drops log probabilities that would not fit the cut text", () => {
  const transcript = new Transcript("chat");
  const say = (content: string) => {
    const choice = { index: 0, delta: { content }, logprobs: { content: [{ token: content }] } };
    return readEvent("chat", null, JSON.stringify(chunk("a", [choice])));
  };
  transcript.record(say("on"));
  transcript.begin("restart");
  const cut = transcript.splice(say("once "));
  const whole = transcript.splice(say("upon"));
  assert.ok(!cut.mismatch && !whole.mismatch);
  assert.deepEqual(cut.events[0]?.choices, [{
    index: 0,
    delta: { content: "ce " },
    logprobs: null,
  }]);
  assert.deepEqual(whole.events[0], say("upon").json);
});

Deno.test("Transcript passes on usage that comes with a finish reason already sent", () => {
  const stop = { index: 0, delta: {}, finish_reason: "stop" };
  const word = { index: 0, delta: { content: "a" } };
  const last = { ...chunk("b", [stop]), usage: { completion_tokens: 1 } };
  const { sent } = carryOn("chat", [[chunk("a", [word]), chunk("a", [stop])], [
    chunk("b", [word]),
    last,
  ]], []);
  assert.deepEqual(sent.at(-1), { ...last, id: "a", created: 1, choices: [] });
});

Deno.test("Transcript gives up on what it cannot compare", () => {
  const deltas: readonly (readonly [delta: JsonObject, canContinue: boolean])[] = [
    [{ role: "assistant", content: null, tool_calls: [], audio: null, refusal: null }, true],
    [{ audio: { data: "UklGRg==" } }, false],
    [{ content: [{ type: "text", text: "a" }] }, false],
    [{ annotations: [{ type: "url_citation" }] }, false],
    [{ tool_calls: [{ index: 0, id: "a", custom: { name: "f", input: "x" } }] }, false],
  ];
  for (const [delta, canContinue] of deltas) {
    const transcript = new Transcript("chat");
    const data = JSON.stringify(chunk("a", [{ index: 0, delta }]));
    transcript.record(readEvent("chat", null, data));
    assert.equal(transcript.canContinue, canContinue, data);
  }
});

Deno.test("Transcript carries a legacy completion on", () => {
  fc.assert(
    fc.property(texts, division("a"), division("bb"), fc.nat(), (text, first, second, cut) => {
      const streams = [first, second].map(({ id, sizes }) => {
        let turn = 0;
        const parts = [...pieces(text, () => sizes[turn++ % sizes.length] ?? 1)];
        return [
          ...parts.map((part) => chunk(id, [{ index: 0, text: part, finish_reason: null }])),
          chunk(id, [{ index: 0, text: "", finish_reason: "length" }]),
        ];
      });
      const { sent, isMismatch } = carryOn("completions", streams, [
        1 + cut % (streams[0]?.length ?? 1),
      ]);
      assert.equal(isMismatch, false);
      const parts = sent.flatMap(({ choices }) => Array.isArray(choices) ? choices : []);
      assert.equal(parts.map((part) => part.text).join(""), text);
      assert.equal(parts.at(-1)?.finish_reason, "length");
      assert.ok(sent.every(({ id }) => id === sent[0]?.id));
    }),
  );
});

Deno.test("Transcript appends all of a prefilled answer, but not what the server repeats", () => {
  fc.assert(
    fc.property(
      texts,
      texts,
      division("bb"),
      fc.boolean(),
      fc.boolean(),
      (sent, rest, second, doesRepeat, hasFinish) => {
        fc.pre(sent !== "" && sent.trimEnd() === sent && (sent.length >= 8 || !doesRepeat));
        fc.pre(doesRepeat || !rest.startsWith(sent));
        const transcript = new Transcript("chat");
        const first = chunk("a", [{ index: 0, delta: { role: "assistant", content: sent } }]);
        transcript.record(readEvent("chat", null, JSON.stringify(first)));
        assert.equal(transcript.canPrefill, true);
        transcript.begin("prefill");

        const answer = { reasoning: "", content: (doesRepeat ? sent : "") + rest, tools: [] };
        const stream = chatStream([answer], second).slice(0, hasFinish ? undefined : -2);
        const got = [...stream.map((json) => JSON.stringify(json)), "[DONE]"].flatMap((data) => {
          const result = transcript.splice(readEvent("chat", null, data));
          assert.ok(!result.mismatch);
          return result.events;
        });
        const finish = hasFinish ? [] : [chunk("a", [{ index: 0, delta: {}, finish_reason: "x" }])];
        const [message] = reassemble([first, ...got, ...finish]).answers;
        assert.equal(message?.content, sent + rest);
      },
    ),
    { numRuns: 1_000 },
  );
});

Deno.test("chatStream() and reassemble() of this file undo each other", () => {
  fc.assert(fc.property(choices, division("a"), (expected, one) => {
    const stream = chatStream(expected, one);
    assert.deepEqual(reassemble(stream).answers, expected);
    assert.ok(stream.every((json) => isObject(json) && isText(json.id)));
  }));
});
