/**
 * A log on a disk that loses power, fills up and fails, played by a seed: a few of
 * them for the unit test, many for the long one.
 *
 * @module
 */
import assert from "node:assert/strict";
import { KvError } from "../errors.ts";
import type { LogRecord } from "../ports.ts";
import { openTestLog, randomOf, recordOf, type TestLog } from "./log_fixture.ts";
import { MemoryDisk } from "./memory_disk_fixture.ts";

const LIVES = 4;

/**
 * Four lives of a log, each ended by a power cut or a kill, with everything drawn
 * from the seed. After each, all that was acknowledged must be there, and nothing
 * that was not appended, or was refused for want of room.
 */
export async function playPowerCuts(seed: number): Promise<void> {
  const play = new PowerCutPlay(seed);
  for (let life = 1; life <= LIVES; life++) await play.live(life);
}

class PowerCutPlay {
  readonly #seed: number;
  readonly #random: () => number;
  readonly #segmentBytes: number;
  #disk = new MemoryDisk();
  /** What may be in the log, by index from 1 on. */
  #truth: LogRecord[] = [];
  #acknowledged = 0;
  /** Records up to here may be cut off at the front. */
  #needed = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = randomOf(seed);
    this.#segmentBytes = 1024 << this.#below(3);
  }

  async live(life: number): Promise<void> {
    while (this.#random() < 0.3) await this.#openInVain();
    const disk = this.#disk;
    const opened = await openTestLog(disk, { segmentBytes: this.#segmentBytes });
    this.#check(opened);
    disk.beforeSync = () => this.#pause(30);
    if (this.#random() < 0.2) {
      disk.capacityBytes = disk.usedBytes + this.#below(4 * this.#segmentBytes);
    }
    const failing = this.#random() < 0.1 ? 0.1 : 0;
    disk.fault = (operation) => operation === "write" && this.#random() < failing ? "full" : null;
    const isFaulty = failing > 0 || disk.capacityBytes < Infinity;
    let isOver = false;
    for (let step = this.#below(25); step > 0 && !isOver; step--) {
      isOver = await this.#append(opened, life, isFaulty);
      await this.#pause(40);
      if (this.#random() < 0.15) this.#cut(opened);
    }
    this.#end();
    if (failing === 0) assert.deepEqual(opened.fatal, [], this.#place);
    disk.capacityBytes = Infinity;
    await opened.log.close();
  }

  get #place(): string {
    return `seed ${this.#seed}`;
  }

  /** The power goes while the log is opened. */
  async #openInVain(): Promise<void> {
    const disk = this.#disk;
    disk.beforeSync = () => this.#pause(8);
    const opening = openTestLog(disk, { segmentBytes: this.#segmentBytes });
    await this.#pause(60);
    this.#end();
    await (await opening).log.close();
  }

  #check({ replayed }: TestLog): void {
    const first = replayed[0]?.index ?? this.#needed + 1;
    const last = first - 1 + replayed.length;
    assert.ok(first <= this.#needed + 1, `${this.#place}: ${first} is above ${this.#needed} + 1`);
    assert.ok(last >= this.#acknowledged, `${this.#place}: ${last} of ${this.#acknowledged}`);
    assert.deepEqual(replayed, this.#truth.slice(first - 1, last), this.#place);
    this.#truth = this.#truth.slice(0, last);
    this.#acknowledged = last;
  }

  /** Appends up to four records; says whether nothing may be appended behind them. */
  async #append({ log }: TestLog, life: number, isFaulty: boolean): Promise<boolean> {
    const before = this.#truth.length;
    const longest = this.#random() < 0.1 ? this.#segmentBytes / 2 : 80;
    for (let count = 1 + this.#below(4); count > 0; count--) {
      const record = recordOf(this.#truth.length + 1, this.#below(longest));
      this.#truth.push({ ...record, term: life });
    }
    const disk = this.#disk;
    const last = this.#truth.length;
    const outcome = log.append(this.#truth.slice(before)).then(() => {
      // What is told after the end of this life is told to nobody.
      if (disk === this.#disk) this.#acknowledged = Math.max(this.#acknowledged, last);
      return null;
    }, (error: unknown) => error);
    // Behind a refused append nothing may be added, so it is waited for where one may be.
    if (!isFaulty && this.#random() > 0.3) return false;
    const error = await outcome;
    if (error === null) return false;
    assert.ok(error instanceof KvError && isFaulty, this.#place);
    if (error.code === "disk_full") this.#truth.splice(before);
    return true;
  }

  #cut({ log }: TestLog): void {
    this.#needed = Math.max(this.#needed, this.#below(this.#acknowledged + 1));
    log.cut(new Map([[1, this.#needed]])).catch(() => {});
  }

  /** A power cut, or a process that is killed. */
  #end(): void {
    const isKilled = this.#random() < 0.2;
    this.#disk = isKilled ? this.#disk.copy() : this.#disk.cutPower(() => this.#random() < 0.5);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** Lets others run for up to so many turns. */
  async #pause(turnsMax: number): Promise<void> {
    for (let turns = this.#below(turnsMax); turns > 0; turns--) await undefined;
  }
}
