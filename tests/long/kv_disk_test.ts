/**
 * A node whose disk is full: it refuses writes and says why, reads on, comes up
 * again, and writes when there is room.
 *
 * The disk is a tmpfs of 1 MiB, and two larger ones. A node with its usual segments of
 * 64 MiB needs three of them (in use, spare, reserve), so the segments are small here:
 * 16 and 64 KiB fit into the 1 MiB beside the two state files and their write-ahead
 * files, of which each takes some hundred KiB before a checkpoint. On the larger disks
 * there is room to get full, empty and full again.
 */
import assert from "node:assert/strict";
import { openStore, type Store, StoreOperationError } from "../../kv_node/compat/mod.ts";
import { KillableNode } from "../support/kv_killable_node.ts";
import { askOnce, type DataPath, exchangeMetadata, settingBody } from "../support/kv_raw.ts";
import { type SmallDisk, smallDisk, whyNoSmallDisk } from "../support/small_disk.ts";

const ANY = "any";
/** A commit is held for three seconds; nobody waits much longer than that. */
const ANSWER_MS = 20_000;
const VALUE_BYTES = 4_000;
const SMALL_BYTES = 100;
/** Most writes until a disk of this size must be full. */
const WRITES_MAX = 5_000;
/** More than fit into a segment of the smallest size. */
const WRITES_IN_A_ROW = 8;

/** How small the disk is, and its log's segments; how often it gets full again, if there is room for that. */
const SIZES = [
  { diskKib: 1_024, segmentBytes: 65_536, turns: 0 },
  { diskKib: 1_024, segmentBytes: 16_384, turns: 0 },
  { diskKib: 8_192, segmentBytes: 1_048_576, turns: 3 },
  { diskKib: 4_096, segmentBytes: 65_536, turns: 3 },
];

const FULL = /^Cannot [^:]*: the disk (is full|has no room)/;

const reason = whyNoSmallDisk();

for (const { diskKib, segmentBytes, turns } of SIZES) {
  Deno.test({
    name:
      `on a full disk of ${diskKib} KiB with segments of ${segmentBytes} bytes a node refuses ` +
      `writes, reads on, comes up, and writes again with room${
        reason === null ? "" : `: ${reason}`
      }`,
    ignore: reason !== null,
    async fn(t) {
      using disk = smallDisk(diskKib);
      disk.fill(diskKib * 1_024 / 4);
      const flags = ["--segment-bytes", String(segmentBytes)];
      await using node = new KillableNode({ folder: `${disk.path}/data`, flags });
      await new FullDisk(node, disk).play(t, turns);
    },
  });
}

/** What was written, and what came of it. */
class FullDisk {
  readonly #node: KillableNode;
  readonly #disk: SmallDisk;
  readonly #acknowledged = new Map<number, string>();
  readonly #refused = new Set<number>();
  readonly #unknown = new Set<number>();
  #next = 0;

  constructor(node: KillableNode, disk: SmallDisk) {
    this.#node = node;
    this.#disk = disk;
  }

  async play(t: Deno.TestContext, turns: number): Promise<void> {
    const node = this.#node;
    await node.serve();
    const path = await exchangeMetadata(node.url);
    using stock = await openStore(node.url, { token: ANY });
    using weir = await openStore(node.weirUrl, { token: ANY });
    await step(t, `it takes commits until there is no room`, () => this.#fillBy(weir));
    await step(
      t,
      `${this.#acknowledged.size} were taken; then 503 and why`,
      () => this.#isFull(path),
    );
    await step(t, "reads go on", () => this.#readAll(stock));
    const waiting = stock.set(["stock"], "waits for room");
    waiting.catch(() => {});
    await step(t, "killed and started again on a full disk, it reads", async () => {
      await node.run.kill();
      await node.serve();
      await this.#readAll(weir);
      assert.equal((await node.readiness()).status, 200);
    });
    await step(t, "full again, with no reserve left, a start reads or says why not", async () => {
      await this.#fillBy(weir);
      await node.run.kill();
      await this.#startFull(weir);
    });
    await step(t, "with room again it writes, and what waited is written", async () => {
      this.#disk.empty();
      await this.#writeAgain(weir);
      assert.ok((await waiting).ok);
      assert.equal((await node.status()).writesRefused, null);
    });
    await step(t, "nothing acknowledged is lost, nothing refused is there", async () => {
      await this.#readAll(weir);
      await node.run.kill();
      await node.serve();
      await this.#readAll(weir);
    });
    await step(t, `full and empty again ${turns} times, with 64 commits at once`, async () => {
      for (let turn = 0; turn < turns; turn++) {
        this.#disk.fillUp();
        await this.#allAreAnswered(path, turn);
        await this.#fillBy(weir);
        this.#disk.empty();
        await this.#writeAgain(weir);
      }
      await this.#readAll(weir);
    });
    node.run.signal("SIGTERM");
    assert.deepEqual(await node.run.ended, { code: 0, signal: null }, node.run.errorText);
  }

  /** Where not even the entries of the log can be applied, a start says so and ends. */
  async #startFull(weir: Store): Promise<void> {
    const run = this.#node.begin();
    const end = await Promise.race([run.ended, run.event("kv.serving").catch(() => run.ended)]);
    if (!("code" in end)) return await this.#readAll(weir);
    assert.deepEqual(end, { code: 1, signal: null });
    assert.match(run.errorText, /^Cannot [^\n]*: the disk is full[^\n]*\n$/);
    this.#disk.empty();
    await this.#node.serve();
  }

  /** Writes until that is refused. */
  async #fillBy(store: Store): Promise<void> {
    for (let count = 0; count < WRITES_MAX; count++) {
      const error = await this.#write(store);
      if (error === null) continue;
      assert.match(error.message, FULL);
      return;
    }
    assert.fail("the disk does not get full");
  }

  async #write(store: Store): Promise<StoreOperationError | null> {
    const number = this.#next++;
    try {
      const { versionstamp } = await store.set(["n", number], new Uint8Array(VALUE_BYTES));
      this.#acknowledged.set(number, versionstamp);
      return null;
    } catch (error) {
      if (!(error instanceof StoreOperationError)) throw error;
      // What stands in the log already will be carried out when there is room.
      (error.kind === "outcome_unknown" ? this.#unknown : this.#refused).add(number);
      return error;
    }
  }

  async #isFull(path: DataPath): Promise<void> {
    const answer = await askOnce(path, "atomic_write", settingBody("raw", VALUE_BYTES));
    assert.equal(answer.status, 503, answer.text);
    assert.match(answer.text, FULL);
    const { diskFull, phase } = await this.#node.status();
    assert.deepEqual({ diskFull, phase }, { diskFull: true, phase: "serving" });
  }

  /** Whoever comes while the disk gets full is told so, and not left waiting for room. */
  async #allAreAnswered(path: DataPath, turn: number): Promise<void> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    for (let round = 0; round < 20; round++) {
      const bodies = Array.from(
        { length: 64 },
        (_, at) => settingBody(`many ${turn} ${round} ${at}`, SMALL_BYTES),
      );
      const answers = await Promise.all(
        bodies.map((body) => askOnce(path, "atomic_write", body, signal)),
      );
      for (const { status, text } of answers) {
        if (status !== 200) assert.match(`${status} ${text}`, /^503 Cannot [^:]*: .*disk/);
      }
      if (answers.every(({ status }) => status === 503)) return;
    }
    assert.fail("the disk does not get full");
  }

  /**
   * It may take a moment until the node sees that there is room; a commit that still
   * fits into the present segment says nothing of the next.
   */
  async #writeAgain(store: Store): Promise<void> {
    let written = 0;
    for (let attempts = 0; written < WRITES_IN_A_ROW; attempts++) {
      const error = await this.#write(store);
      written = error === null ? written + 1 : 0;
      if (error === null) continue;
      assert.match(error.message, FULL);
      assert.ok(attempts < 2_000, `still refused: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #readAll(store: Store): Promise<void> {
    const found = new Map<number, string>();
    for await (const { key, versionstamp } of store.list({ prefix: ["n"] }, { batchSize: 100 })) {
      found.set(Number(key[1]), versionstamp);
    }
    for (const [number, stamp] of this.#acknowledged) {
      assert.equal(found.get(number), stamp, `${number} was acknowledged`);
    }
    for (const number of this.#refused) {
      assert.equal(found.get(number), undefined, `${number} was refused, and is there`);
    }
    for (const number of found.keys()) {
      assert.ok(this.#acknowledged.has(number) || this.#unknown.has(number), `${number} is there`);
    }
  }
}

/** A step without which the others make no sense. */
async function step(t: Deno.TestContext, name: string, run: () => Promise<void>): Promise<void> {
  assert.ok(await t.step(name, run), `failed: ${name}`);
}
