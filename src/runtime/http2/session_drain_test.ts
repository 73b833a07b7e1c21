import assert from "node:assert/strict";
import type { Reply } from "../../ports.ts";
import { ErrorCode } from "./error_code.ts";
import { Flag, WINDOW_MAX } from "./frame.ts";
import { data, GET, headers, ping, POST, SessionScene, short } from "./http2_fixture.ts";

const PONG = ping(new Uint8Array(8), Flag.ack);
const NO_ERROR = ErrorCode.noError;

Deno.test("Http2Session.drain takes what is on its way, then says how far it got", async () => {
  const replies: PromiseWithResolvers<Reply>[] = [];
  const scene = SessionScene.open({
    handle: () => {
      const reply = Promise.withResolvers<Reply>();
      replies.push(reply);
      return reply.promise;
    },
  });
  await scene.answer(headers(1, GET));
  scene.session.drain();
  assert.deepEqual(short(scene.frames()), [`GOAWAY ${WINDOW_MAX} ${NO_ERROR}`, "PING"]);
  // The client had sent this before it knew.
  await scene.answer(headers(3, GET));
  assert.equal(replies.length, 2);
  assert.deepEqual(short(await scene.answer(PONG)), [`GOAWAY 3 ${NO_ERROR}`]);
  // It knows now, so whatever comes is not answered, nor is it a fault.
  await scene.answer(headers(5, POST, false), data(5, "x"));
  assert.equal(replies.length, 2);
  for (const { resolve } of replies) {
    assert.ok(!scene.session.isOver);
    resolve({ status: 200, headers: [], body: null });
    await scene.answer();
  }
  assert.ok(scene.session.isOver);
});

Deno.test("Http2Session.drain does not wait for ever for a client's answer", async () => {
  const scene = SessionScene.open();
  scene.session.drain();
  scene.session.drain();
  scene.pass(500);
  assert.ok(!scene.session.isOver);
  scene.pass(1_000);
  assert.ok(scene.session.isOver);
  assert.deepEqual(short(await scene.answer()).at(-1), `GOAWAY 0 ${NO_ERROR}`);
});

Deno.test("Http2Session ends at once where nothing is under way, requests behind included", async () => {
  let handled = 0;
  const scene = SessionScene.open({
    handle: () => {
      handled++;
      return Promise.resolve({ status: 200, headers: [], body: null });
    },
  });
  scene.session.drain();
  await scene.answer(PONG, headers(1, GET));
  assert.ok(scene.session.isOver);
  assert.equal(handled, 0);
});

Deno.test("Http2Session.abort lets go of everything", async () => {
  const scene = SessionScene.open();
  await scene.answer(headers(1, POST, false), data(1, "part", false));
  scene.session.abort();
  assert.ok(scene.session.isIdle);
  assert.equal(scene.context.held.count, 0);
  assert.deepEqual(await scene.answer(data(1, "more")), []);
});
