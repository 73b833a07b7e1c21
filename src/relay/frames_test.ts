import assert from "node:assert/strict";
import { Frames } from "./frames.ts";

const PIECE = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]);

Deno.test("Frames joins slices that lie side by side, and no others", () => {
  const frames = new Frames();
  frames.push(PIECE.subarray(0, 2));
  frames.push(PIECE.subarray(2, 5));
  frames.push(PIECE.subarray(6, 8));
  frames.push(new Uint8Array([9]));
  assert.deepEqual(frames.take().map((slice) => [...slice]), [[0, 1, 2, 3, 4], [6, 7], [9]]);
  assert.ok(frames.empty);
  assert.deepEqual([...PIECE], [0, 1, 2, 3, 4, 5, 6, 7], "nothing was copied over");
});

Deno.test("Frames writes text as UTF-8", () => {
  const frames = new Frames();
  frames.pushText("é");
  assert.deepEqual(frames.take().map((slice) => [...slice]), [[0xc3, 0xa9]]);
});
