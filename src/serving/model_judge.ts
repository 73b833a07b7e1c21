/**
 * A judge that asks a model whether two answers say the same.
 *
 * @module
 */
import type { Judge } from "../cache/similarity/judge.ts";
import { modelJudgePrompt, readVerdict } from "../cache/similarity/judge_prompt.ts";
import { GatewayError } from "../errors.ts";
import type { Clock } from "../ports.ts";
import { readInbound } from "../relay/inbound.ts";
import { BackendReply } from "../relay/outcome.ts";
import type { Relay } from "../relay/relay.ts";
import { NOBODY } from "./nobody.ts";

const decoder = new TextDecoder();

/** Verdicts are one word; a little room for models that think aloud. */
const VERDICT_TOKENS_MAX = 200;

const JSON_DEPTH = 16;

/** Asks a model of this gateway; it is routed, retried and counted as any request. */
export function modelJudge(relay: Relay, model: string, clock: Clock): Judge {
  let count = 0;
  return {
    id: `model:${model}`,
    async same(one, other, question) {
      const text = JSON.stringify({
        model,
        temperature: 0,
        max_tokens: VERDICT_TOKENS_MAX,
        messages: [{ role: "user", content: modelJudgePrompt(question, one, other) }],
      });
      try {
        const { body } = await relay.complete({
          inbound: readInbound("chat", text, { jsonDepth: JSON_DEPTH }),
          requestId: `judge-${(++count).toString(36)}`,
          tenant: null,
          session: null,
          headers: [],
          startedMs: clock.nowMs(),
          signal: NOBODY,
        });
        return readVerdict(contentOf(body));
      } catch (error) {
        if (error instanceof GatewayError || error instanceof BackendReply) return null;
        throw error;
      }
    },
  };
}

interface ChatAnswer {
  readonly choices?: ReadonlyArray<{ readonly message?: { readonly content?: unknown } }>;
}

function contentOf(body: unknown): string {
  const text = body instanceof Uint8Array ? decoder.decode(body) : String(body ?? "");
  const answer = JSON.parse(text) as ChatAnswer;
  const content = answer.choices?.[0]?.message?.content;
  return typeof content === "string" ? content : "";
}
