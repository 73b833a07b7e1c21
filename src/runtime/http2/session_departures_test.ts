import assert from "node:assert/strict";
import type { Reply, ServerRequest } from "../../ports.ts";
import { Feed } from "../http_server_fixture.ts";
import { ErrorCode } from "./error_code.ts";
import { data, GET, headers, POST, reset, SessionScene, short } from "./http2_fixture.ts";

/** A handler that answers when it is told to, and keeps what it saw. */
class Slow {
  readonly requests: ServerRequest[] = [];
  readonly replies: PromiseWithResolvers<Reply>[] = [];

  readonly handle = (request: ServerRequest): Promise<Reply> => {
    const reply = Promise.withResolvers<Reply>();
    this.requests.push(request);
    this.replies.push(reply);
    return reply.promise;
  };
}

/** How a client can be gone. */
const WAYS: readonly (readonly [string, (scene: SessionScene) => void])[] = [
  ["resets its stream", (scene) => scene.send(reset(1))],
  ["closes its connection", (scene) => scene.session.abort()],
];

for (const [how, leave] of WAYS) {
  Deno.test(`a client that ${how} before the reply is noticed, and gets none`, async () => {
    const slow = new Slow();
    const scene = SessionScene.open(slow);
    await scene.answer(headers(1, GET));
    const [request] = slow.requests;
    let told = 0;
    request?.signal.addEventListener("abort", () => told++);
    leave(scene);
    assert.equal(told, 1);
    assert.equal(request?.signal.aborted, true);
    const feed = new Feed();
    slow.replies[0]?.resolve({ status: 200, headers: [], body: feed });
    assert.deepEqual(short(await scene.answer()), []);
    assert.equal(feed.pulls, 0);
    await feed.cancelled;
  });

  Deno.test(`a client that ${how} is noticed by who asks for its signal later`, async () => {
    const slow = new Slow();
    const scene = SessionScene.open(slow);
    await scene.answer(headers(1, GET));
    leave(scene);
    assert.equal(slow.requests[0]?.signal.aborted, true);
  });

  Deno.test(`a client that ${how} in the middle of its body fails the read`, async () => {
    const slow = new Slow();
    const scene = SessionScene.open(slow);
    await scene.answer(headers(1, POST, false), data(1, "part", false));
    const reading = assert.rejects(slow.requests[0]?.bytes(100) ?? Promise.resolve(), /has gone/);
    leave(scene);
    await reading;
    assert.equal(scene.context.held.count, 0);
    await assert.rejects(slow.requests[0]?.bytes(100) ?? Promise.resolve(), /is over/);
  });

  Deno.test(`a client that ${how} while it reads a stream cancels it`, async () => {
    const feed = new Feed();
    const scene = SessionScene.open({
      handle: () => Promise.resolve({ status: 200, headers: [], body: feed }),
    });
    feed.push("one");
    assert.deepEqual(short(await scene.answer(headers(1, GET))), ["HEADERS 1", "DATA 1 3"]);
    leave(scene);
    await feed.cancelled;
    feed.push("two");
    feed.end();
    assert.deepEqual(short(await scene.answer()), []);
  });
}

Deno.test("a stream that is reset is not pulled after its piece was written", async () => {
  const feed = new Feed();
  const scene = SessionScene.open({
    handle: () => Promise.resolve({ status: 200, headers: [], body: feed }),
  });
  await scene.answer(headers(1, GET));
  feed.push("one");
  for (let turn = 0; turn < 9; turn++) await Promise.resolve();
  scene.send(reset(1));
  await scene.answer();
  assert.equal(feed.pulls, 1);
});

Deno.test("a reset of one stream leaves the others alone", async () => {
  const slow = new Slow();
  const scene = SessionScene.open(slow);
  await scene.answer(headers(1, GET), headers(3, GET), reset(1));
  assert.equal(slow.requests[1]?.signal.aborted, false);
  for (const { resolve } of slow.replies) resolve({ status: 200, headers: [], body: "x" });
  assert.deepEqual(short(await scene.answer()), ["HEADERS 3", "DATA 3 1 END"]);
  assert.equal(slow.requests[1]?.signal.aborted, false);
});

Deno.test("a listener or a stream that throws harms nobody", async () => {
  const slow = new Slow();
  const scene = SessionScene.open(slow);
  await scene.answer(headers(1, GET), headers(3, GET));
  slow.requests[0]?.signal.addEventListener("abort", () => {
    throw new Error("listener");
  });
  scene.send(reset(1));
  const broken = {
    pull: () => {
      throw new Error("pull");
    },
    cancel: () => {
      throw new Error("cancel");
    },
  };
  slow.replies[1]?.resolve({ status: 200, headers: [], body: broken });
  const frames = short(await scene.answer());
  assert.deepEqual(frames, ["HEADERS 3", `RST 3 ${ErrorCode.internalError}`]);
  await scene.answer(headers(5, GET));
  slow.replies[2]?.resolve({ status: 200, headers: [], body: null });
  assert.deepEqual(short(await scene.answer()), ["HEADERS 5 END"]);
});
