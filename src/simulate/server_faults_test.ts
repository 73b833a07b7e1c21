import assert from "node:assert/strict";
import { type RawAnswer, rawExchange } from "../../tests/support/raw_http.ts";
import { FAILOVER_ANSWER } from "./faults/failover_models.ts";
import { INSTANT_PROFILE } from "./profiles.ts";
import type { LogEntry } from "./request_log.ts";
import { type SimulatorOptions, startSimulator } from "./server.ts";

interface Asked {
  readonly answer: RawAnswer;
  readonly entry: LogEntry;
}

const HELLO = [{ role: "user", content: "Hello there" }];

/** Asks a simulator of its own for each model in turn and returns what came back. */
async function ask(
  models: readonly string[],
  fields: Readonly<Record<string, unknown>> = {},
  options: Partial<SimulatorOptions> = {},
): Promise<readonly Asked[]> {
  const simulator = await startSimulator({ profile: INSTANT_PROFILE, ...options });
  try {
    const asked: Asked[] = [];
    for (const model of models) {
      const answer = await rawExchange(simulator.port, {
        path: "/v1/chat/completions",
        body: { model, messages: HELLO, ...fields },
      });
      const entry = simulator.log.at(-1);
      assert.ok(entry);
      asked.push({ answer, entry });
    }
    return asked;
  } finally {
    await simulator.close();
  }
}

/** One streamed answer with `fault`. */
async function stream(fault: string, options?: Partial<SimulatorOptions>): Promise<Asked> {
  const model = fault.includes("fb-") ? fault : `m!words=12,${fault}`;
  const [asked] = await ask([model], { stream: true }, options);
  assert.ok(asked);
  return asked;
}

/** One answer with `fault` that is not streamed. */
async function whole(fault: string, options?: Partial<SimulatorOptions>): Promise<Asked> {
  const model = fault.includes("fb-") ? fault : `m!words=12,${fault}`;
  const [asked] = await ask([model], {}, options);
  assert.ok(asked);
  return asked;
}

/** The events' data, line ends of any kind, comments left out. */
function dataOf(text: string): readonly string[] {
  return text.split(/\r\n\r\n|\n\n|\r\r/).flatMap((event) =>
    event.split(/\r\n|\n|\r/).filter((line) => line.startsWith("data: "))
      .map((line) => line.slice("data: ".length))
  );
}

/** The text that readable events carry. */
function contentOf(text: string): string {
  let content = "";
  for (const data of dataOf(text)) {
    if (data === "[DONE]" || !data.endsWith("}")) continue;
    content += JSON.parse(data).choices?.[0]?.delta?.content ?? "";
  }
  return content;
}

const wordCount = (text: string) => text.match(/\S+/g)?.length ?? 0;
const errorOf = (answer: RawAnswer) => JSON.parse(answer.text).error;

const HEALTHY = contentOf((await stream("")).answer.text);

Deno.test("A healthy stream is complete, ends with [DONE] and is logged", async () => {
  const { answer, entry } = await stream("");
  assert.equal(answer.status, 200);
  assert.equal(answer.ending, "complete");
  assert.equal(wordCount(contentOf(answer.text)), 12);
  assert.equal(dataOf(answer.text).at(-1), "[DONE]");
  assert.match(answer.text, /"finish_reason":"stop"/);
  assert.equal(entry.bodyBytesSent, answer.body.length);
  assert.equal(entry.action, "200 stream");
});

Deno.test("Status faults answer with status, code and hints when to retry", async () => {
  const cases: ReadonlyArray<readonly [string, number, string | null]> = [
    ["status=503", 503, "overloaded"],
    ["status=429", 429, "rate_limit_exceeded"],
    ["status=418", 418, null],
    ["unauthorized", 401, "invalid_api_key"],
    ["overloaded", 529, "overloaded"],
    ["context-length", 400, "context_length_exceeded"],
    ["content-filter", 400, "content_policy_violation"],
  ];
  for (const [fault, status, code] of cases) {
    const { answer, entry } = await stream(fault);
    assert.deepEqual([answer.status, errorOf(answer).code, answer.ending], [
      status,
      code,
      "complete",
    ]);
    assert.equal(entry.status, status);
  }
  const hinted = await stream("status=429,retry-after=2");
  assert.equal(hinted.answer.headers.get("retry-after"), "2");
  assert.equal(hinted.entry.action, "429 rate_limit_exceeded retry-after=2");
  const milliseconds = await stream("status=429,retry-after-ms=1500");
  assert.equal(milliseconds.answer.headers.get("retry-after-ms"), "1500");
  const dated = await stream("status=503,retry-after-date=60");
  assert.match(dated.answer.headers.get("retry-after") ?? "", /^\w{3}, \d\d \w{3} \d{4} .* GMT$/);
});

Deno.test("times=N spares later attempts at the same model and fault", async () => {
  const model = "m!status=500,times=2,words=5";
  const asked = await ask([model, model, model, "m!status=500,times=2,words=6"]);
  assert.deepEqual(asked.map(({ answer }) => answer.status), [500, 500, 200, 500]);
  assert.deepEqual(asked.map(({ entry }) => entry.attempt), [1, 2, 3, 1]);
  assert.equal(wordCount(JSON.parse(asked[2]?.answer.text ?? "").choices[0].message.content), 5);
});

Deno.test("reset ends the connection with a reset and no byte before it", async () => {
  const { answer, entry } = await stream("reset");
  assert.deepEqual([answer.status, answer.ending], [0, "reset"]);
  assert.deepEqual([entry.status, entry.bytesSent], [null, 0]);
});

Deno.test("silence sends nothing and closes", async () => {
  const { answer, entry } = await stream("silence=0.05");
  assert.deepEqual([answer.status, answer.ending], [0, "closed"]);
  assert.ok((entry.endedAtMs ?? 0) - entry.startedAtMs >= 45);
});

Deno.test("slow sends the headers at once and the first token later", async () => {
  const { answer, entry } = await stream("slow=0.05");
  assert.equal(answer.ending, "complete");
  assert.equal(contentOf(answer.text), HEALTHY);
  assert.ok((entry.endedAtMs ?? 0) - entry.startedAtMs >= 45);
  assert.equal(entry.action, "200 stream, first token after 0.05 s");
});

Deno.test("cut, rst and clean-cut end the stream after so many tokens", async () => {
  const cases: ReadonlyArray<readonly [string, RawAnswer["ending"]]> = [
    ["cut=4", "closed"],
    ["rst=4", "reset"],
    ["clean-cut=4", "complete"],
    ["stall=4:0.02", "closed"],
  ];
  for (const [fault, ending] of cases) {
    const { answer } = await stream(fault);
    assert.equal(answer.ending, ending, fault);
    assert.equal(wordCount(contentOf(answer.text)), 4, fault);
    assert.doesNotMatch(answer.text, /DONE|"stop"/, fault);
  }
});

Deno.test("cut strikes at the end if the answer is no longer", async () => {
  const { answer } = await stream("cut=12");
  assert.equal(answer.ending, "closed");
  assert.equal(contentOf(answer.text), HEALTHY);
  assert.doesNotMatch(answer.text, /"stop"/);
});

Deno.test("cut-bytes, rst-bytes and stall-bytes strike at that byte of the body", async () => {
  const cases: ReadonlyArray<readonly [string, RawAnswer["ending"]]> = [
    ["cut-bytes=333", "closed"],
    ["rst-bytes=333", "reset"],
    ["stall-bytes=333:0.02", "closed"],
    ["cut-bytes=0", "closed"],
  ];
  for (const [fault, ending] of cases) {
    const bytes = fault.endsWith("=0") ? 0 : 333;
    for (const { answer, entry } of [await stream(fault), await whole(fault)]) {
      assert.deepEqual([answer.status, answer.ending, answer.body.length], [200, ending, bytes]);
      assert.equal(entry.bodyBytesSent, bytes);
    }
  }
});

Deno.test("malformed puts one unreadable event before that token, and nothing is lost", async () => {
  const { answer } = await stream("malformed=10");
  assert.equal(answer.ending, "complete");
  assert.equal(contentOf(answer.text), HEALTHY);
  const readable = (data: string) => {
    try {
      JSON.parse(data);
      return true;
    } catch {
      return data === "[DONE]";
    }
  };
  const data = dataOf(answer.text);
  // One event opens the stream, ten tokens come before.
  assert.deepEqual(data.map(readable).indexOf(false), 11);
  assert.equal(data.filter((item) => !readable(item)).length, 1);
});

Deno.test("no-done, no-finish and in-band-error leave out or replace the end", async () => {
  const noDone = (await stream("no-done")).answer;
  assert.equal(noDone.ending, "complete");
  assert.match(noDone.text, /"finish_reason":"stop"/);
  assert.doesNotMatch(noDone.text, /DONE/);

  const noFinish = (await stream("no-finish")).answer;
  assert.equal(noFinish.ending, "complete");
  assert.doesNotMatch(noFinish.text, /"stop"/);
  assert.match(noFinish.text, /DONE/);

  const inBand = (await stream("in-band-error=3")).answer;
  assert.equal(inBand.ending, "complete");
  assert.equal(wordCount(contentOf(inBand.text)), 3);
  assert.equal(JSON.parse(dataOf(inBand.text).at(-1) ?? "").error.type, "server_error");
  assert.doesNotMatch(inBand.text, /DONE|"stop"/);
  assert.equal(errorOf((await whole("in-band-error=3")).answer).type, "server_error");
});

Deno.test("Line ends, comments, byte order mark and byte-sized chunks change no meaning", async () => {
  const crlf = (await stream("crlf")).answer;
  assert.doesNotMatch(crlf.text, /[^\r]\n/);
  const cr = (await stream("cr")).answer;
  assert.doesNotMatch(cr.text, /\n/);
  const bom = (await stream("bom")).answer;
  assert.deepEqual([...bom.body.subarray(0, 3)], [0xef, 0xbb, 0xbf]);
  const comments = (await stream("comments")).answer;
  assert.match(comments.text, /^: between events\n\n: within an event\ndata: /);
  const bytewise = (await stream("bytewise")).answer;
  assert.ok(bytewise.chunkSizes.length > 1_000);
  assert.ok(bytewise.chunkSizes.every((size) => size === 1));
  for (const answer of [crlf, cr, bom, comments, bytewise]) {
    assert.equal(answer.ending, "complete");
    assert.equal(contentOf(answer.text), HEALTHY);
  }
});

Deno.test("split-utf8 ends chunks within characters", async () => {
  const { answer } = await stream("split-utf8");
  assert.equal(contentOf(answer.text), HEALTHY);
  let offset = 0;
  const splits = answer.chunkSizes.filter((size) => {
    offset += size;
    return ((answer.body[offset] ?? 0) & 0xc0) === 0x80;
  });
  assert.ok(splits.length > 0);
});

Deno.test("big-event makes one event of that size", async () => {
  const { answer } = await stream("big-event=1000000");
  assert.equal(contentOf(answer.text), HEALTHY);
  const sizes = dataOf(answer.text).map((data) => data.length).filter((size) => size > 1_000);
  assert.equal(sizes.length, 1);
  assert.ok((sizes[0] ?? 0) > 1_000_000);
});

Deno.test("html, bad-json and truncated-body spoil the body, asked for a stream or not", async () => {
  for (const answerTo of [stream, whole]) {
    const html = (await answerTo("html")).answer;
    assert.deepEqual([html.status, html.headers.get("content-type")], [200, "text/html"]);

    const badJson = (await answerTo("bad-json")).answer;
    assert.deepEqual([badJson.status, badJson.ending], [200, "complete"]);
    assert.throws(() => JSON.parse(badJson.text), SyntaxError);

    const truncated = (await answerTo("truncated-body")).answer;
    assert.equal(truncated.ending, "closed");
    const promised = Number(truncated.headers.get("content-length"));
    assert.equal(truncated.body.length, Math.floor(promised * 0.6));
  }
});

Deno.test("Faults by token spoil a whole answer too", async () => {
  const cut = (await whole("cut=4")).answer;
  assert.ok(cut.ending === "closed" && cut.body.length > 0);
  assert.equal((await whole("rst=4")).answer.ending, "reset");
  const stall = (await whole("stall=4:0.02")).answer;
  assert.deepEqual([stall.status, stall.ending, stall.body.length], [200, "closed", 0]);
  const malformed = (await whole("malformed=4")).answer;
  assert.throws(() => JSON.parse(malformed.text), SyntaxError);
});

Deno.test("no-prefill refuses an assistant's message at the end only", async () => {
  const messages = [...HELLO, { role: "assistant", content: "The" }];
  const [refused] = await ask(["m!no-prefill"], { messages });
  assert.equal(refused?.answer.status, 400);
  assert.ok(refused && errorOf(refused.answer).code === "invalid_prefill");
  assert.equal((await whole("no-prefill")).answer.status, 200);
});

Deno.test("flap is down first, then up", async () => {
  assert.equal((await whole("flap=60:60")).answer.status, 503);
  assert.equal((await whole("flap=0:60")).answer.status, 200);
  const simulator = await startSimulator({ profile: INSTANT_PROFILE });
  const request = {
    path: "/v1/chat/completions",
    body: { model: "m!flap=0.05", messages: HELLO },
  };
  try {
    assert.equal((await rawExchange(simulator.port, request)).status, 503);
    const slow = { model: "m!silence=0.06", messages: HELLO };
    await rawExchange(simulator.port, { ...request, body: slow });
    assert.equal((await rawExchange(simulator.port, request)).status, 200);
    simulator.reset();
    assert.equal((await rawExchange(simulator.port, request)).status, 503);
  } finally {
    await simulator.close();
  }
});

Deno.test("The fb- models behave as their catalogue says", async () => {
  const options = {
    failoverTiming: "fast",
    failoverOverrides: { tokenMs: 0, slowSeconds: 0.02, stallSeconds: 0.02, silenceSeconds: 0.02 },
  } as const;
  const text = async (model: string) => {
    const { answer } = await stream(model, options);
    return [answer.status, answer.ending, contentOf(answer.text)];
  };
  const words = FAILOVER_ANSWER.split(" ");
  const first = (count: number) => words.slice(0, count).join(" ");
  const whole60 = [200, "complete", FAILOVER_ANSWER];
  for (const model of ["fb-ok", "fb-ok-noprefill", "openai/fb-ok", "fb-s07-x", "fb-s11-x"]) {
    assert.deepEqual(await text(model), whole60, model);
  }
  assert.deepEqual(await text("fb-s06-x"), [0, "closed", ""]);
  assert.deepEqual(await text("fb-s08-x"), [200, "closed", first(40)]);
  assert.deepEqual(await text("fb-s09-x"), [200, "closed", first(20)]);
  assert.deepEqual(await text("fb-s10-x"), whole60);
  assert.deepEqual(await text("fb-s14-x"), [200, "closed", first(40)]);
  const twice = async (model: string) => {
    const asked = await ask([model, model], { stream: true }, options);
    return asked.map(({ answer }) => answer.status);
  };
  assert.deepEqual(await twice("fb-s01-x"), [429, 200]);
  assert.deepEqual(await twice("fb-s02-x"), [429, 429]);
  assert.deepEqual(await twice("fb-s03-x"), [500, 200]);
  assert.deepEqual(await twice("fb-s04-x"), [503, 503]);
  assert.deepEqual(await twice("fb-s05-x"), [0, 200]);
  assert.deepEqual(await twice("fb-s12-x"), [400, 400]);
  assert.deepEqual(await twice("fb-s13-x"), [400, 400]);
  assert.deepEqual(await twice("fb-s15-x"), [503, 503]);
  assert.deepEqual(await twice("fb-s16-x"), [503, 503]);
  assert.deepEqual(await twice("fb-s99-x"), [404, 404]);
});

Deno.test("A fault comes from the header, the model or the settings, in that order", async () => {
  const simulator = await startSimulator({ profile: INSTANT_PROFILE, fault: "status=503" });
  const status = async (model: string, headers = {}) => {
    const body = { model, messages: HELLO };
    const answer = await rawExchange(simulator.port, {
      path: "/v1/chat/completions",
      headers,
      body,
    });
    return answer.status;
  };
  try {
    assert.equal(await status("m"), 503);
    assert.equal(await status("m!status=502"), 502);
    assert.equal(await status("m!status=502", { "x-sim-fault": "status=501" }), 501);
    assert.equal(await status("m", { "x-sim-fault": "bogus" }), 400);
    await rawExchange(simulator.port, { path: "/control/config", body: { fault: null } });
    assert.equal(await status("m"), 200);
  } finally {
    await simulator.close();
  }
});
