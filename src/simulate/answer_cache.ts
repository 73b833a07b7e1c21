/**
 * Answers kept as bytes, for profiles with `preEncoded`.
 *
 * @module
 */

import type { Script, Step } from "./transport/framing.ts";
import type { Plan } from "./plan.ts";
import type { SimulatedRequest } from "./requests/request.ts";

/** A request that was understood before, and its answer. */
export interface KeptAnswer {
  /** The request as it was read. */
  readonly request: SimulatedRequest;
  /** Its prompt tokens. */
  readonly promptTokens: number;
  /** The plan to follow again. */
  plan(): Plan;
}

const ANSWERS_MAX = 256;
const ANSWER_BYTES_MAX = 1_000_000;

/** The latest answers by request; forgets all when full. */
export class AnswerCache {
  readonly #answers = new Map<string, KeptAnswer>();

  /** The answer kept under `key`. */
  get(key: string): KeptAnswer | null {
    return this.#answers.get(key) ?? null;
  }

  /**
   * Keeps `plan` under `key` unless its answer is too large, and returns an equal plan.
   *
   * Takes the steps of the script that was given; an answer that turns out too
   * large goes on from where this stopped, so that it never stands in memory whole.
   */
  keep(key: string, plan: Plan, about: Omit<KeptAnswer, "plan">): Plan {
    const steps: Step[] = [];
    let sizeBytes = 0;
    for (;;) {
      const next = plan.script.next();
      if (next.done === true) {
        const ending = next.value;
        const again = (): Plan => ({ ...plan, script: replay(steps, () => END[ending]) });
        if (this.#answers.size >= ANSWERS_MAX) this.#answers.clear();
        this.#answers.set(key, { ...about, plan: again });
        return again();
      }
      steps.push(next.value);
      sizeBytes += next.value.bytes.length;
      if (sizeBytes > ANSWER_BYTES_MAX) {
        return { ...plan, script: replay(steps, () => plan.script.next()) };
      }
    }
  }
}

const END = {
  complete: { done: true, value: "complete" },
  close: { done: true, value: "close" },
  reset: { done: true, value: "reset" },
} as const;

/** The steps, then whatever `rest` gives. */
function replay(steps: readonly Step[], rest: Script["next"]): Script {
  let index = 0;
  return {
    next: () => {
      const value = steps[index++];
      return value === undefined ? rest() : { done: false, value };
    },
  };
}
