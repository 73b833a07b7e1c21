import assert from "node:assert/strict";
import { createLineWriter, type LineSink } from "./line_writer.ts";

/** A sink that takes at most `step` bytes at a time, and none while it is held. */
function sinkOf(step: number): LineSink & { text: string; held: Promise<void> | null } {
  const decoder = new TextDecoder();
  const take = (bytes: Uint8Array): number => {
    const part = bytes.subarray(0, step);
    sink.text += decoder.decode(part, { stream: true });
    return part.length;
  };
  const sink: LineSink & { text: string; held: Promise<void> | null } = {
    text: "",
    held: null,
    async write(bytes) {
      if (sink.held !== null) await sink.held;
      return take(bytes);
    },
    writeSync: take,
  };
  return sink;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

Deno.test("createLineWriter() writes every line in order, however little the sink takes", async () => {
  const sink = sinkOf(7);
  const writer = createLineWriter(sink);
  for (let i = 0; i < 100; i++) writer.write(`line ${i}`);
  await until(() => sink.text.endsWith("line 99\n"));
  assert.equal(sink.text.split("\n").length, 101);
  writer.write("last");
  writer.flush();
  assert.ok(sink.text.endsWith("line 99\nlast\n"));
});

Deno.test("createLineWriter() drops lines of a reader that stands still, and says how many", async () => {
  const sink = sinkOf(1_000_000);
  const gate = Promise.withResolvers<void>();
  sink.held = gate.promise;
  const writer = createLineWriter(sink);
  const line = "x".repeat(100_000);
  for (let i = 0; i < 100; i++) writer.write(line);
  gate.resolve();
  await until(() => sink.text.includes("log.dropped"));
  assert.match(sink.text, /"event":"log.dropped","lines":59\}/);
});
