/**
 * A queue in a soak: messages that are handled at once, that fail first, and that
 * fail until they are dead letters; each is delivered at least once, or dead.
 *
 * @module
 */
import { openQueue, type QueueClient, type Store } from "../../kv_node/compat/mod.ts";
import type { KillableNode } from "./kv_killable_node.ts";
import { complaintAboutValue, drawSize, type SoakValue, soakValue } from "./kv_soak_values.ts";
import { ANY_TOKEN, openClient, pause, type SoakWorld } from "./kv_soak_world.ts";
import type { Random } from "./random.ts";

type Kind = "plain" | "flaky" | "doomed";

interface Message {
  readonly kind: Kind;
  deliveries: number;
  /** Whether its enqueue was acknowledged; without that it need not be there. */
  isAcked: boolean;
}

type MessageValue = SoakValue & { readonly kind: Kind };

const KINDS: readonly Kind[] = ["plain", "plain", "plain", "plain", "plain", "flaky", "doomed"];
const BACKOFF_MS = [100, 400];
const DELAY_MS_MAX = 3_000;
const WORK_MS_MAX = 30;
const LISTENERS = 2;
const CONCURRENCY = 5;
/** Bytes of a message stay below what may be sent in one commit with the rest. */
const SIZE_SHIFT = 1;
/** Messages that are done and may come again, by the rule of at least once. */
const DONE_KEPT = 20_000;
const MAIL_PLACES = 50;

/** The queue of one database, with its producers and consumers. */
export class SoakQueue {
  /** Deliveries of messages that were done already. */
  repeated = 0;
  /** Messages that are done. */
  done = 0;
  /** Dead letters that were found and taken away. */
  dead = 0;
  readonly #world: SoakWorld;
  readonly #name: string;
  readonly #random: Random;
  readonly #producer: QueueClient;
  readonly #consumers: readonly QueueClient[];
  readonly #store: Store;
  readonly #messages = new Map<number, Message>();
  readonly #doneLately = new Set<number>();
  readonly #mail = new Map<number, number | undefined>();
  #count = 0;

  private constructor(
    world: SoakWorld,
    name: string,
    random: Random,
    clients: {
      readonly producer: QueueClient;
      readonly consumers: readonly QueueClient[];
      readonly store: Store;
    },
  ) {
    this.#world = world;
    this.#name = name;
    this.#random = random;
    this.#producer = clients.producer;
    this.#consumers = clients.consumers;
    this.#store = clients.store;
  }

  /** Opens the queue of a database and begins to listen. */
  static async open(
    world: SoakWorld,
    node: KillableNode,
    database: string,
    random: Random,
  ): Promise<SoakQueue> {
    const open = () => openQueue(`${node.url}/${database}`, { token: ANY_TOKEN });
    const queue = new SoakQueue(world, database, random, {
      producer: await open(),
      consumers: await Promise.all(Array.from({ length: LISTENERS }, open)),
      store: await openClient("weir", node, database),
    });
    for (const consumer of queue.#consumers) void queue.#listen(consumer);
    return queue;
  }

  /** Acknowledged messages that were not delivered as they have to be. */
  get outstanding(): number {
    let count = 0;
    for (const { isAcked } of this.#messages.values()) if (isAcked) count++;
    return count;
  }

  /** Enqueues a message: alone, or with a key in the same commit. */
  async step(): Promise<void> {
    const n = ++this.#count;
    const kind = this.#random.of(KINDS);
    const size = drawSize(this.#random) >> SIZE_SHIFT;
    const message: Message = { kind, deliveries: 0, isAcked: false };
    this.#messages.set(n, message);
    const { floor } = this.#world;
    const atomic = this.#producer.atomic().enqueue(
      { ...soakValue(n, this.#name, size), kind },
      {
        delay: this.#random.below(2) * this.#random.below(DELAY_MS_MAX),
        backoffSchedule: BACKOFF_MS,
        ...(kind === "doomed" ? { keysIfUndelivered: [undeliveredKey(n)] } : {}),
      },
    );
    const place = this.#random.below(2 * MAIL_PLACES);
    if (place < MAIL_PLACES) {
      atomic.set(["mail", place], n);
      this.#mail.set(place, undefined);
    }
    const done = await this.#world.attempt("enqueue", () => atomic.commit());
    if (done === null) return;
    if (!done.value.ok) return this.#world.complain("an enqueue without a check conflicted");
    this.#world.committed(floor, done.value.versionstamp);
    if (done.value.ids.length !== 1) this.#world.complain("an enqueue does not name its message");
    message.isAcked = true;
    if (place < MAIL_PLACES) this.#mail.set(place, n);
  }

  /** Takes dead letters away, with the keys that they were written to. */
  async bury(): Promise<void> {
    await this.#world.attempt("dead letters", async () => {
      for (const letter of await Array.fromAsync(this.#producer.dead())) {
        const value = letter.value as MessageValue;
        const { n } = value;
        const message = this.#messages.get(n);
        if (message === undefined) {
          // An enqueue whose answer was lost is sent again, and may be there twice.
          if (this.#world.outages === 0) this.#complain(n, "is dead, and was done or never sent");
        } else if (message.kind !== "doomed") {
          this.#complain(n, `is a dead letter after ${letter.attempts} attempts`);
        } else if (message.deliveries < letter.attempts) {
          this.#complain(
            n,
            `is dead after ${letter.attempts} attempts, ${message.deliveries} came`,
          );
        }
        const complaint = complaintAboutValue(value, this.#name);
        if (complaint !== null) this.#complain(n, complaint);
        const kept = await this.#store.get(undeliveredKey(n));
        const keptComplaint = complaintAboutValue(kept.value, this.#name);
        if (message !== undefined && keptComplaint !== null) {
          this.#complain(n, `was not kept under its key: ${keptComplaint}`);
        }
        await this.#store.delete(undeliveredKey(n));
        const [isDeleted] = await this.#producer.deleteDead([letter.id]);
        if (isDeleted !== true) this.#complain(n, "could not be deleted from the dead letters");
        this.#messages.delete(n);
        this.dead++;
      }
    });
  }

  /** Sees that nothing is left, and that keys written with messages are there; their number. */
  async audit(): Promise<number> {
    for (const [n, { kind, deliveries, isAcked }] of this.#messages) {
      if (!isAcked) continue;
      this.#complain(n, `(${kind}) is lost: ${deliveries} deliveries, and no dead letter`);
    }
    const { due, delayed, leased, dead } = await this.#producer.stats();
    if (due + delayed + leased + dead > 0) {
      const found = JSON.stringify({ due, delayed, leased, dead });
      this.#world.complain(`the queue of ${this.#name} is not empty: ${found}`);
    }
    let found = 0;
    for (const [place, n] of this.#mail) {
      const { value, versionstamp } = await this.#store.get(["mail", place]);
      if (versionstamp !== null) found++;
      if (n === undefined || value === n) continue;
      this.#world.complain(`${this.#name}: mail ${place} is of ${value}, acknowledged was ${n}`);
    }
    return found;
  }

  /** Ends listening. */
  async stop(): Promise<void> {
    for (const consumer of this.#consumers) await consumer[Symbol.asyncDispose]();
    this.#producer.close();
    this.#store.close();
  }

  async #listen(consumer: QueueClient): Promise<void> {
    try {
      await consumer.listen((value, { attempt, attemptsMax }) => {
        return this.#handle(value as MessageValue, attempt, attemptsMax);
      }, { concurrency: CONCURRENCY });
    } catch (error) {
      this.#world.complain(`listening to ${this.#name} failed: ${String(error)}`);
    }
  }

  async #handle(value: MessageValue, attempt: number, attemptsMax: number): Promise<void> {
    const { n } = value;
    const message = this.#messages.get(n);
    const complaint = complaintAboutValue(value, this.#name);
    if (complaint !== null) this.#complain(n, complaint);
    if (message === undefined) {
      // It was done, and that could not be said, or was lost with a killed node.
      if (this.#doneLately.has(n)) this.repeated++;
      else if (this.#world.outages === 0) this.#complain(n, "was never sent");
      return;
    }
    message.deliveries++;
    if (attemptsMax !== BACKOFF_MS.length + 1 || attempt > attemptsMax) {
      this.#complain(n, `is at attempt ${attempt} of ${attemptsMax}`);
    }
    await pause(n % WORK_MS_MAX);
    const isToFail = message.kind === "doomed" || (message.kind === "flaky" && attempt === 1);
    if (isToFail) throw new Error(`Cannot handle message ${n} at attempt ${attempt}`);
    this.#messages.delete(n);
    this.#doneLately.add(n);
    if (this.#doneLately.size > DONE_KEPT) {
      for (const oldest of this.#doneLately) {
        this.#doneLately.delete(oldest);
        break;
      }
    }
    this.done++;
  }

  #complain(n: number, text: string): void {
    this.#world.complain(`message ${n} of ${this.#name} ${text}`);
  }
}

function undeliveredKey(n: number): readonly [string, number] {
  return ["undelivered", n];
}
