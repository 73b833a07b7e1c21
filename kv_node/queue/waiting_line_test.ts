import assert from "node:assert/strict";
import { WaitingLine } from "./waiting_line.ts";

function lineOf(...messagesMax: readonly number[]): WaitingLine {
  const line = new WaitingLine();
  messagesMax.forEach((most, id) => {
    line.add({ id, messagesMax: most, leaseMs: 1, untilMs: 100 - id });
  });
  return line;
}

function dealt(line: WaitingLine, sizes: readonly number[], answerBytesMax = 1_000): string[] {
  const deal = line.deal<number>(sizes.length, answerBytesMax);
  for (const [at, size] of sizes.entries()) {
    const hand = deal.next(size);
    if (hand === null) break;
    hand.items.push(at);
    hand.sizeBytes += size;
  }
  return deal.hands.map(({ consumer, items }) => `${consumer.id}: ${items.join(" ")}`);
}

Deno.test("WaitingLine deals to all in turn, the longest waiting first", () => {
  assert.deepEqual(dealt(lineOf(100, 1, 2), [1, 1, 1, 1, 1, 1]), ["0: 0 3 5", "1: 1", "2: 2 4"]);
  assert.deepEqual(dealt(lineOf(100, 100, 100), [1, 1]), ["0: 0", "1: 1"]);
  assert.deepEqual(dealt(lineOf(1, 1), [1, 1, 1]), ["0: 0", "1: 1"]);
});

Deno.test("WaitingLine deals no more bytes than an answer takes, but one message always", () => {
  assert.deepEqual(dealt(lineOf(9, 9), [900, 50, 200, 160], 1_000), ["0: 0", "1: 1 2 3"]);
  assert.deepEqual(dealt(lineOf(9), [5_000, 1], 1_000), ["0: 0"]);
  assert.deepEqual(dealt(lineOf(9, 9, 9), [1]), ["0: 0"]);
});

Deno.test("WaitingLine lets go who has waited long enough", () => {
  const line = lineOf(1, 1, 1);
  assert.equal(line.nextEndMs, 98);
  assert.deepEqual(line.takeOver(99), [1, 2]);
  assert.deepEqual([line.size, line.nextEndMs, line.room(10)], [1, 100, 1]);
});
