import assert from "node:assert/strict";
import { TableDatabase } from "../../tests/support/link_node.ts";
import { KvError } from "../errors.ts";
import { encodeKey } from "../keyspace/key_codec.ts";
import { checkCommand, checkRanges, checkWatchedKeys } from "../txn/limits.ts";
import { ENCODING_BYTES } from "../types.ts";
import { decodeSnapshotReadOutput, encodeSnapshotRead } from "../wire/read.ts";
import { decodeWatchOutput, encodeWatch } from "../wire/watch.ts";
import { decodeAtomicWriteOutput, encodeAtomicWrite } from "../wire/write.ts";
import { decodeFailure, decodeWelcome, encodeHello, MESSAGE } from "./messages.ts";
import { LinkSession, type SessionOptions, type SessionOutput } from "./session.ts";

interface Sent {
  readonly type: number;
  readonly requestId: number;
  readonly body: Uint8Array;
}

/** Writes down what a session sends. */
class OutputRecord implements SessionOutput {
  readonly sent: Sent[] = [];
  waitingBytes = 0;
  wakes = 0;
  hasEnded = false;

  send(type: number, requestId: number, body: Uint8Array): void {
    this.sent.push({ type, requestId, body: body.slice() });
  }

  wake(): void {
    this.wakes++;
  }

  end(): void {
    this.hasEnded = true;
  }

  take(): readonly Sent[] {
    return this.sent.splice(0);
  }
}

function play(options: Partial<SessionOptions> = {}) {
  const database = new TableDatabase("default");
  const output = new OutputRecord();
  const faults: unknown[] = [];
  const session = new LinkSession({
    admit: () => ({ database, confirm() {} }),
    limitChecks: { command: checkCommand, ranges: checkRanges, watch: checkWatchedKeys },
    inFlightMax: 3,
    watchesMax: 2,
    backlogBytesMax: 1_000,
    fault: (error) => faults.push(error),
    ...options,
  }, output);
  return { database, output, session, faults };
}

async function greeted(options: Partial<SessionOptions> = {}) {
  const played = play(options);
  played.session.receive(MESSAGE.hello, 0, HELLO);
  await turn();
  assert.equal(played.output.take()[0]?.type, MESSAGE.welcome);
  return played;
}

/** Everything that is due has run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

const HELLO = encodeHello({ protocol: 1, database: "default", token: "t" });
const KEY = encodeKey(["k"]);

function setBody(value: number): Uint8Array {
  const data = new Uint8Array([value]);
  return encodeAtomicWrite({
    command: {
      checks: [],
      mutations: [{
        type: "set",
        key: KEY,
        value: { data, encoding: ENCODING_BYTES },
        expiresMs: null,
      }],
    },
    enqueues: [],
  });
}

function readBody(): Uint8Array {
  return encodeSnapshotRead([
    { start: KEY, end: encodeKey(["l"]), limit: 1, reverse: false },
  ]);
}

Deno.test("LinkSession welcomes with the database's limits and its own bound", async () => {
  const { database, output, session } = play();
  session.receive(MESSAGE.hello, 0, HELLO);
  assert.equal(session.isFull, true);
  await turn();
  assert.equal(session.isFull, false);
  const welcome = decodeWelcome(output.take()[0]?.body ?? new Uint8Array());
  assert.equal(welcome.databaseId, database.id);
  assert.equal(welcome.inFlightMax, 3);
  assert.deepEqual(welcome.limits, database.limits);
  assert.ok(output.wakes > 0);
});

Deno.test("LinkSession refuses a token, another protocol and a first message of another type", async () => {
  const refusal = new KvError("unauthorized", "Cannot let the client in: no");
  const { output, session } = play({ admit: () => Promise.reject(refusal) });
  session.receive(MESSAGE.hello, 0, HELLO);
  await turn();
  const [first] = output.take();
  assert.equal(first?.type, MESSAGE.refused);
  assert.equal(decodeFailure(first.body).code, "unauthorized");
  assert.equal(output.hasEnded, true);
  session.receive(MESSAGE.write, 1, setBody(1));
  assert.deepEqual(output.take(), []);

  const other = play();
  other.session.receive(MESSAGE.hello, 0, encodeHello({ protocol: 9, database: "d", token: "" }));
  await turn();
  assert.equal(decodeFailure(other.output.take()[0]?.body ?? KEY).code, "unsupported");
  assert.throws(() => play().session.receive(MESSAGE.read, 1, readBody()), KvError);
});

Deno.test("LinkSession answers writes and reads by their ids, from a buffer that is used again", async () => {
  const { output, session } = await greeted();
  const body = setBody(42);
  session.receive(MESSAGE.write, 7, body);
  body.fill(0);
  await turn();
  const [written] = output.take();
  assert.deepEqual([written?.type, written?.requestId], [MESSAGE.write_result, 7]);
  assert.equal(decodeAtomicWriteOutput(written?.body ?? KEY).type, "committed");
  session.receive(MESSAGE.read, 8, readBody());
  const [read] = output.take();
  assert.deepEqual([read?.type, read?.requestId], [MESSAGE.read_result, 8]);
  const { ranges } = decodeSnapshotReadOutput(read?.body ?? KEY);
  assert.deepEqual([...(ranges[0]?.[0]?.data ?? [])], [42]);
  assert.deepEqual(ranges[0]?.[0]?.key, KEY);
});

Deno.test("LinkSession is full while as many writes are under way as it takes, and wakes after", async () => {
  const { database, output, session } = await greeted();
  const gate = Promise.withResolvers<void>();
  database.gate = gate.promise;
  for (let id = 1; id <= 3; id++) {
    assert.equal(session.isFull, false);
    session.receive(MESSAGE.write, id, setBody(id));
  }
  assert.equal(session.isFull, true);
  const { wakes } = output;
  gate.resolve();
  await turn();
  assert.equal(session.isFull, false);
  assert.equal(output.wakes, wakes + 1);
  assert.deepEqual(output.take().map(({ requestId }) => requestId), [1, 2, 3]);
});

Deno.test("LinkSession is full while too much waits to be read", async () => {
  const { output, session } = await greeted();
  output.waitingBytes = 1_000;
  assert.equal(session.isFull, true);
  output.waitingBytes = 999;
  assert.equal(session.isFull, false);
});

Deno.test("LinkSession answers faults with their code, and hides what was not meant for clients", async () => {
  const answers: string[] = [];
  const { database, faults, output, session } = await greeted({
    answered: (kind, status) => answers.push(`${kind} ${status}`),
  });
  session.receive(MESSAGE.read, 2, readBody());
  session.receive(MESSAGE.write, 1, new Uint8Array([0xff, 0xff]));
  session.receive(MESSAGE.watch, 3, new Uint8Array([0x0a]));
  session.receive(99, 4, KEY);
  database.failure = new KvError("disk_full", "Cannot commit: full");
  session.receive(MESSAGE.write, 5, setBody(1));
  session.receive(MESSAGE.read, 6, readBody());
  database.read = () => {
    throw new Error("the secret of a key");
  };
  session.receive(MESSAGE.read, 7, readBody());
  await turn();
  const failures = output.take().filter(({ type }) => type === MESSAGE.error)
    .map(({ requestId, body }) => [requestId, decodeFailure(body).code]);
  assert.deepEqual(
    new Map(failures as [number, string][]),
    new Map([
      [1, "bad_request"],
      [3, "bad_request"],
      [4, "unsupported"],
      [5, "disk_full"],
      [6, "disk_full"],
      [7, "internal"],
    ]),
  );
  assert.equal(faults.length, 1);
  assert.deepEqual(answers, [
    ...["read 200", "write 400", "watch 400", "other 400", "read 503", "read 500", "write 503"],
  ]);
});

Deno.test("LinkSession asks for every request whether the token still counts", async () => {
  let isGood = true;
  const database = new TableDatabase("default");
  const { output, session } = await greeted({
    admit: () => ({
      database,
      confirm() {
        if (!isGood) throw new KvError("unauthorized", "Cannot go on: revoked");
      },
    }),
  });
  session.receive(MESSAGE.read, 1, readBody());
  isGood = false;
  session.receive(MESSAGE.read, 2, readBody());
  session.receive(MESSAGE.write, 3, setBody(1));
  await turn();
  assert.deepEqual(
    output.take().map(({ type }) => type),
    [MESSAGE.read_result, MESSAGE.error, MESSAGE.error],
  );
  assert.equal(database.commits, 0);
});

Deno.test("LinkSession tells a watch its newest values only, and nothing while the client lags", async () => {
  const { database, output, session } = await greeted();
  session.receive(MESSAGE.watch, 9, encodeWatch([KEY, encodeKey(["other"])]));
  session.collect();
  const [first] = output.take();
  assert.deepEqual(decodeWatchOutput(first?.body ?? KEY).keys, [null, null]);

  output.waitingBytes = 1_000;
  for (let i = 1; i <= 3; i++) session.receive(MESSAGE.write, i, setBody(i));
  await turn();
  session.collect();
  assert.deepEqual(
    output.take().map(({ type }) => type),
    [12, 12, 12].map(() => MESSAGE.write_result),
  );
  output.waitingBytes = 0;
  session.collect();
  session.collect();
  const frames = output.take();
  assert.equal(frames.length, 1);
  const [row, other] = decodeWatchOutput(frames[0]?.body ?? KEY).keys;
  assert.equal(other, "unchanged");
  assert.ok(row !== null && row !== undefined && row !== "unchanged");
  assert.deepEqual([...row.data], [3]);

  session.receive(MESSAGE.watch_cancel, 9, KEY);
  assert.equal(database.watching, 0);
});

Deno.test("LinkSession bounds watches and forgets them with the connection", async () => {
  const { database, output, session } = await greeted();
  for (let id = 1; id <= 3; id++) session.receive(MESSAGE.watch, id, encodeWatch([KEY]));
  session.receive(MESSAGE.watch, 1, encodeWatch([KEY]));
  const codes = output.take().map(({ body }) => decodeFailure(body).code);
  assert.deepEqual(codes, ["overloaded", "bad_request"]);
  assert.equal(database.watching, 2);
  session.end();
  assert.equal(database.watching, 0);
});

Deno.test("LinkSession that drains answers what is under way, then says goodbye", async () => {
  const { database, output, session } = await greeted();
  const gate = Promise.withResolvers<void>();
  database.gate = gate.promise;
  session.receive(MESSAGE.write, 1, setBody(1));
  session.drain();
  session.receive(MESSAGE.write, 2, setBody(2));
  await turn();
  assert.deepEqual(output.take(), []);
  gate.resolve();
  await turn();
  assert.deepEqual(output.take().map(({ type }) => type), [MESSAGE.write_result, MESSAGE.goodbye]);
  assert.equal(output.hasEnded, true);
  assert.equal(database.commits, 1);
});

Deno.test("LinkSession gives strangers little room, and a known client enough for the largest commit", async () => {
  assert.ok(play().session.frameBytesMax <= 4_096);
  const { database, session } = await greeted();
  const { commitBytesMax, commitKeyBytesMax } = database.limits;
  assert.ok(session.frameBytesMax > commitBytesMax + commitKeyBytesMax);
  assert.ok(session.frameBytesMax < 4 * 1024 * 1024);
});
