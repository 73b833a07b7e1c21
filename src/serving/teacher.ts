/**
 * Learns what similarity is worth: compares fresh answers with stored ones.
 *
 * Two occasions: a miss with a near neighbour, whose answer is fresh anyhow; and a
 * share of the hits, for which a fresh answer is fetched in the background.
 *
 * @module
 */
import { recordAnswer } from "../cache/answer/recorder.ts";
import { shadowDue } from "../cache/similarity/decision.ts";
import type { AnswerRecord, CacheRequest, JsonObject } from "../cache/types.ts";
import { GatewayError } from "../errors.ts";
import type { Inbound } from "../relay/inbound.ts";
import { BackendReply } from "../relay/outcome.ts";
import type { RelayRequest } from "../relay/relay.ts";
import type { Found } from "./found.ts";
import type { ServingParts, SimilarityParts } from "./parts.ts";
import { NOBODY } from "./nobody.ts";
import type { Neighbour } from "./seeker.ts";

/** Checks that may run at one time; more are left out. */
const SHADOWS_MAX = 4;

const decoder = new TextDecoder();

/** Compares answers, off the path of every request. */
export class Teacher {
  readonly #parts: ServingParts;
  readonly #similarity: SimilarityParts;
  #shadows = 0;

  /** Takes its parts. */
  constructor(parts: ServingParts, similarity: SimilarityParts) {
    this.#parts = parts;
    this.#similarity = similarity;
  }

  /** A fresh answer has come although there was a near neighbour. */
  compare(request: CacheRequest, neighbour: Neighbour, fresh: AnswerRecord): void {
    const { entry } = neighbour;
    if (request.turn === null || entry.turn === null) return;
    const question = { asked: request.turn, stored: entry.turn };
    const { judge } = this.#similarity;
    judge.same(fresh, entry.answer, question).then((right) => {
      if (right !== null) this.#observe(request, neighbour, right);
    }, (error) => this.#failed(error));
  }

  /** A hit was served: now and then, asks a backend as well and compares. */
  shadow(request: RelayRequest, key: CacheRequest, found: Found): void {
    const { random, cacheMetrics } = this.#parts;
    if (found.similarity === null || this.#shadows >= SHADOWS_MAX || !shadowDue(random)) {
      return;
    }
    this.#shadows++;
    this.#check(request, key, found).then(
      (result) => cacheMetrics.shadowChecked(key.route, result),
      (error) => {
        cacheMetrics.shadowChecked(key.route, "failed");
        if (!(error instanceof GatewayError) && !(error instanceof BackendReply)) {
          this.#failed(error);
        }
      },
    ).finally(() => this.#shadows--);
  }

  async #check(
    request: RelayRequest,
    key: CacheRequest,
    found: Found,
  ): Promise<"right" | "wrong" | "unclear" | "failed"> {
    const { relay, clock } = this.#parts;
    const { entry, similarity, guard } = found;
    const { body } = await relay.complete({
      ...request,
      inbound: unstreamed(request.inbound),
      requestId: `${request.requestId}-shadow`,
      startedMs: clock.nowMs(),
      signal: NOBODY,
    });
    const text = typeof body === "string"
      ? body
      : body instanceof Uint8Array
      ? decoder.decode(body)
      : "";
    const recorded = recordAnswer(key.surface, parse(text), { bytesMax: Infinity });
    if (!("record" in recorded) || entry.turn === null || key.turn === null) return "unclear";
    const question = { asked: key.turn, stored: entry.turn };
    const right = await this.#similarity.judge.same(recorded.record, entry.answer, question);
    if (right === null || similarity === null) return "unclear";
    this.#observe(key, { entry, similarity, guard }, right);
    return right ? "right" : "wrong";
  }

  #observe(request: CacheRequest, { entry, similarity, guard }: Neighbour, right: boolean): void {
    const { policy, cacheMetrics } = this.#parts;
    const { tenant, route } = request;
    const { embedderId: embedder } = this.#similarity;
    const seen = { tenant, route, embedder, entryId: entry.id, similarity, guard, right };
    policy.observe(seen);
    cacheMetrics.observed(route, right);
  }

  #failed(error: unknown): void {
    this.#parts.log.error("cache.judge.bug", { error });
  }
}

/** The same question, to be answered whole. */
function unstreamed(inbound: Inbound): Inbound {
  if (!inbound.stream) return inbound;
  const { stream_options: _unused, ...rest } = inbound.body;
  const body = { ...rest, stream: false };
  const demand = { ...inbound.demand, streaming: false };
  return { ...inbound, body, demand, text: JSON.stringify(body), stream: false, wantsUsage: false };
}

function parse(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value as JsonObject : {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}
