/**
 * A node on a simulated disk, its clients, and everything that can happen to them.
 *
 * A run is a few lives of the node. Each begins with opening what the last one
 * left, and ends by a power cut, a kill, in order, or because the node gave up.
 * After each opening, what the node holds must agree with all that its clients
 * were ever told.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Disk, DiskError, type DiskFile } from "../../kv_node/ports.ts";
import { SimDisk } from "../support/sim_disk.ts";
import { SteppedTime } from "../support/stepped_time.ts";
import { randomFrom } from "./harness.ts";
import { KvHistory } from "./kv_history.ts";
import { KvLife, type KvPlant } from "./kv_life.ts";
import { KvWorkload } from "./kv_workload.ts";

/** What happened in runs, to see that everything did. */
export interface KvFigures {
  readonly lives: number;
  readonly powerCuts: number;
  readonly kills: number;
  readonly closes: number;
  readonly cutOpenings: number;
  readonly fatal: number;
  readonly rotReported: number;
  readonly rotHarmless: number;
  readonly failedReads: number;
  readonly commits: number;
  readonly surfaced: number;
  readonly refused: number;
}

interface LogWrite {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const WALL_MS = 1_760_000_000_000;
const STEPS_MAX = 20_000;
/** One batch may be unsynced, and one more cannot be told from it: see `wal/recovery.ts`. */
const UNPROVEN_WRITES = 3;

/** One seeded run. */
export class KvWorld {
  readonly #plant: KvPlant | null;
  readonly #chance: KvWorkload;
  readonly #clients: KvWorkload;
  readonly #time = new SteppedTime(WALL_MS);
  readonly #history = new KvHistory(this.#time);
  readonly #segmentBytes: number;
  readonly #logWrites: LogWrite[] = [];
  #disk: SimDisk;
  #term = 0;
  /** Rises with every life, so that what belongs to an earlier one is known. */
  #life = 0;
  #inFlight = 0;
  #fatal: unknown = null;
  #lastRefusal: unknown = null;
  readonly #figures = {
    ...{ lives: 0, powerCuts: 0, kills: 0, closes: 0, cutOpenings: 0, fatal: 0, rotReported: 0 },
    ...{ rotHarmless: 0, failedReads: 0, commits: 0, surfaced: 0, refused: 0 },
  };

  /** A run of this seed, with a bug if `plant` is one. */
  constructor(seed: number, plant: KvPlant | null) {
    this.#plant = plant;
    this.#chance = new KvWorkload(randomFrom(seed));
    this.#clients = new KvWorkload(randomFrom(seed + 1_000_000));
    this.#segmentBytes = 2_048 << this.#chance.below(3);
    const isSlow = this.#chance.happens(0.2);
    const syncMs = (random: () => number): number =>
      random() < 0.05 ? 60 * random() : (isSlow ? 10 : 2) * random();
    const random = randomFrom(seed + 2_000_000);
    this.#disk = new SimDisk({ random, clock: this.#time, syncMs });
  }

  /** Runs it; throws if anything is wrong. */
  async run(): Promise<KvFigures> {
    const lives = 2 + this.#chance.below(6);
    for (let life = 0; life < lives; life++) await this.#live(await this.#open());
    await this.#finish(await this.#open());
    this.#figures.commits = this.#history.committed;
    this.#figures.surfaced = this.#history.surfaced;
    return this.#figures;
  }

  /** Opens the node, through crashes and faults, and looks at what it holds. */
  async #open(): Promise<KvLife> {
    this.#figures.lives++;
    if (this.#chance.happens(0.15)) await this.#openRotten();
    if (this.#chance.happens(0.05)) await this.#openUnreadable();
    while (this.#chance.happens(0.25)) {
      this.#disk.crashIn(this.#chance.below(12), () => {});
      const life = await this.#attempt();
      if (life instanceof KvLife) return this.#settled(life);
      if (!this.#disk.isDead) throw life;
      this.#figures.cutOpenings++;
      this.#disk = this.#chance.happens(0.6) ? this.#cutPower() : this.#kill();
    }
    const life = await this.#attempt();
    if (life instanceof KvLife) return this.#settled(life);
    throw new Error("Node does not open after a crash that lost only unsynced data", {
      cause: life,
    });
  }

  #settled(life: KvLife): KvLife {
    this.#history.settle(life.read());
    return life;
  }

  /** Tries to open it once: the life, or what was thrown, or `null` if the power went off. */
  async #attempt(): Promise<unknown> {
    const disk = this.#disk;
    const life = ++this.#life;
    this.#fatal = null;
    this.#inFlight = 0;
    let result: unknown = null;
    let isDone = false;
    KvLife.open({
      disk: noting(disk, this.#logWrites),
      time: this.#time,
      term: ++this.#term,
      segmentBytes: this.#segmentBytes,
      plant: this.#plant,
      onFatal: (error) => {
        if (life === this.#life) this.#fatal ??= error;
      },
    }).then((opened) => result = opened, (error) => result = error).finally(() => isDone = true);
    await this.#time.runUntil(() => isDone || disk.isDead, STEPS_MAX);
    return disk.isDead ? null : result;
  }

  /** Flips a bit in what is safely on disk: the node must name the file, or not need it. */
  async #openRotten(): Promise<void> {
    const names = this.#disk.list();
    const name = names[this.#chance.below(names.length)];
    if (name === undefined || !this.#disk.isDurable(name)) return;
    const size = this.#disk.open(name, "read").size();
    const [offset, bit] = [this.#chance.below(size), this.#chance.below(8)];
    if (size === 0 || this.#isUnproven(name, offset)) return;
    this.#disk.rot(name, offset, bit);
    const life = await this.#attempt();
    if (life instanceof KvLife) {
      this.#figures.rotHarmless++;
      this.#settled(life);
      this.#disk = this.#disk.restart();
      return;
    }
    assert.ok(life instanceof Error, String(life));
    assert.ok(life.message.includes(name), `bit rot in ${name} is reported as: ${life.message}`);
    this.#figures.rotReported++;
    this.#disk = this.#disk.restart();
    this.#disk.rot(name, offset, bit);
  }

  #isUnproven(name: string, offset: number): boolean {
    return this.#logWrites.slice(-UNPROVEN_WRITES)
      .some((write) => write.name === name && write.start <= offset && offset < write.end);
  }

  /** A read fails: the node must not open as if there were nothing. */
  async #openUnreadable(): Promise<void> {
    this.#disk.inject({ operation: "read", kind: "io", after: this.#chance.below(6) });
    const life = await this.#attempt();
    if (life instanceof KvLife) {
      assert.ok(!this.#disk.hasFailed, "a read has failed, and the node serves");
      this.#settled(life);
    } else {
      assert.ok(life instanceof DiskError, `a failed read is reported as ${life}`);
      this.#figures.failedReads++;
    }
    this.#disk = this.#disk.restart();
  }

  /** Lets clients work until the life ends, one way or another. */
  async #live(life: KvLife): Promise<void> {
    const disk = this.#disk;
    // Short lives with large batches, whose rests a later batch may fit into.
    const { isUniform } = this.#clients;
    const clients = (isUniform ? 4 : 1) + this.#chance.below(5);
    let working = clients;
    for (let i = 0; i < clients; i++) {
      this.#work(life, 1 + this.#chance.below(12)).finally(() => working--);
    }
    this.#keep(life);
    this.#disturb(life);
    if (this.#chance.happens(isUniform ? 0.8 : 0.4)) {
      disk.crashIn(this.#chance.below(isUniform ? 12 : 60), () => {});
    }
    const endMs = this.#time.nowMs() + this.#chance.below(150);
    this.#time.after(endMs - this.#time.nowMs(), () => {});
    await this.#time.runUntil(
      () =>
        disk.isDead || this.#fatal !== null || this.#time.nowMs() >= endMs ||
        (working === 0 && this.#chance.happens(0.05)),
      STEPS_MAX,
    );
    await this.#end(life);
    // The machine is away for a while, and its clock may have been set.
    await this.#time.settle(this.#time.sleep(this.#chance.below(200)), STEPS_MAX);
    if (this.#chance.happens(0.1)) this.#time.wallOffsetMs += this.#chance.below(4_000) - 2_000;
  }

  async #end(life: KvLife): Promise<void> {
    const disk = this.#disk;
    if (this.#fatal !== null && !disk.isDead) this.#figures.fatal++;
    if (!disk.isDead && this.#fatal === null && this.#chance.happens(0.3)) {
      let isDone = false;
      // An orderly end may fail on a full or failing disk; then it is a kill.
      life.close(this.#chance.happens(0.5)).catch(() => {}).finally(() => isDone = true);
      await this.#time.runUntil(() => isDone || disk.isDead, STEPS_MAX);
      this.#figures.closes++;
    }
    this.#life++;
    this.#disk = this.#chance.happens(0.6) ? this.#cutPower() : this.#kill();
    this.#disk.capacityBytes = Infinity;
  }

  #cutPower(): SimDisk {
    this.#figures.powerCuts++;
    return this.#disk.crash();
  }

  /** The process is gone, the system is not: what was written is there, synced or not. */
  #kill(): SimDisk {
    this.#figures.kills++;
    return this.#disk.restart();
  }

  /** The last life: everything is answered, nothing is lost, and it opens once more. */
  async #finish(life: KvLife): Promise<void> {
    this.#disk.crashIn(Infinity, () => {});
    let working = 1;
    this.#work(life, 5).finally(() => working--);
    await this.#time.runUntil(() => working === 0, STEPS_MAX);
    assert.ok(this.#fatal === null, `a node without faults gave up: ${this.#fatal}`);
    assert.equal(this.#lastRefusal, null, `a node without faults refused: ${this.#lastRefusal}`);
    this.#history.settle(life.read());
    await this.#time.settle(life.close(true), STEPS_MAX);
    this.#disk = this.#disk.crash();
    const again = await this.#attempt();
    assert.ok(again instanceof KvLife, `a node that was closed does not open: ${again}`);
    this.#settled(again);
    this.#life++;
    this.#disk = this.#disk.crash();
  }

  /** A client: asks, waits for the answer, asks again. */
  async #work(life: KvLife, commands: number): Promise<void> {
    const time = this.#time;
    const mine = this.#life;
    const disk = this.#disk;
    const isOver = (): boolean => mine !== this.#life || disk.isDead || this.#fatal !== null;
    for (let left = commands; left > 0; left--) {
      await time.sleep(this.#clients.below(12) - 4);
      if (isOver()) return;
      if (this.#clients.happens(0.3)) this.#history.observe(life.read());
      const operation = this.#history.propose((id) => this.#clients.command(id, time.wallMs()));
      try {
        const outcome = await life.propose(operation.command);
        // What a dead node says is not heard by anybody.
        if (mine !== this.#life || disk.isDead) return;
        this.#history.answer(operation, outcome);
        this.#clients.learn(operation);
        this.#lastRefusal = null;
      } catch (error) {
        if (isOver()) return;
        this.#figures.refused++;
        this.#lastRefusal = error;
      }
      if (this.#clients.happens(0.2)) this.#history.observe(life.read());
    }
  }

  /** Checkpoints, cuts and sweeps now and then. */
  async #keep(life: KvLife): Promise<void> {
    const mine = this.#life;
    const disk = this.#disk;
    for (;;) {
      await this.#time.sleep(2 + this.#chance.below(30));
      if (mine !== this.#life || disk.isDead || this.#fatal !== null) return;
      try {
        if (this.#chance.happens(0.5)) await life.engine.sweep();
        else await life.keeper.keep();
      } catch (error) {
        if (mine !== this.#life || disk.isDead) return;
        if (error instanceof DiskError && error.kind !== "full") this.#fatal ??= error;
      }
    }
  }

  /** Faults: a full disk for a while, a failing sync, a clock that is set. */
  async #disturb(life: KvLife): Promise<void> {
    const mine = this.#life;
    const disk = this.#disk;
    await this.#time.sleep(this.#chance.below(60));
    if (mine !== this.#life || disk.isDead) return;
    const chance = this.#chance.below(100);
    if (chance < 15) {
      disk.capacityBytes = disk.usedBytes + this.#chance.below(2 * this.#segmentBytes);
      life.state.isFull = this.#chance.happens(0.3);
      await this.#time.sleep(this.#chance.below(100));
      disk.capacityBytes = Infinity;
      life.state.isFull = false;
    } else if (chance < 25) {
      const operation = this.#chance.happens(0.7) ? "sync" : "folder_sync";
      disk.inject({ operation, kind: "io", after: this.#chance.below(4) });
    } else if (chance < 30) {
      disk.inject({ operation: "write", kind: "io", after: this.#chance.below(6) });
    } else if (chance < 35) {
      this.#time.wallOffsetMs += this.#chance.below(2_000) - 1_000;
    }
  }
}

/** A disk that notes what is written into the log, zeros left out. */
function noting(disk: Disk, writes: LogWrite[]): Disk {
  return {
    list: () => disk.list(),
    rename: (from, to) => disk.rename(from, to),
    remove: (name) => disk.remove(name),
    sync: () => disk.sync(),
    open: (name, mode): DiskFile => {
      const file = disk.open(name, mode);
      if (mode === "read" || !name.endsWith(".wal")) return file;
      return {
        size: () => file.size(),
        read: (offset, bytes) => file.read(offset, bytes),
        truncate: (sizeBytes) => file.truncate(sizeBytes),
        sync: () => file.sync(),
        close: () => file.close(),
        write: (offset, bytes) => {
          if (bytes.some((byte) => byte !== 0)) {
            writes.push({ name, start: offset, end: offset + bytes.length });
          }
          file.write(offset, bytes);
        },
      };
    },
  };
}
