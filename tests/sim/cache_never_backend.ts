/**
 * Stands in for the relay: answers in every kind, step by step, when it is told to.
 *
 * Like the relay it rejects before an answer has begun, ends a body cleanly only
 * where the backend did, and tells who answered once an answer is complete. Each
 * answer bears a serial number and the identity of the request that it was given
 * to, and is written down under that number.
 *
 * @module
 */
import type { CachedSurface } from "../../src/cache/types.ts";
import { GatewayError } from "../../src/errors.ts";
import type { Random, Reply, StreamSource } from "../../src/ports.ts";
import { BackendReply } from "../../src/relay/outcome.ts";
import type { RelayRequest } from "../../src/relay/relay.ts";
import { type Ask, pick } from "./cache_never_universe.ts";
import {
  endsCleanly,
  eventsOf,
  isStorable,
  type Kind,
  wholeOf,
  type WireEvent,
} from "./cache_never_wire.ts";

/** An answer that was given. */
export interface Answer {
  /** Its number. */
  readonly serial: number;
  /** The request it was given to. */
  readonly ask: Ask;
  /** How it turned out. */
  readonly kind: Kind;
  /** Its text. */
  readonly text: string;
  /** What was sent, whole. */
  readonly whole: string | null;
  /** What was sent, event by event. */
  readonly events: readonly WireEvent[];
  /** Why it must never be served again; `null` if it may be. */
  readonly forbidden: string | null;
  /** When it was complete; `null` before, and for ever if it never was. */
  completedMs: number | null;
}

/** What the backend needs of the world. */
export interface BackendParts {
  /** Chance. */
  readonly random: Random;
  /** Time. */
  readonly nowMs: () => number;
  /** The request of a name. */
  readonly askOf: (id: string) => Ask;
}

type Pieces = readonly Uint8Array<ArrayBuffer>[];

const encoder = new TextEncoder();

const NUMBER_CHARACTERS_MAX = 10;

const WEIGHTED_KINDS: readonly Kind[] = [
  ...Array.from({ length: 40 }, (): Kind => "complete"),
  ...[
    "reasoning",
    "reasoning",
    "error_inside",
    "cut",
    "cut",
    "in_band",
    "truncated",
    "filtered",
  ] as const,
  ...["refusal", "tool_call", "two_choices", "empty", "unended", "garbled"] as const,
];

/** Answers when told to. */
export class ScriptedBackend {
  /** Every answer, by number. */
  readonly answers: Answer[] = [];
  /** Calls that wait for the backend. */
  readonly waiting: BackendCall[] = [];
  /** Requests by name, as often as they came. */
  readonly counted = new Map<string, number>();
  /** Requests whose failure an old answer may stand in for. */
  readonly failed = new Set<string>();
  /** Calls on behalf of clients that are not over. */
  running = 0;
  /** Whether every request fails. */
  isDown = false;
  readonly #parts: BackendParts;

  constructor(parts: BackendParts) {
    this.#parts = parts;
  }

  /** Takes a request. */
  complete(request: RelayRequest): Promise<Reply> {
    this.counted.set(request.requestId, (this.counted.get(request.requestId) ?? 0) + 1);
    const call = new BackendCall(this, request);
    if (!isShadow(request)) this.running++;
    if (request.signal.aborted) call.cancel();
    else {
      this.waiting.push(call);
      request.signal.addEventListener("abort", () => call.cancel(), { once: true });
    }
    return call.reply;
  }

  /** One thing happens at one of the backends. */
  step(): void {
    if (this.waiting.length > 0) pick(this.waiting, this.#parts.random).step();
  }

  /** Chance. */
  get random(): Random {
    return this.#parts.random;
  }

  /** Why a request gets no answer; `null` if it gets one. */
  drawFailure(): GatewayError | BackendReply | null {
    const { random } = this.#parts;
    if (!this.isDown && random() > 0.06) return null;
    if (random() < 0.3) return new GatewayError("no_healthy_backend", "Cannot answer: none is up");
    const status = this.isDown ? 503 : pick([400, 429, 500, 503], random);
    return new BackendReply({ status, code: null, message: "no" }, null);
  }

  /** Gives an answer to a request. */
  draw(request: RelayRequest): { readonly answer: Answer; readonly by: () => void } {
    const { random, nowMs, askOf } = this.#parts;
    const { inbound, requestId } = request;
    const ask = askOf(requestId.replace(/-shadow$/, ""));
    const surface = ask.surface;
    const kind = kindIn(surface, pick(WEIGHTED_KINDS, random));
    const serial = this.answers.length;
    const text = `<${serial}> ${ask.wording.meaning} | ${ask.partition} | ${ask.wording.text} é🦊`;
    const oddity = random() < 0.08
      ? pick(["noStore", "fallback", "spliced"] as const, random)
      : null;
    const whole = inbound.stream ? null : wholeOf(surface, kind, text, ask.model);
    const forbidden = isShadow(request)
      ? "shadow"
      : ask.bypass !== null
      ? "bypass"
      : ask.noStore
      ? "no-store"
      : isStorable(kind, surface)
      ? oddity
      : kind;
    const answer: Answer = {
      serial,
      ask,
      kind,
      text,
      whole,
      events: whole === null ? eventsOf(surface, kind, piecesOf(text, random), ask.model) : [],
      forbidden,
      completedMs: null,
    };
    this.answers.push(answer);
    const by = (): void => {
      answer.completedMs = nowMs();
      request.answered?.({
        backend: "b",
        model: oddity === "fallback" ? "other" : "upstream",
        tier: oddity === "fallback" ? 1 : 0,
        spliced: oddity === "spliced",
        noStore: oddity === "noStore",
      });
    };
    return { answer, by };
  }
}

/** One request at a backend. */
class BackendCall implements StreamSource {
  readonly reply: Promise<Reply>;
  readonly #settled = Promise.withResolvers<Reply>();
  readonly #backend: ScriptedBackend;
  readonly #request: RelayRequest;
  #demand: PromiseWithResolvers<Pieces | null> | null = null;
  #pieces: Uint8Array<ArrayBuffer>[] = [];
  #isClean = true;
  #answered: () => void = () => {};
  #hasBegun = false;
  #isOver = false;

  constructor(backend: ScriptedBackend, request: RelayRequest) {
    this.#backend = backend;
    this.#request = request;
    this.reply = this.#settled.promise;
  }

  /** The answer begins, or goes on. */
  step(): void {
    if (!this.#hasBegun) this.#begin();
    else this.#give();
  }

  pull(): Promise<Pieces | null> {
    const demand = Promise.withResolvers<Pieces | null>();
    if (this.#isOver) demand.reject(new Error("Cannot read: the call is over"));
    else {
      this.#demand = demand;
      this.#backend.waiting.push(this);
    }
    return demand.promise;
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#finish();
    this.#settled.resolve({ status: 499, headers: [], body: null });
    this.#demand?.reject(new Error("Cannot end stream: its client is gone"));
  }

  #begin(): void {
    const { requestId, inbound } = this.#request;
    const failure = this.#backend.drawFailure();
    if (failure !== null) return this.#fail(failure);
    this.#hasBegun = true;
    const { answer, by } = this.#backend.draw(this.#request);
    const headers: [string, string][] = [["x-request-id", requestId], ["x-weir-cache", "off"]];
    if (!inbound.stream) {
      if (answer.kind === "cut") {
        return this.#fail(new GatewayError("backend_failed", "Cannot read answer: it was cut"));
      }
      this.#finish();
      by();
      this.#settled.resolve({ status: 200, headers, body: encoder.encode(answer.whole ?? "") });
      return;
    }
    this.#leaveQueue();
    this.#answered = by;
    this.#isClean = endsCleanly(answer.kind);
    const keepsUsage = this.#request.keepsUsage === true || inbound.wantsUsage;
    const events = answer.events.filter(({ usageOnly }) => !usageOnly || keepsUsage);
    const wire = encoder.encode(events.map(({ text }) => text).join(""));
    const { random } = this.#backend;
    // The relay hands on whole events; a cut anywhere in one must do no harm either.
    const end = answer.kind === "cut" ? Math.ceil(random() * wire.length) : wire.length;
    this.#pieces = slicesOf(wire.subarray(0, end), random);
    this.#settled.resolve({ status: 200, headers, body: this });
  }

  #give(): void {
    const demand = this.#demand;
    if (demand === null) return;
    this.#leaveQueue();
    this.#demand = null;
    const piece = this.#pieces.shift();
    if (piece !== undefined) return demand.resolve([piece]);
    this.#finish();
    if (!this.#isClean) return demand.reject(new Error("Cannot end stream: it was cut"));
    this.#answered();
    demand.resolve(null);
  }

  #fail(error: GatewayError | BackendReply): void {
    const status = error instanceof GatewayError ? error.status : error.detail.status;
    if (status >= 500 || status === 429) this.#backend.failed.add(this.#request.requestId);
    this.#finish();
    this.#settled.reject(error);
  }

  #finish(): void {
    this.#isOver = true;
    if (!isShadow(this.#request)) this.#backend.running--;
    this.#leaveQueue();
  }

  #leaveQueue(): void {
    const { waiting } = this.#backend;
    const at = waiting.indexOf(this);
    if (at >= 0) waiting.splice(at, 1);
  }
}

/** Whether a request is a check in the background. */
function isShadow({ requestId }: RelayRequest): boolean {
  return requestId.endsWith("-shadow");
}

/** Some APIs have no such answer; the nearest one stands for it. */
function kindIn(surface: CachedSurface, kind: Kind): Kind {
  if (surface !== "completions") return kind;
  return kind === "reasoning" ? "complete" : kind === "refusal" ? "filtered" : kind;
}

function piecesOf(text: string, random: Random): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    // The number stands in the first piece, so that it is known however little arrives.
    const size = (at === 0 ? NUMBER_CHARACTERS_MAX : 1) + Math.floor(random() * text.length);
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}

function slicesOf(wire: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer>[] {
  const slices: Uint8Array<ArrayBuffer>[] = [];
  const cuts = Math.floor(random() * 4);
  let rest = wire;
  for (let cut = 0; cut < cuts && rest.length > 1; cut++) {
    const at = 1 + Math.floor(random() * (rest.length - 1));
    slices.push(rest.slice(0, at));
    rest = rest.subarray(at);
  }
  if (rest.length > 0) slices.push(rest.slice());
  return slices;
}
