import assert from "node:assert/strict";
import { type Clock, EmbedError } from "../ports.ts";
import { Tickets } from "./tickets.ts";

/** A clock that rings when it is told to. */
function manualClock(): {
  readonly clock: Clock;
  readonly ring: () => void;
  readonly set: Set<unknown>;
} {
  const set = new Set<() => void>();
  const after: Clock["after"] = (_delayMs, run) => {
    set.add(run);
    return { [Symbol.dispose]: () => void set.delete(run) };
  };
  const ring = (): void => [...set].forEach((run) => run());
  return { clock: { nowMs: () => 0, wallMs: () => 0, after }, ring, set };
}

async function kindOf(found: Promise<unknown>): Promise<string> {
  return await found.then(() => "found", (error: unknown) => {
    assert.ok(error instanceof EmbedError);
    return error.kind;
  });
}

Deno.test("Tickets settles a search once and puts its timer away", async () => {
  const { clock, set } = manualClock();
  const tickets = new Tickets(clock);
  const { ticket, found } = tickets.open(1, 10);
  tickets.settle(ticket, [{ id: 3, similarity: 1 }]);
  tickets.settle(ticket, []);
  assert.deepEqual(await found, [{ id: 3, similarity: 1 }]);
  assert.equal(set.size, 0);
  assert.equal(tickets.size, 0);
});

Deno.test("Tickets rejects a late search but keeps its place until it is answered", async () => {
  const { clock, ring } = manualClock();
  const tickets = new Tickets(clock);
  const { ticket, found } = tickets.open(1, 10);
  ring();
  assert.equal(await kindOf(found), "late");
  assert.equal(tickets.size, 1);
  assert.equal(tickets.owedBy(1), 1);
  tickets.settle(ticket, []);
  assert.equal(tickets.size, 0);
});

Deno.test("Tickets fails the searches of one worker only", async () => {
  const { clock, set } = manualClock();
  const tickets = new Tickets(clock);
  const one = tickets.open(1, 10);
  const other = tickets.open(2, 10);
  tickets.fail(1, new EmbedError("failed", "Gone"));
  assert.equal(await kindOf(one.found), "failed");
  assert.equal(tickets.size, 1);
  tickets.settle(other.ticket, []);
  assert.equal(await kindOf(other.found), "found");
  assert.equal(set.size, 0);
});
