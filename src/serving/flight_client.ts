/**
 * One client of a flight: what it asked for, and how far it has read.
 *
 * @module
 */
import { errorEvent } from "../backends/error_shape.ts";
import type { AnswerRecord } from "../cache/types.ts";
import { GatewayError } from "../errors.ts";
import type { Reply, StreamSource } from "../ports.ts";
import { Frames } from "../relay/frames.ts";
import { detailOf } from "../relay/outcome.ts";
import type { RelayRequest } from "../relay/relay.ts";
import type { Found } from "./found.ts";

/** One event of the shared stream. */
export interface FlightFrame {
  /** Its bytes as they came. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether it is for those alone who asked for usage. */
  readonly usageOnly: boolean;
}

/** What a client reads from. */
export interface FlightSource {
  /** One more than the number of the last event so far. */
  readonly endFrame: number;
  /** The event of a number. */
  frame(number: number): FlightFrame;
  /** How the stream ended, if it did. */
  readonly ending: "clean" | "abnormal" | null;
  /** A client wants more than there is. */
  drive(): void;
  /** A client is done, or gone. */
  leave(client: FlightClient): void;
}

/** What became of a client's wait. */
export type FlightOutcome =
  /** An entry answers. */
  | { readonly type: "found"; readonly found: Found }
  /** The backend answers, in the form the client wants. */
  | { readonly type: "live"; readonly reply: Reply }
  /** The backend has answered, in the other form. */
  | { readonly type: "recorded"; readonly record: AnswerRecord }
  /** It has to ask for itself. */
  | { readonly type: "alone" };

/** How a client's part ended, for its account. */
export type FlightEnd = "ok" | "cut" | "client_gone";

/** A client of a flight; as a `StreamSource` it reads the shared stream at its own pace. */
export class FlightClient implements StreamSource {
  /** What it asked for. */
  readonly request: RelayRequest;
  /** Settles when the answer begins, or it is clear that none comes this way. */
  readonly outcome: Promise<FlightOutcome>;
  /** Whether the upstream request is its own. */
  leads = false;
  /** When it was given the first bytes, on the clock; `null` before. */
  firstBytesMs: number | null = null;
  readonly #settled = Promise.withResolvers<FlightOutcome>();
  readonly #gone = (): void => this.cancel();
  readonly #ended: (client: FlightClient, end: FlightEnd) => void;
  readonly #nowMs: () => number;
  #source: FlightSource | null = null;
  #cursor = 0;
  #demand: PromiseWithResolvers<readonly Uint8Array<ArrayBuffer>[] | null> | null = null;
  #over = false;
  #refused: GatewayError | null = null;

  /**
   * Takes a request.
   *
   * @param ended Told once when its stream is over for it.
   */
  constructor(
    request: RelayRequest,
    nowMs: () => number,
    ended: (client: FlightClient, end: FlightEnd) => void,
  ) {
    this.request = request;
    this.outcome = this.#settled.promise;
    this.#nowMs = nowMs;
    this.#ended = ended;
  }

  /** Joins a flight. */
  board(source: FlightSource): void {
    this.#source = source;
    this.request.signal.addEventListener("abort", this.#gone, { once: true });
    if (this.request.signal.aborted) this.cancel();
  }

  /** Whether it waits for events that have not come yet. */
  get thirsty(): boolean {
    return this.#demand !== null;
  }

  /** Whether its part is over. */
  get over(): boolean {
    return this.#over;
  }

  /** Number of the next event it will read. */
  get cursor(): number {
    return this.#cursor;
  }

  /** The wait is over, one way or the other. */
  settle(outcome: FlightOutcome): void {
    this.#settled.resolve(outcome);
    if (outcome.type !== "live" || outcome.reply.body !== this) this.#unboard();
  }

  /** No answer came. */
  reject(error: unknown): void {
    this.#unboard();
    this.#settled.reject(error);
  }

  /** It reads too slowly for what may be held for it. */
  fallBehind(bytesMax: number): void {
    this.#refused = new GatewayError(
      "stream_cut",
      `Cannot finish stream: this client is more than ${bytesMax} bytes behind the others that ` +
        "share it",
    );
    this.supply();
  }

  /** The client has room. */
  pull(): Promise<readonly Uint8Array<ArrayBuffer>[] | null> {
    const demand = Promise.withResolvers<readonly Uint8Array<ArrayBuffer>[] | null>();
    this.#demand = demand;
    this.supply();
    if (this.#demand !== null) this.#source?.drive();
    return demand.promise;
  }

  /** Nobody reads on. */
  cancel(): void {
    if (this.#over) return;
    this.#finish("client_gone");
    this.#settled.resolve({ type: "live", reply: { status: 499, headers: [], body: null } });
    const demand = this.#demand;
    this.#demand = null;
    demand?.reject(new Error("Cannot end stream: its client is gone"));
  }

  /** Meets the open demand, if there is something to meet it with. */
  supply(): void {
    const demand = this.#demand;
    const source = this.#source;
    if (demand === null || source === null) return;
    const bytes = this.#refused === null ? this.#take(source) : this.#refusal(this.#refused);
    if (bytes !== null) {
      this.#demand = null;
      this.firstBytesMs ??= this.#nowMs();
      demand.resolve(bytes);
    } else if (this.#refused !== null || source.ending === "abnormal") {
      this.#demand = null;
      this.#finish("cut");
      demand.reject(new Error("Cannot end stream: its answer is not complete"));
    } else if (source.ending === "clean") {
      this.#demand = null;
      this.#finish("ok");
      demand.resolve(null);
    }
  }

  #take(source: FlightSource): readonly Uint8Array<ArrayBuffer>[] | null {
    if (this.#cursor >= source.endFrame) return null;
    const frames = new Frames();
    const { wantsUsage } = this.request.inbound;
    for (; this.#cursor < source.endFrame; this.#cursor++) {
      const frame = source.frame(this.#cursor);
      if (!frame.usageOnly || wantsUsage) frames.push(frame.bytes);
    }
    return frames.empty ? null : frames.take();
  }

  /** The error event, once. */
  #refusal(error: GatewayError): readonly Uint8Array<ArrayBuffer>[] | null {
    if (this.#cursor === Infinity) return null;
    this.#cursor = Infinity;
    const frames = new Frames();
    frames.pushText(errorEvent(this.request.inbound.surface, detailOf(error)));
    return frames.take();
  }

  #finish(end: FlightEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#unboard();
    this.#ended(this, end);
  }

  #unboard(): void {
    this.request.signal.removeEventListener("abort", this.#gone);
    this.#source?.leave(this);
  }
}
