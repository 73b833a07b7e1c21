/**
 * A node among clients that mean it no good: a million random and mutated bodies, all
 * of them over sockets to a process of its own: eight tenths pipelined over HTTP/1.1 to
 * every endpoint of both listeners, two tenths in frames of the link. It answers each
 * with a refusal and a text, grows no further, and serves the others as before.
 *
 * (Slow, oversized and unwelcome connections: `kv_hostile_connections_test.ts`.)
 */
import assert from "node:assert/strict";
import { openStore, type Store } from "../../kv_node/compat/mod.ts";
import { encodeHello, LINK_PROTOCOL, MESSAGE } from "../../kv_node/link/messages.ts";
import {
  goodChanges,
  goodExchanges,
  goodQueueBodies,
  goodReads,
  goodWatches,
  goodWrites,
  hostileBody,
  randomBody,
} from "../support/kv_hostile_bodies.ts";
import { HostileLink } from "../support/kv_hostile_link.ts";
import { KillableNode } from "../support/kv_killable_node.ts";
import { type DataPath, exchangeMetadata } from "../support/kv_raw.ts";
import { type PipelinedAnswer, PipelinedClient, requestOf } from "../support/pipelined_client.ts";
import { chosenSeed, Random } from "../support/random.ts";

const BODIES = Number(Deno.env.get("BODIES") ?? 1_000_000);
const STRANGERS = 1_000;
const TOKEN = "a-token-that-is-long-enough";
const ROWS = 500;
const CONNECTIONS = 4;
const PIPELINE = 32;
/** Growth of resident memory after the warm-up that is no growth: heaps breathe. */
const GROWTH_MAX = 1.2;

/** One kind of hostile request. */
interface Attack {
  readonly name: string;
  /** Its share of all bodies, in percent. */
  readonly share: number;
  readonly isAdmin?: boolean;
  request(random: Random): Uint8Array;
}

Deno.test(`${BODIES} hostile bodies on every endpoint: refused with a text, without growth, and data are untouched`, async (t) => {
  const seed = chosenSeed();
  await using node = new KillableNode({
    token: TOKEN,
    flags: ["--segment-bytes", "1048576", "--databases-max", "6"],
  });
  await node.serve();
  using stock = await openStore(node.url, { token: TOKEN });
  const before = await fill(stock);
  const path = await exchangeMetadata(`${node.url}/hostile`, TOKEN);
  const attacks = attacksOn(path);
  const readings: number[] = [];
  const random = new Random(seed);
  // All kinds take turns, so that growth by any of them shows in all readings.
  const turns = 25;
  const counts = new Map<string, Map<number, number>>();
  await t.step(`SEED=${seed}: bodies over HTTP and the link, in ${turns} turns`, async () => {
    for (let turn = 0; turn < turns; turn++) {
      for (const attack of attacks) {
        const bodies = Math.round(BODIES * attack.share / 100 / turns);
        await strike(node, attack, { bodies, random, counts });
      }
      const frames = Math.round(BODIES * LINK_SHARE / 100 / turns);
      await strikeLink(node, { frames, random, counts });
      readings.push(await node.residentBytes());
    }
  });
  await t.step(`${STRANGERS} strangers on the link are told why, or hung up on`, async () => {
    const last = await annoyLink(node, random);
    // 7 is an error, 3 a refusal, 0 is nothing: what they sent was no whole message.
    assert.ok([...last.keys()].every((type) => [0, 2, 3, 7].includes(type)), text(last));
    assert.ok(
      (last.get(3) ?? 0) > 0 && (last.get(7) ?? 0) > STRANGERS / 2,
      text(last),
    );
  });
  for (const [name, statuses] of counts) {
    const sum = [...statuses.values()].reduce((one, other) => one + other, 0);
    await t.step(`${name}: ${sum} answers: ${text(statuses)}`, () => {
      assert.ok(sum > 0);
      assert.ok([...statuses.keys()].every((status) => status < 500));
    });
  }
  const [early, late] = [median(readings.slice(5, 11)), median(readings.slice(-6))];
  const megabytes = readings.map((bytes) => Math.round(bytes / 1e6)).join(" ");
  await t.step(`memory is level: MB ${megabytes}`, () => {
    assert.ok(late <= early * GROWTH_MAX, `from ${early} to ${late}`);
  });
  await t.step("data are untouched, and a stock client is served as before", async () => {
    assert.deepEqual(await content(stock), before);
    await stock.set(["after"], 1);
    assert.equal((await stock.get(["after"])).value, 1);
    assert.equal((await node.status()).phase, "serving");
    const faults = node.run.lines.filter(({ event, level }) =>
      level === "error" || event === "kv.problem"
    );
    assert.deepEqual(faults, []);
    assert.equal(node.run.errorText, "");
  });
});

const LINK_SHARE = 20;

function attacksOn({ url, headers }: DataPath): readonly Attack[] {
  const { pathname: data } = new URL(url);
  const bearer = { authorization: `Bearer ${TOKEN}` };
  const json = { ...bearer, "content-type": "application/json" };
  const queue = Object.entries(goodQueueBodies());
  const on = (operation: string, good: readonly Uint8Array<ArrayBuffer>[]) => (random: Random) =>
    requestOf("POST", `${data}/${operation}`, headers, hostileBody(random, good));
  const names = ["/", "/hostile", "/default", "/other", "/%00", "/a%20b", "/../x", "/data/watch"];
  return [
    { name: "snapshot_read", share: 22, request: on("snapshot_read", goodReads()) },
    { name: "atomic_write", share: 24, request: on("atomic_write", goodWrites()) },
    { name: "watch", share: 4, request: on("watch", goodWatches()) },
    {
      name: "metadata",
      share: 12,
      request: (random) =>
        requestOf(
          "POST",
          random.of(names),
          json,
          hostileBody(random, goodExchanges()),
        ),
    },
    {
      name: "queue",
      share: 10,
      request(random) {
        const [operation, good] = random.of(queue);
        const target = `/hostile/queue/${operation}`;
        return requestOf("POST", target, { ...headers, ...JSON_TYPE }, hostileBody(random, good));
      },
    },
    {
      name: "admin",
      share: 8,
      isAdmin: true,
      request(random) {
        const [method, target] = random.of(ADMIN_TARGETS);
        return requestOf(method, target, json, hostileBody(random, goodChanges()));
      },
    },
  ];
}

const JSON_TYPE = { "content-type": "application/json" };

const ADMIN_TARGETS: readonly (readonly [string, string])[] = [
  ["PUT", "/databases/changed"],
  ["PUT", "/databases/changed"],
  ["PUT", "/databases/%E0%A4%A"],
  ["PUT", "/databases/a%20b"],
  ["DELETE", "/databases/changed/tokens/none"],
  ["POST", "/databases/missing/tokens"],
  ["POST", "/nothing"],
  ["PATCH", "/databases/changed"],
];

interface Strike {
  readonly random: Random;
  readonly counts: Map<string, Map<number, number>>;
}

async function strike(
  node: KillableNode,
  { name, request, isAdmin = false }: Attack,
  { bodies, random, counts }: Strike & { readonly bodies: number },
): Promise<void> {
  const port = Number(new URL(isAdmin ? node.adminUrl : node.url).port);
  const statuses = counts.get(name) ?? new Map<number, number>();
  counts.set(name, statuses);
  const each = Math.ceil(bodies / CONNECTIONS);
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    using client = new PipelinedClient(port);
    for (let sent = 0; sent < each; sent += PIPELINE) {
      const length = Math.min(PIPELINE, each - sent);
      const requests = Array.from({ length }, () => request(random));
      const answers = await client.exchange(requests);
      for (const [at, answer] of answers.entries()) {
        judge(name, answer, requests[at]);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      }
    }
  }));
}

/** A refusal that says why, or the answer to a body that was in order after all. */
function judge(name: string, { status, body }: PipelinedAnswer, request?: Uint8Array): void {
  if (status === 200 || status === 201) return;
  const text = `${name}: ${status} ${body.slice(0, 200)} to ${request?.toHex().slice(-600)}`;
  assert.ok(status >= 400 && status < 500, text);
  assert.match(body, /^(Cannot |\{"error":\{"code":"[a-z_]+","message":"Cannot )/, text);
}

async function strikeLink(
  node: KillableNode,
  { frames, random, counts }: Strike & { readonly frames: number },
): Promise<void> {
  const { link, token } = await linkOf(node);
  const hello = encodeHello({ protocol: LINK_PROTOCOL, database: "hostile", token });
  const good: Readonly<Record<number, readonly Uint8Array<ArrayBuffer>[]>> = {
    [MESSAGE.read]: goodReads(),
    [MESSAGE.write]: goodWrites(),
    [MESSAGE.watch]: goodWatches(),
  };
  const statuses = counts.get("link frames") ?? new Map<number, number>();
  counts.set("link frames", statuses);
  for (let sent = 0; sent < frames;) {
    await using client = await HostileLink.open(link, hello);
    // Some connections are cut off for a broken frame, and another one is made.
    const kinds = Array.from({ length: Math.min(2_000, frames - sent) }, () => {
      const type = random.of([
        MESSAGE.read,
        MESSAGE.write,
        MESSAGE.watch,
        14,
        16,
        random.below(40),
      ]);
      return { type, body: hostileBody(random, good[type] ?? goodReads()) };
    });
    const answers = await client.exchange(kinds);
    sent += Math.max(answers.length, 1);
    for (const { type, text } of answers) {
      if (type === MESSAGE.error) {
        assert.match(text, /^\{"code":"(?!internal)[a-z_]+","message":"C/);
      }
      const status = type === MESSAGE.error ? 400 : 200;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  }
}

/** Bytes that are no frame, and greetings that are none; by the type of the node's last word. */
async function annoyLink(node: KillableNode, random: Random): Promise<ReadonlyMap<number, number>> {
  const { link, token } = await linkOf(node);
  const hello = encodeHello({ protocol: LINK_PROTOCOL, database: "hostile", token }).slice();
  const last = await Promise.all(Array.from({ length: STRANGERS }, (_, at) => {
    const bytes = at % 2 === 0
      ? randomBody(random, 1 + random.below(200))
      : HostileLink.frame(MESSAGE.hello, 0, hostileBody(random, [hello]));
    return HostileLink.annoy(link, bytes);
  }));
  return new Map([...Map.groupBy(last, (type) => type)].map(([type, all]) => [type, all.length]));
}

async function linkOf(node: KillableNode): Promise<{ link: string; token: string }> {
  const response = await fetch(`${node.url}/hostile`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: '{"supportedVersions":[3],"weir":true}',
  });
  const { token, weir } = await response.json();
  return { link: weir.link, token };
}

async function fill(store: Store): Promise<ReadonlyMap<string, string>> {
  for (let row = 0; row < ROWS; row += 100) {
    const atomic = store.atomic();
    for (let more = 0; more < 100; more++) atomic.set(["row", row + more], `value ${row + more}`);
    assert.ok((await atomic.commit()).ok);
  }
  return await content(store);
}

/** Everything in the database. */
async function content(store: Store): Promise<ReadonlyMap<string, string>> {
  const rows = new Map<string, string>();
  for await (const { key, value, versionstamp } of store.list({ prefix: [] })) {
    rows.set(key.join("/"), `${versionstamp} ${value}`);
  }
  return rows;
}

function text(counts: ReadonlyMap<number, number>): string {
  return JSON.stringify([...counts].sort(([one], [other]) => one - other));
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? 0;
}
