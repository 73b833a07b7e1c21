/**
 * Consumers that wait for messages, in the order in which they came.
 *
 * What there is, is dealt like cards: one message to each in turn, the longest
 * waiting first, until there are no more or nobody has room. So a consumer that
 * asks for hundreds does not starve those beside it.
 *
 * @module
 */

/** Somebody who waits. */
export interface Consumer {
  /** Its name, unique among those who wait. */
  readonly id: number;
  /** The most messages at once. */
  readonly messagesMax: number;
  /** For how long it wants to have them, in milliseconds. */
  readonly leaseMs: number;
  /** How long it waits, on the steady clock. */
  readonly untilMs: number;
}

/** What a consumer is dealt. */
export class Hand<T> {
  /** Who. */
  readonly consumer: Consumer;
  /** What it got. */
  readonly items: T[] = [];
  /** Bytes of it. */
  sizeBytes = 0;

  /** An empty hand. */
  constructor(consumer: Consumer) {
    this.consumer = consumer;
  }
}

/** The consumers that wait. */
export class WaitingLine {
  readonly #consumers = new Map<number, Consumer>();

  /** How many wait. */
  get size(): number {
    return this.#consumers.size;
  }

  /** When the first of them stops waiting; `null` if nobody waits. */
  get nextEndMs(): number | null {
    let next: number | null = null;
    for (const { untilMs } of this.#consumers.values()) {
      if (next === null || untilMs < next) next = untilMs;
    }
    return next;
  }

  /** Lets one in, at the end. */
  add(consumer: Consumer): void {
    this.#consumers.set(consumer.id, consumer);
  }

  /** Lets one go; returns whether it waited. */
  remove(id: number): boolean {
    return this.#consumers.delete(id);
  }

  /** Lets go those who have waited long enough. */
  takeOver(nowMs: number): number[] {
    const over: number[] = [];
    for (const { id, untilMs } of this.#consumers.values()) if (untilMs <= nowMs) over.push(id);
    for (const id of over) this.#consumers.delete(id);
    return over;
  }

  /** A deal to the `most` who wait longest: so many messages are enough for no more of them. */
  deal<T>(most: number, answerBytesMax: number): Deal<T> {
    const consumers: Consumer[] = [];
    for (const consumer of this.#consumers.values()) {
      if (consumers.length >= most) break;
      consumers.push(consumer);
    }
    return new Deal(consumers, answerBytesMax);
  }

  /** How many messages all who wait would take, at most `most`. */
  room(most: number): number {
    let room = 0;
    for (const { messagesMax } of this.#consumers.values()) {
      room += messagesMax;
      if (room >= most) return most;
    }
    return room;
  }
}

/** Deals to several consumers in turn. */
export class Deal<T> {
  readonly #hands: readonly Hand<T>[];
  readonly #answerBytesMax: number;
  #next = 0;

  /** Begins with the first of them. */
  constructor(consumers: readonly Consumer[], answerBytesMax: number) {
    this.#hands = consumers.map((consumer) => new Hand(consumer));
    this.#answerBytesMax = answerBytesMax;
  }

  /** Hands that hold something. */
  get hands(): readonly Hand<T>[] {
    return this.#hands.filter(({ items }) => items.length > 0);
  }

  /** The next hand that has room for so many bytes; `null` if none has. */
  next(sizeBytes: number): Hand<T> | null {
    for (let tries = this.#hands.length; tries > 0; tries--) {
      const hand = this.#hands[this.#next];
      this.#next = (this.#next + 1) % this.#hands.length;
      if (hand === undefined) break;
      const { items, consumer } = hand;
      if (items.length === 0) return hand;
      const hasRoom = hand.sizeBytes + sizeBytes <= this.#answerBytesMax;
      if (hasRoom && items.length < consumer.messagesMax) return hand;
    }
    return null;
  }
}
