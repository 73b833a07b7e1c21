import assert from "node:assert/strict";
import { StampOracle } from "../clock/stamps.ts";
import { evaluate } from "../txn/evaluate.ts";
import type { Command, Mutation } from "../types.ts";
import { decodeMessage, encodeMessage } from "./message.ts";
import { textOfKey, timeKey } from "./message_key.ts";
import {
  type Moment,
  QueueCore,
  type QueueCoreParts,
  type QueueStep,
  type QueueWrite,
  type SettlementResult,
} from "./queue_core.ts";
import { simulate, type Simulation, SPACES } from "./queue_simulation_fixture.ts";
import type { Settlement } from "./settlement.ts";

const SEEDS = 60;

type Make = (parts: QueueCoreParts) => QueueCore;

Deno.test("QueueCore keeps its promises under every schedule", () => {
  const only = Deno.env.get("SEED");
  let deliveries = 0;
  let dead = 0;
  let restarts = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    if (only !== undefined && Number(only) !== seed) continue;
    const simulation = play(seed, (parts) => new QueueCore(parts));
    deliveries += simulation.deliveries;
    dead += simulation.dead;
    restarts += simulation.restarts;
  }
  if (only !== undefined) return;
  // The schedules reach what they are meant to reach.
  assert.ok(deliveries > 40 * SEEDS, `${deliveries} deliveries`);
  assert.ok(dead > 5 * SEEDS, `${dead} dead letters`);
  assert.ok(restarts > 2 * SEEDS, `${restarts} restarts`);
});

/** Each would lose, double or reorder messages; the promise that it breaks must be noticed. */
const MUTANTS: Readonly<Record<string, Make>> = {
  "does not look before its cursor": (parts) =>
    new (class extends QueueCore {
      override touched(): void {}
    })(parts),
  "says yes to an extension and forgets it": (parts) =>
    new (class extends QueueCore {
      override settle(settlement: Settlement, now: Moment): SettlementResult | QueueWrite {
        return settlement.type === "extend" ? "ok" : super.settle(settlement, now);
      }
    })(parts),
  "forgets its leases": (parts) =>
    new (class extends QueueCore {
      override step(now: Moment): QueueStep {
        const step = super.step(now);
        this.takeBack(step.served.flatMap(({ items }) => items));
        return step;
      }
    })(parts),
  "lets a lease go while its end is being written": (parts) =>
    new (class extends QueueCore {
      override settle(settlement: Settlement, now: Moment): SettlementResult | QueueWrite {
        const result = super.settle(settlement, now);
        if (typeof result !== "string") {
          super.written(result, { type: "conflict", failedChecks: [0] });
          this.touched(result.lease.key);
        }
        return result;
      }
    })(parts),
  "takes a failed commit for a done one": (parts) =>
    new (class extends QueueCore {
      override unwritten(write: QueueWrite): void {
        super.written(write, { type: "conflict", failedChecks: [0] });
      }
    })(parts),
  "commits without checks": mutated(({ command }) => ({ ...command, checks: [] })),
  "deletes instead of putting off": mutated(({ kind, command }) =>
    kind === "retry" ? { ...command, mutations: command.mutations.slice(0, 1) } : command
  ),
  "keeps the row that it puts off": mutated(({ kind, command }) =>
    kind === "retry" ? { ...command, mutations: command.mutations.slice(1) } : command
  ),
  "does not count attempts": mutated(({ command }) => ({
    ...command,
    mutations: command.mutations.map((each) => uncounted(each)),
  })),
  "does not set undelivered keys": mutated(({ command }) => ({
    ...command,
    mutations: command.mutations.filter(({ type }) => type !== "set"),
  })),
  "lets the first lease of a message settle for ever": (parts) => {
    const numbers = new Map<string, string>();
    return new (class extends QueueCore {
      override step(now: Moment): QueueStep {
        const step = super.step(now);
        for (const { items } of step.served) {
          for (const { receipt, lease } of items) {
            numbers.set(textOfKey(lease.key).slice(0, 26), receipt);
          }
        }
        return step;
      }
      override settle(settlement: Settlement, now: Moment): SettlementResult | QueueWrite {
        const receipt = numbers.get(settlement.receipt.slice(0, 26)) ?? settlement.receipt;
        return super.settle({ ...settlement, receipt }, now);
      }
    })(parts);
  },
  "never wakes by itself": (parts) =>
    new (class extends QueueCore {
      override step(now: Moment): QueueStep {
        return { ...super.step(now), wakeInMs: null };
      }
    })(parts),
  "tries again at once": mutated(({ kind, command }) => ({
    ...command,
    mutations: command.mutations.map((each) =>
      kind === "retry" && each.type === "append" ? { ...each, key: timeKey(SPACES.queue, 0) } : each
    ),
  })),
  "does not end leases": (parts) =>
    new (class extends QueueCore {
      override step(now: Moment): QueueStep {
        const step = super.step(now);
        return { ...step, writes: [] };
      }
    })(parts),
};

for (const [name, make] of Object.entries(MUTANTS)) {
  Deno.test(`a mutant of QueueCore that ${name} is found`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        play(seed, make);
      } catch {
        return;
      }
    }
    assert.fail(`no schedule of ${SEEDS} finds it`);
  });
}

function play(seed: number, make: Make): Simulation {
  const oracle = new StampOracle(0, null);
  return simulate({ seed, make, evaluate, nextStamp: (wallMs) => oracle.next(wallMs) });
}

function mutated(change: (write: QueueWrite) => Command): Make {
  return (parts) =>
    new (class extends QueueCore {
      override step(now: Moment): QueueStep {
        const step = super.step(now);
        const writes = step.writes.map((write) => ({ ...write, command: change(write) }));
        return { ...step, writes };
      }
      override settle(settlement: Settlement, now: Moment): SettlementResult | QueueWrite {
        const result = super.settle(settlement, now);
        if (typeof result === "string") return result;
        return { ...result, command: change(result) };
      }
    })(parts);
}

function uncounted(mutation: Mutation): Mutation {
  if (mutation.type !== "append") return mutation;
  const message = decodeMessage(mutation.value.data);
  if (message === null) return mutation;
  const data = encodeMessage({ ...message, attempts: Math.max(0, message.attempts - 1) });
  return { ...mutation, value: { ...mutation.value, data } };
}
