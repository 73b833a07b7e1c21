/**
 * A request in progress that several clients share: one upstream call, many readers.
 *
 *     seeking --entry--> found
 *        |
 *      asking --refused--> handed over to a follower, once; then each goes alone
 *        |
 *     streaming --end--> ended --break--> broken: everybody sees it
 *
 * The events that have come are the buffer; each client reads them at its own
 * cursor. The fastest one drives the backend. The leader is only a role: when its
 * client leaves, the flight goes on while anybody listens, and the last one out
 * cancels the upstream call at once.
 *
 * @module
 */
import type { Recorded } from "../cache/answer/recorder.ts";
import { recordAnswer, StreamRecorder } from "../cache/answer/recorder.ts";
import type { CachedSurface, JsonObject } from "../cache/types.ts";
import { GatewayError } from "../errors.ts";
import type { Departure, Reply, StreamSource } from "../ports.ts";
import { BackendReply } from "../relay/outcome.ts";
import { EventScanner, type SseEvent } from "../stream/sse.ts";
import type { FlightClient, FlightFrame, FlightSource } from "./flight_client.ts";
import type { Found } from "./found.ts";

/** How large a flight may become. */
export interface FlightLimits {
  /** Clients besides the first. */
  readonly followersMax: number;
  /** Bytes that are held for slow and late clients. */
  readonly bufferBytesMax: number;
  /** Longest event, in bytes. */
  readonly eventBytesMax: number;
  /** Longest answer that is recorded, in bytes. */
  readonly recordBytesMax: number;
}

/** What a flight is made of. */
export interface FlightParts {
  /** The API all its clients speak. */
  readonly surface: CachedSurface;
  /** How large it may become. */
  readonly limits: FlightLimits;
  /** Looks for an answer that is stored somewhere else, or is similar; never rejects. */
  readonly seek: () => Promise<Found | null>;
  /** Asks a backend on behalf of a client. */
  readonly ask: (client: FlightClient, signal: Departure) => Promise<Reply>;
  /** Told once what a complete answer holds. */
  readonly recorded: (recorded: Recorded) => void;
  /** Told once when nobody can join any more. */
  readonly closed: () => void;
  /** Told when a follower takes over. */
  readonly handedOver: () => void;
}

const decoder = new TextDecoder();

/** One shared request. */
export class Flight implements FlightSource {
  readonly #parts: FlightParts;
  readonly #clients: FlightClient[] = [];
  #abort: AbortController | null = null;
  #leader: FlightClient | null = null;
  #handovers = 0;
  #joinable = true;
  #over = false;
  #source: StreamSource | null = null;
  #reply: Reply | null = null;
  #pulling = false;
  #ending: "clean" | "abnormal" | null = null;
  readonly #frames: FlightFrame[] = [];
  #firstFrame = 0;
  #heldBytes = 0;
  #scanner: EventScanner | null = null;
  #recorder: StreamRecorder | null = null;
  readonly #onEvent = (event: SseEvent): void => this.#take(event);

  /** Takes its parts; {@linkcode depart} starts it. */
  constructor(parts: FlightParts) {
    this.#parts = parts;
  }

  /** Whether another client may join. */
  get joinable(): boolean {
    return this.#joinable && this.#clients.length <= this.#parts.limits.followersMax;
  }

  /** Clients that wait or read. */
  get clients(): number {
    return this.#clients.length;
  }

  /** One more than the number of the last event so far. */
  get endFrame(): number {
    return this.#firstFrame + this.#frames.length;
  }

  /** How the stream ended, if it did. */
  get ending(): "clean" | "abnormal" | null {
    return this.#ending;
  }

  /** The event of a number. */
  frame(number: number): FlightFrame {
    const frame = this.#frames[number - this.#firstFrame];
    if (frame === undefined) throw new RangeError(`Cannot read event ${number}: it is not held`);
    return frame;
  }

  /** Starts with its first client. */
  depart(leader: FlightClient): void {
    this.join(leader);
    this.#parts.seek().then((found) => this.#sought(found));
  }

  /** Takes another client, at any stage while {@linkcode joinable}. */
  join(client: FlightClient): void {
    this.#clients.push(client);
    client.board(this);
    if (this.#source !== null) this.#begin(client);
    this.drive();
  }

  /** A client is done, or gone; the last one out ends the upstream call. */
  leave(client: FlightClient): void {
    const at = this.#clients.indexOf(client);
    if (at < 0) return;
    this.#clients.splice(at, 1);
    if (this.#clients.length > 0) return this.drive();
    if (this.#ending !== null || this.#over) return;
    this.#close();
    this.#over = true;
    this.#abort?.abort();
    this.#source?.cancel();
  }

  /** Reads on if anybody waits for more, or wants the whole. */
  drive(): void {
    const source = this.#source;
    if (source === null || this.#pulling || this.#ending !== null || this.#over) return;
    if (!this.#clients.some((client) => client.thirsty || !client.request.inbound.stream)) return;
    this.#pulling = true;
    source.pull().then((pieces) => this.#pulled(pieces), () => this.#broke());
  }

  #sought(found: Found | null): void {
    if (this.#over) return;
    if (found === null) return this.#ask();
    this.#close();
    this.#over = true;
    this.#settleAll(() => ({ type: "found", found }));
  }

  /** The next client leads. */
  #ask(): void {
    const [leader] = this.#clients;
    if (leader === undefined) return;
    this.#leader = leader;
    leader.leads = true;
    const abort = new AbortController();
    this.#abort = abort;
    this.#parts.ask(leader, abort.signal).then(
      (reply) => this.#answered(reply),
      (error) => this.#refused(error),
    );
  }

  #answered(reply: Reply): void {
    if (this.#over) return;
    const { body } = reply;
    this.#reply = reply;
    if (typeof body === "string" || body === null || body instanceof Uint8Array) {
      return this.#whole(reply, body ?? "");
    }
    const { surface, limits } = this.#parts;
    this.#source = body;
    this.#scanner = new EventScanner({ eventBytesMax: limits.eventBytesMax });
    this.#recorder = new StreamRecorder(surface, { bytesMax: limits.recordBytesMax });
    for (const client of [...this.#clients]) this.#begin(client);
    this.drive();
  }

  /** A client that wants a stream gets one; others wait for the end. */
  #begin(client: FlightClient): void {
    const reply = this.#reply;
    if (reply === null || !client.request.inbound.stream) return;
    client.settle({ type: "live", reply: { ...reply, body: client } });
  }

  #whole(reply: Reply, body: string | Uint8Array<ArrayBuffer>): void {
    this.#close();
    this.#over = true;
    const recorded = this.#readWhole(typeof body === "string" ? body : decoder.decode(body));
    this.#settleAll((client) => {
      if (!client.request.inbound.stream) return { type: "live", reply };
      return "record" in recorded
        ? { type: "recorded", record: recorded.record }
        : { type: "alone" };
    });
    this.#parts.recorded(recorded);
  }

  #readWhole(text: string): Recorded {
    const { surface, limits } = this.#parts;
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return { refused: "unreadable" };
    }
    if (typeof json !== "object" || json === null) return { refused: "unreadable" };
    return recordAnswer(surface, json as JsonObject, { bytesMax: limits.recordBytesMax });
  }

  /** No answer began. What the request itself is to blame for is everybody's. */
  #refused(error: unknown): void {
    if (this.#over) return;
    const leader = this.#leader;
    if (isRequestsFault(error)) {
      this.#close();
      this.#over = true;
      for (const client of [...this.#clients]) client.reject(error);
      return;
    }
    // Its part ends first, so that the next in line is another.
    leader?.reject(error);
    if (this.#clients.length === 0) {
      this.#close();
      this.#over = true;
    } else if (this.#handovers === 0) {
      this.#handovers++;
      this.#parts.handedOver();
      this.#ask();
    } else {
      this.#close();
      this.#over = true;
      this.#settleAll(() => ({ type: "alone" }));
    }
  }

  #pulled(pieces: readonly Uint8Array<ArrayBuffer>[] | null): void {
    this.#pulling = false;
    if (this.#over) return;
    if (pieces === null) return this.#ended();
    for (const piece of pieces) this.#scanner?.push(piece, this.#onEvent);
    this.#supply();
    this.#bound();
    this.drive();
  }

  #take(event: SseEvent): void {
    const usageOnly = event.data !== null &&
      (this.#recorder?.push(event.event, event.data) ?? false);
    this.#frames.push({ bytes: event.raw, usageOnly });
    this.#heldBytes += event.raw.byteLength;
  }

  #ended(): void {
    this.#ending = "clean";
    this.#close();
    const recorded = this.#recorder?.finish() ?? { refused: "incomplete" as const };
    this.#supply();
    // Who waits for the whole has been sent nothing: it gets the record, or asks for itself.
    this.#settleAll(
      () =>
        "record" in recorded ? { type: "recorded", record: recorded.record } : { type: "alone" },
      (client) => !client.request.inbound.stream,
    );
    this.#parts.recorded(recorded);
  }

  /** The stream broke after it had begun: who reads it sees it break. */
  #broke(): void {
    this.#pulling = false;
    if (this.#over) return;
    this.#ending = "abnormal";
    this.#close();
    this.#supply();
    this.#settleAll(() => ({ type: "alone" }), (client) => !client.request.inbound.stream);
  }

  #supply(): void {
    for (const client of [...this.#clients]) client.supply();
  }

  /** Over the bound nobody may join, what all have read goes, and who is too slow is cut off. */
  #bound(): void {
    const { bufferBytesMax } = this.#parts.limits;
    if (this.#heldBytes <= bufferBytesMax) return;
    this.#close();
    this.#trim();
    // Who waits for the whole drives on, however far behind all readers are.
    const drivesOn = this.#clients.some((client) => !client.request.inbound.stream);
    while (this.#heldBytes > bufferBytesMax) {
      const slowest = this.#readers().toSorted((one, other) => one.cursor - other.cursor)[0];
      if (slowest === undefined) return;
      if (!drivesOn && this.#readers().every(({ cursor }) => cursor === slowest.cursor)) return;
      slowest.fallBehind(bufferBytesMax);
      this.leave(slowest);
      this.#trim();
    }
  }

  #readers(): FlightClient[] {
    return this.#clients.filter((client) => client.request.inbound.stream);
  }

  #trim(): void {
    const least = Math.min(this.endFrame, ...this.#readers().map((reader) => reader.cursor));
    const gone = this.#frames.splice(0, least - this.#firstFrame);
    this.#firstFrame = least;
    for (const frame of gone) this.#heldBytes -= frame.bytes.byteLength;
  }

  #settleAll(
    outcomeOf: (client: FlightClient) => Parameters<FlightClient["settle"]>[0],
    chosen: (client: FlightClient) => boolean = () => true,
  ): void {
    for (const client of this.#clients.filter(chosen)) client.settle(outcomeOf(client));
  }

  #close(): void {
    if (!this.#joinable) return;
    this.#joinable = false;
    this.#parts.closed();
  }
}

/** A request that one backend refuses as wrong is wrong for everybody who sent the same. */
function isRequestsFault(error: unknown): boolean {
  const status = error instanceof BackendReply
    ? error.detail.status
    : error instanceof GatewayError
    ? error.status
    : 500;
  return status === 400 || status === 404 || status === 413 || status === 422;
}
