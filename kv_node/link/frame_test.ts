import assert from "node:assert/strict";
import * as fc from "fast-check";
import { KvError } from "../errors.ts";
import { FRAME_HEADER_BYTES, FrameDecoder, FrameEncoder } from "./frame.ts";

interface Frame {
  readonly type: number;
  readonly requestId: number;
  readonly payload: Uint8Array;
}

/** What a decoder makes of a stream that comes in pieces of the given sizes, over and over. */
function decodeInPieces(
  stream: Uint8Array,
  pieces: readonly number[],
  frameBytesMax: number,
): Frame[] {
  const decoder = new FrameDecoder(frameBytesMax);
  const frames: Frame[] = [];
  let at = 0;
  for (let turn = 0; at < stream.length; turn++) {
    const room = decoder.room();
    assert.ok(room.length > 0);
    const size = Math.min(pieces[turn % pieces.length] ?? 1, room.length, stream.length - at);
    room.set(stream.subarray(at, at + size));
    decoder.filled(size);
    at += size;
    while (decoder.next()) {
      const { type, requestId, payload } = decoder;
      frames.push({ type, requestId, payload: payload.slice() });
    }
  }
  assert.equal(decoder.restBytes, 0);
  return frames;
}

const FRAME = fc.record({
  type: fc.nat({ max: 255 }),
  requestId: fc.nat({ max: 2 ** 32 - 1 }),
  payload: fc.oneof(
    { weight: 9, arbitrary: fc.uint8Array({ maxLength: 300 }) },
    { weight: 1, arbitrary: fc.nat({ max: 90_000 }).map((size) => new Uint8Array(size).fill(7)) },
  ),
}, { noNullPrototype: true });

Deno.test("FrameDecoder gives back what FrameEncoder gathered, in whatever pieces it comes", () => {
  fc.assert(
    fc.property(
      fc.array(FRAME, { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 8 }),
      (frames, pieces) => {
        const encoder = new FrameEncoder();
        for (const { type, requestId, payload } of frames) encoder.add(type, requestId, payload);
        const stream = encoder.take().slice();
        assert.equal(encoder.sizeBytes, 0);
        assert.deepEqual(decodeInPieces(stream, pieces, 100_000), frames);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("FrameEncoder leaves what was taken alone while the next batch gathers", () => {
  const encoder = new FrameEncoder();
  const batches: { readonly taken: Uint8Array; readonly copy: Uint8Array }[] = [];
  for (let i = 0; i < 20; i++) {
    for (let k = 0; k <= i; k++) encoder.add(i, k, new Uint8Array(3_000).fill(i));
    const last = batches.at(-1);
    if (last !== undefined) assert.deepEqual(last.taken, last.copy);
    const taken = encoder.take();
    batches.push({ taken, copy: taken.slice() });
  }
  assert.equal(batches.at(-1)?.taken.length, 20 * (3_000 + FRAME_HEADER_BYTES));
});

Deno.test("FrameDecoder refuses lengths that no frame has, before their bytes are there", () => {
  for (
    const [length, code] of [[0, "bad_request"], [4, "bad_request"], [97, "too_large"]] as const
  ) {
    const decoder = new FrameDecoder(100);
    decoder.room().set([length, 0, 0, 0]);
    decoder.filled(4);
    assert.throws(() => decoder.next(), (error) => error instanceof KvError && error.code === code);
  }
  const decoder = new FrameDecoder(100);
  decoder.room().set([96, 0, 0, 0]);
  decoder.filled(4);
  assert.equal(decoder.next(), false);
});

Deno.test("FrameDecoder takes memory for bytes that came, not for a length that was announced", () => {
  const decoder = new FrameDecoder(2 ** 32);
  decoder.room().set([0xff, 0xff, 0xff, 0x7f]);
  decoder.filled(4);
  assert.equal(decoder.next(), false);
  assert.ok(decoder.room().length < 100_000);
});

Deno.test("FrameDecoder gives a large buffer back once it is empty", () => {
  const encoder = new FrameEncoder();
  encoder.add(1, 1, new Uint8Array(2_000_000));
  const stream = encoder.take();
  const decoder = new FrameDecoder(3_000_000);
  let at = 0;
  while (at < stream.length) {
    const room = decoder.room();
    const size = Math.min(room.length, stream.length - at);
    room.set(stream.subarray(at, at + size));
    decoder.filled(size);
    at += size;
    decoder.next();
  }
  assert.equal(decoder.payload.length, 2_000_000);
  assert.ok(decoder.room().length < 100_000);
});
