/**
 * Crowds of connections that cost a server memory and its clients nothing: silent
 * ones, and ones that drip a byte now and then.
 *
 * @module
 */
import { RawClient } from "../../src/runtime/http_server_fixture.ts";

/** How often a dripping connection sends a piece, in milliseconds. */
const DRIP_MS = 400;
/** Connections that are made at once: more would overflow the queue of a listener. */
const DIALS_AT_ONCE = 200;

/** Connections that are open together. */
export class Crowd implements Disposable {
  readonly #clients: RawClient[] = [];
  readonly #timers: ReturnType<typeof setInterval>[] = [];

  /** Connects so many that say nothing; gives them. */
  async silent(port: number, count: number): Promise<readonly RawClient[]> {
    const clients: RawClient[] = [];
    while (clients.length < count) {
      const length = Math.min(DIALS_AT_ONCE, count - clients.length);
      clients.push(...await Promise.all(Array.from({ length }, () => RawClient.connect(port))));
    }
    this.#clients.push(...clients);
    return clients;
  }

  /**
   * Connects so many that say `first` and then drip `piece(turn)` until the server ends it.
   *
   * @returns What each was told.
   */
  async drip(
    port: number,
    count: number,
    first: string | Uint8Array,
    piece: (turn: number) => string | Uint8Array,
  ): Promise<readonly string[]> {
    const clients = await this.silent(port, count);
    return await Promise.all(clients.map(async (client) => {
      await client.send(first);
      this.keepDripping((turn) => client.send(piece(turn)), () => client.ended === "no");
      return await client.rest();
    }));
  }

  /** Calls `send` now and then, as long as it is wanted. */
  keepDripping(send: (turn: number) => Promise<void>, isWanted: () => boolean): void {
    let turn = 0;
    const timer = setInterval(() => {
      // It fails where this side has hung up meanwhile.
      if (isWanted()) send(turn++).catch(() => clearInterval(timer));
      else clearInterval(timer);
    }, DRIP_MS);
    this.#timers.push(timer);
  }

  /** Hangs up, all of them. */
  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const client of this.#clients) client.close();
  }
}
