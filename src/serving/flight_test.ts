import assert from "node:assert/strict";
import type { Recorded } from "../cache/answer/recorder.ts";
import { GatewayError } from "../errors.ts";
import type { Departure, Reply, StreamSource } from "../ports.ts";
import { readInbound } from "../relay/inbound.ts";
import { BackendReply } from "../relay/outcome.ts";
import { Flight, type FlightLimits } from "./flight.ts";
import { FlightClient, type FlightEnd } from "./flight_client.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const WORDS = ["Once", " upon", " a time", " there", " was", " ä", " 🦊", "."];

function chunk(delta: unknown, finish: string | null, more: object = {}): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${
    JSON.stringify({
      id: "c1",
      object: "chat.completion.chunk",
      created: 1,
      model: "m",
      choices,
      ...more,
    })
  }\n\n`;
}

const USAGE = `data: ${
  JSON.stringify({
    id: "c1",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    choices: [],
    usage: { prompt_tokens: 3, completion_tokens: 8, total_tokens: 11 },
  })
}\n\n`;

const EVENTS = [
  chunk({ role: "assistant", content: "" }, null),
  ...WORDS.map((content) => chunk({ content }, null)),
  chunk({}, "stop"),
  USAGE,
  "data: [DONE]\n\n",
];

/** A backend's stream, whose pieces the test hands out. */
class Script implements StreamSource {
  pulls = 0;
  cancelled = false;
  #waiting: PromiseWithResolvers<readonly Uint8Array<ArrayBuffer>[] | null> | null = null;

  pull(): Promise<readonly Uint8Array<ArrayBuffer>[] | null> {
    this.pulls++;
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  cancel(): void {
    this.cancelled = true;
  }

  get isAsked(): boolean {
    return this.#waiting !== null;
  }

  give(text: string): void {
    this.#take().resolve([encoder.encode(text)]);
  }

  end(): void {
    this.#take().resolve(null);
  }

  fail(): void {
    this.#take().reject(new Error("Cannot end stream: its answer is not complete"));
  }

  #take() {
    const waiting = this.#waiting;
    assert.ok(waiting !== null, "nobody asked for more");
    this.#waiting = null;
    return waiting;
  }
}

const LIMITS: FlightLimits = {
  followersMax: 256,
  bufferBytesMax: 1_000_000,
  eventBytesMax: 100_000,
  recordBytesMax: 100_000,
};

interface Started {
  readonly flight: Flight;
  readonly asked: {
    client: FlightClient;
    signal: Departure;
    answer: PromiseWithResolvers<Reply>;
  }[];
  readonly recorded: Recorded[];
  readonly ends: FlightEnd[];
  readonly closed: () => number;
}

function start(limits: Partial<FlightLimits> = {}): Started {
  const asked: Started["asked"] = [];
  const recorded: Recorded[] = [];
  let closed = 0;
  const flight = new Flight({
    surface: "chat",
    limits: { ...LIMITS, ...limits },
    seek: () => Promise.resolve(null),
    ask(client, signal) {
      const answer = Promise.withResolvers<Reply>();
      asked.push({ client, signal, answer });
      return answer.promise;
    },
    recorded: (one) => recorded.push(one),
    closed: () => closed++,
    handedOver: () => {},
  });
  return { flight, asked, recorded, ends: [], closed: () => closed };
}

function client(
  started: Started,
  options: { readonly stream?: boolean; readonly usage?: boolean; readonly signal?: Departure } =
    {},
): FlightClient {
  const { stream = true, usage = false } = options;
  const body = {
    model: "m",
    stream,
    messages: [{ role: "user", content: "Tell me" }],
    ...(usage ? { stream_options: { include_usage: true } } : {}),
  };
  return new FlightClient(
    {
      inbound: readInbound("chat", JSON.stringify(body), { jsonDepth: 16 }),
      requestId: "r",
      tenant: null,
      session: null,
      headers: [],
      startedMs: 0,
      signal: options.signal ?? new AbortController().signal,
    },
    () => 0,
    (_client, end) => started.ends.push(end),
  );
}

/** What a client has read, and how it ended. */
interface Read {
  text: string;
  end: "open" | "clean" | "abnormal";
}

async function readAll(one: FlightClient): Promise<Read> {
  const read: Read = { text: "", end: "open" };
  const outcome = await one.outcome;
  assert.equal(outcome.type, "live");
  try {
    for (;;) {
      const pieces = await one.pull();
      if (pieces === null) break;
      for (const piece of pieces) read.text += decoder.decode(piece, { stream: true });
    }
    read.end = "clean";
  } catch {
    read.end = "abnormal";
  }
  return read;
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

async function asked(script: Script): Promise<void> {
  for (let turns = 0; !script.isAsked && turns < 100; turns++) await turn();
}

function streamReply(script: Script): Reply {
  return { status: 200, headers: [["content-type", "text/event-stream"]], body: script };
}

Deno.test("Flight asks once for a hundred clients, and all read the same bytes", async () => {
  const started = start();
  const clients = Array.from({ length: 100 }, () => client(started, { usage: true }));
  const [leader, ...followers] = clients;
  assert.ok(leader !== undefined);
  started.flight.depart(leader);
  for (const follower of followers) started.flight.join(follower);
  const reads = Promise.all(clients.map(readAll));
  await turn();
  assert.equal(started.asked.length, 1);
  const script = new Script();
  started.asked[0]?.answer.resolve(streamReply(script));
  for (const event of EVENTS) {
    await asked(script);
    script.give(event);
  }
  await asked(script);
  script.end();
  for (const read of await reads) {
    assert.deepEqual(read, { text: EVENTS.join(""), end: "clean" });
  }
  const [recorded] = started.recorded;
  assert.ok(recorded !== undefined && "record" in recorded);
  assert.equal(recorded.record.text, WORDS.join(""));
  assert.equal(started.closed(), 1);
});

Deno.test("Flight shows the usage chunk to those alone who asked for it", async () => {
  const started = start();
  const without = client(started);
  const withUsage = client(started, { usage: true });
  started.flight.depart(without);
  started.flight.join(withUsage);
  const reads = Promise.all([readAll(without), readAll(withUsage)]);
  await turn();
  const script = new Script();
  started.asked[0]?.answer.resolve(streamReply(script));
  await asked(script);
  script.give(EVENTS.join(""));
  await asked(script);
  script.end();
  const [one, other] = await reads;
  assert.equal(one.text, EVENTS.filter((event) => event !== USAGE).join(""));
  assert.equal(other.text, EVENTS.join(""));
});

Deno.test("Flight breaks visibly for every client wherever its stream is cut", async () => {
  const whole = encoder.encode(EVENTS.join(""));
  for (const followers of [1, 2, 50]) {
    // Every byte for few clients; for many, every seventh.
    const step = followers === 50 ? 7 : 1;
    for (let cut = 0; cut < whole.byteLength; cut += step) {
      const started = start();
      const clients = Array.from(
        { length: followers + 1 },
        () => client(started, { usage: true }),
      );
      clients.forEach((one, at) =>
        at === 0 ? started.flight.depart(one) : started.flight.join(one)
      );
      const reads = Promise.all(clients.map(readAll));
      await Promise.resolve();
      await Promise.resolve();
      const script = new Script();
      started.asked[0]?.answer.resolve(streamReply(script));
      while (!script.isAsked) await Promise.resolve();
      script.give(decoder.decode(whole.subarray(0, cut)));
      while (!script.isAsked) await Promise.resolve();
      script.fail();
      for (const { text, end } of await reads) {
        assert.equal(end, "abnormal", `cut at ${cut} with ${followers} followers`);
        assert.ok(
          EVENTS.join("").startsWith(text),
          `cut at ${cut}: the bytes are not the backend's`,
        );
        assert.ok(text === "" || text.endsWith("\n\n"), `cut at ${cut}: half an event was sent`);
      }
      assert.deepEqual(started.recorded, [], "a broken answer was recorded");
    }
  }
});

Deno.test("Flight goes on when its leader leaves, and ends the call with the last client", async () => {
  const started = start();
  const leaving = new AbortController();
  const leader = client(started, { signal: leaving.signal });
  const followerLeaving = new AbortController();
  const follower = client(started, { signal: followerLeaving.signal });
  started.flight.depart(leader);
  started.flight.join(follower);
  await turn();
  const script = new Script();
  started.asked[0]?.answer.resolve(streamReply(script));
  await turn();
  leaving.abort();
  assert.equal(started.asked[0]?.signal.aborted, false);
  const pulled = follower.pull();
  await asked(script);
  script.give(EVENTS[1] ?? "");
  assert.equal(decoder.decode((await pulled)?.[0]), EVENTS[1]);
  followerLeaving.abort();
  assert.equal(started.asked[0]?.signal.aborted, true);
  assert.equal(script.cancelled, true);
  assert.equal(started.closed(), 1);
  assert.deepEqual(started.ends, ["client_gone", "client_gone"]);
});

Deno.test("Flight lets one follower lead after a failure, then each goes alone", async () => {
  const started = start();
  const clients = [client(started), client(started), client(started)] as const;
  started.flight.depart(clients[0]);
  started.flight.join(clients[1]);
  started.flight.join(clients[2]);
  await turn();
  started.asked[0]?.answer.reject(new GatewayError("no_healthy_backend", "Cannot answer: none"));
  await assert.rejects(clients[0].outcome, { code: "no_healthy_backend" });
  await turn();
  assert.equal(started.asked.length, 2);
  assert.equal(started.asked[1]?.client, clients[1]);
  started.asked[1]?.answer.reject(new GatewayError("no_healthy_backend", "Cannot answer: none"));
  await assert.rejects(clients[1].outcome, { code: "no_healthy_backend" });
  assert.deepEqual(await clients[2].outcome, { type: "alone" });
  assert.equal(started.asked.length, 2);
});

Deno.test("Flight tells everybody at once what the request itself is to blame for", async () => {
  const started = start();
  const clients = [client(started), client(started)] as const;
  started.flight.depart(clients[0]);
  started.flight.join(clients[1]);
  await turn();
  const detail = { status: 400, code: "bad", message: "no such parameter" };
  started.asked[0]?.answer.reject(new BackendReply(detail, null));
  await assert.rejects(clients[0].outcome, { name: "BackendReply" });
  await assert.rejects(clients[1].outcome, { name: "BackendReply" });
  assert.equal(started.asked.length, 1);
});

Deno.test("Flight gives a client that wants JSON the record of a stream", async () => {
  const started = start();
  const streaming = client(started);
  const whole = client(started, { stream: false });
  started.flight.depart(streaming);
  started.flight.join(whole);
  await turn();
  const script = new Script();
  started.asked[0]?.answer.resolve(streamReply(script));
  const read = readAll(streaming);
  for (const event of EVENTS) {
    await asked(script);
    script.give(event);
  }
  await asked(script);
  script.end();
  assert.equal((await read).end, "clean");
  const outcome = await whole.outcome;
  assert.equal(outcome.type === "recorded" && outcome.record.text, WORDS.join(""));
});

Deno.test("Flight reads to the end for a client that wants JSON although the leader left", async () => {
  const started = start();
  const leaving = new AbortController();
  started.flight.depart(client(started, { signal: leaving.signal }));
  const whole = client(started, { stream: false });
  started.flight.join(whole);
  await turn();
  const script = new Script();
  started.asked[0]?.answer.resolve(streamReply(script));
  await turn();
  leaving.abort();
  await asked(script);
  script.give(EVENTS.join(""));
  await asked(script);
  script.end();
  assert.equal((await whole.outcome).type, "recorded");
});

Deno.test("Flight sends a client that wants JSON on its own way when the stream breaks", async () => {
  const started = start();
  const streaming = client(started);
  const whole = client(started, { stream: false });
  started.flight.depart(streaming);
  started.flight.join(whole);
  await turn();
  const script = new Script();
  started.asked[0]?.answer.resolve(streamReply(script));
  await asked(script);
  script.give(EVENTS[0] ?? "");
  await asked(script);
  script.fail();
  assert.equal((await whole.outcome).type, "alone");
  assert.equal((await readAll(streaming)).end, "abnormal");
});

Deno.test("Flight gives a client that wants a stream the record of a whole answer", async () => {
  const started = start();
  const whole = client(started, { stream: false });
  const streaming = client(started);
  started.flight.depart(whole);
  started.flight.join(streaming);
  await turn();
  const body = JSON.stringify({
    id: "c",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }],
  });
  started.asked[0]?.answer.resolve({ status: 200, headers: [], body });
  const live = await whole.outcome;
  assert.equal(live.type === "live" && live.reply.body, body);
  const recorded = await streaming.outcome;
  assert.equal(recorded.type === "recorded" && recorded.record.text, "Hi");
});

Deno.test("Flight cuts off a client that is too far behind, and the others read on", async () => {
  const started = start({ bufferBytesMax: 600 });
  const quick = client(started, { usage: true });
  const slow = client(started, { usage: true });
  started.flight.depart(quick);
  started.flight.join(slow);
  await turn();
  const script = new Script();
  started.asked[0]?.answer.resolve(streamReply(script));
  const read = readAll(quick);
  for (const event of EVENTS) {
    await asked(script);
    script.give(event);
  }
  await asked(script);
  script.end();
  assert.deepEqual(await read, { text: EVENTS.join(""), end: "clean" });
  const rest = await readAll(slow);
  assert.equal(rest.end, "abnormal");
  assert.match(rest.text, /stream_cut/);
  assert.equal(started.flight.joinable, false);
});

Deno.test("Flight takes no more followers than its limit", () => {
  const started = start({ followersMax: 1 });
  started.flight.depart(client(started));
  assert.equal(started.flight.joinable, true);
  started.flight.join(client(started));
  assert.equal(started.flight.joinable, false);
});
