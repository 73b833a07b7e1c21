/**
 * Replies from the cache, and what their headers say.
 *
 * Source of `Cache-Status`: RFC 9211.
 *
 * @module
 */
import { replayAnswer, replayEvents } from "../cache/answer/replay.ts";
import type { AnswerRecord, BypassReason, Layer } from "../cache/types.ts";
import type { Clock, Reply, StreamSource } from "../ports.ts";
import type { Inbound } from "../relay/inbound.ts";
import type { Found } from "./found.ts";

/** What a reply is made for. */
export interface ReplyContext {
  /** The client's request. */
  readonly inbound: Inbound;
  /** Its name. */
  readonly requestId: string;
  /** When it arrived, on the clock. */
  readonly startedMs: number;
  /** Time. */
  readonly clock: Clock;
  /** Events a second of a stream; `null` for no pace. */
  readonly eventsPerSecond: number | null;
}

/** The reply that an entry gives. */
export function foundReply(found: Found, context: ReplyContext): Reply {
  const { entry, layer, similarity, stale } = found;
  const wallMs = context.clock.wallMs();
  const ttlSeconds = Math.round((entry.expiresMs - wallMs) / 1_000);
  const headers: [string, string][] = [
    ["x-weir-cache", stale ? "stale" : layer],
    ["cache-status", `weir; hit; ttl=${ttlSeconds}; detail=${stale ? `stale-${layer}` : layer}`],
    ["age", String(Math.max(0, Math.floor((wallMs - entry.storedMs) / 1_000)))],
    ["weir-cache-id", publicId(entry.id)],
  ];
  if (similarity !== null) headers.push(["weir-cache-similarity", similarity.toFixed(4)]);
  return replayed(entry.answer, headers, context);
}

/** The reply of a flight whose backend answered in the other form. */
export function recordedReply(record: AnswerRecord, context: ReplyContext): Reply {
  return replayed(record, statusHeaders("flight"), context);
}

/** A backend's reply, marked with what the cache had to do with it. */
export function liveReply(reply: Reply, requestId: string, status: LiveStatus): Reply {
  const headers = reply.headers.filter(([name]) => name !== "x-weir-cache");
  const own = status.layer === "flight"
    ? headers.map(([name, value]): readonly [string, string] =>
      name === "x-request-id" ? [name, requestId] : [name, value]
    )
    : headers;
  return {
    ...reply,
    headers: [
      ...own,
      ...(status.bypass === undefined ? statusHeaders(status.layer) : [
        ["x-weir-cache", "bypass"] as const,
        ["cache-status", `weir; fwd=bypass; detail=${status.bypass}`] as const,
      ]),
    ],
  };
}

/** What the cache had to do with an answer that a backend gave. */
export interface LiveStatus {
  /** `flight`: somebody else had asked. */
  readonly layer: "flight" | "miss" | "refresh";
  /** Why it was not asked at all. */
  readonly bypass?: BypassReason;
}

function statusHeaders(layer: LiveStatus["layer"]): (readonly [string, string])[] {
  switch (layer) {
    case "flight":
      return [
        ["x-weir-cache", "flight"],
        ["cache-status", "weir; fwd=miss; collapsed; detail=flight"],
      ];
    case "refresh":
      return [["x-weir-cache", "miss"], ["cache-status", "weir; fwd=request"]];
    case "miss":
      return [["x-weir-cache", "miss"], ["cache-status", "weir; fwd=miss"]];
  }
}

/** An entry's name outside. */
export function publicId(id: number): string {
  return id.toString(36);
}

/** The entry that a name stands for, or `null`. */
export function entryId(text: string): number | null {
  if (!/^[0-9a-z]{1,11}$/.test(text)) return null;
  const id = Number.parseInt(text, 36);
  return Number.isSafeInteger(id) && id > 0 ? id : null;
}

/** The layer's name in metrics. */
export function resultOf(found: Found): Layer | "stale" {
  return found.stale ? "stale" : found.layer;
}

function replayed(
  record: AnswerRecord,
  status: readonly (readonly [string, string])[],
  context: ReplyContext,
): Reply {
  const { inbound, requestId, startedMs, clock, eventsPerSecond } = context;
  const createdSeconds = Math.floor(clock.wallMs() / 1_000);
  const id = requestId.replaceAll(/[^A-Za-z0-9_-]/g, "");
  const body = inbound.stream
    ? replayEvents(record, { id, createdSeconds, includeUsage: inbound.wantsUsage })
    : JSON.stringify(replayAnswer(record, { id, createdSeconds }));
  const type: (readonly [string, string])[] = inbound.stream
    ? [
      ["content-type", "text/event-stream; charset=utf-8"],
      ["cache-control", "no-cache"],
      ["x-accel-buffering", "no"],
    ]
    : [["content-type", "application/json"]];
  const overheadMs = Math.max(0, clock.nowMs() - startedMs);
  return {
    status: 200,
    headers: [
      ["x-request-id", requestId],
      ["x-weir-overhead-ms", overheadMs.toFixed(3)],
      ...status,
      ...type,
    ],
    body: typeof body === "string"
      ? body
      : eventsPerSecond === null
      ? body.join("")
      : new PacedEvents(body, 1_000 / eventsPerSecond, clock),
  };
}

const encoder = new TextEncoder();

/** A replayed stream at a pace. */
class PacedEvents implements StreamSource {
  readonly #events: readonly string[];
  readonly #everyMs: number;
  readonly #clock: Clock;
  #next = 0;
  #waiting: { readonly timer: Disposable; readonly fail: (reason: Error) => void } | null = null;

  constructor(events: readonly string[], everyMs: number, clock: Clock) {
    this.#events = events;
    this.#everyMs = everyMs;
    this.#clock = clock;
  }

  pull(): Promise<readonly Uint8Array<ArrayBuffer>[] | null> {
    const event = this.#events[this.#next];
    if (event === undefined) return Promise.resolve(null);
    const isFirst = this.#next++ === 0;
    const bytes = [encoder.encode(event)];
    if (isFirst) return Promise.resolve(bytes);
    return new Promise((resolve, fail) => {
      const timer = this.#clock.after(this.#everyMs, () => resolve(bytes));
      this.#waiting = { timer, fail };
    });
  }

  cancel(): void {
    this.#waiting?.timer[Symbol.dispose]();
    this.#waiting?.fail(new Error("Cannot end stream: its client is gone"));
    this.#next = this.#events.length;
  }
}
