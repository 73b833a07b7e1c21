import assert from "node:assert/strict";
import type { Reply, ServerRequest } from "../../ports.ts";
import { chosenSeed, Random } from "../../../tests/support/random.ts";
import { Feed } from "../http_server_fixture.ts";
import { Flag, FrameType } from "./frame.ts";
import {
  block,
  bytesOf,
  type Fields,
  type Frame,
  frame,
  joined,
  ping,
  reset,
  SessionScene,
  settings,
  short,
  widen,
} from "./http2_fixture.ts";

const CONVERSATIONS = 40;
const MUTATIONS = 400;

/** Notes what came, and answers in all ways there are. */
class Notes {
  readonly seen: string[] = [];
  /** Streams that nobody has cancelled, nor ended. */
  open = 0;

  readonly handle = async (request: ServerRequest): Promise<Reply> => {
    const { pathname } = new URL(request.url);
    if (pathname === "/early") return { status: 413, headers: [], body: "too long" };
    const body = await request.bytes(40_000).catch(() => null);
    const text = body === null
      ? "none"
      : `${body.length}:${body.reduce((sum, byte) => sum + byte, 0)}`;
    this.seen.push(`${request.method} ${request.url} ${request.headers.get("x-a")} ${text}`);
    if (pathname !== "/stream") return { status: 200, headers: [["x-b", "c"]], body: body };
    const feed = new Feed();
    this.open++;
    void feed.cancelled.then(() => this.open--);
    for (const piece of ["one", "two", "x".repeat(20_000)]) feed.push(piece);
    return { status: 200, headers: [], body: feed };
  };
}

function integer(value: number, prefix: number, bits: number): number[] {
  if (value < prefix) return [bits | value];
  const bytes = [bits | prefix];
  let left = value - prefix;
  for (; left >= 128; left >>>= 7) bytes.push(left & 127 | 128);
  return [...bytes, left];
}

/** One client's side of a conversation that keeps all rules. */
class Client {
  readonly #random: Random;
  readonly #parts: Uint8Array[] = [settings()];
  /** Fields that the server was told to remember. */
  #remembered = 0;
  #id = 1;

  constructor(random: Random) {
    this.#random = random;
  }

  talk(requests: number): Uint8Array {
    for (let at = 0; at < requests; at++) this.#request();
    return joined(...this.#parts);
  }

  #request(): void {
    const random = this.#random;
    const id = this.#id;
    this.#id += 2 + 2 * random.below(3);
    const hasBody = random.below(3) > 0;
    this.#head(id, this.#block(hasBody), !hasBody);
    if (random.below(4) === 0) this.#chat(id);
    if (hasBody) this.#body(id);
    if (random.below(6) === 0) this.#parts.push(reset(id));
  }

  #block(hasBody: boolean): Uint8Array {
    const random = this.#random;
    const fields: Fields = [
      [":method", hasBody ? "POST" : random.of(["GET", "HEAD"])],
      [":scheme", "http"],
      [":path", random.of(["/", "/early", "/stream", "/a?b"])],
      [":authority", "test"],
    ];
    const known = this.#remembered > 0 && random.below(2) === 0;
    const extra = known
      ? Uint8Array.from(integer(62 + random.below(this.#remembered), 127, 128))
      : this.#extra();
    return joined(block(fields), extra);
  }

  #extra(): Uint8Array {
    const random = this.#random;
    const value = "v".repeat(random.below(40));
    const literal = block([["x-a", value]]).subarray(1);
    const isKept = random.below(2) === 0 && this.#remembered < 20;
    if (isKept) this.#remembered++;
    return joined(Uint8Array.of(isKept ? 0x40 : random.of([0x00, 0x10])), literal);
  }

  #head(id: number, bytes: Uint8Array, isLast: boolean): void {
    const random = this.#random;
    const end = isLast ? Flag.endStream : 0;
    if (random.below(3) > 0) {
      this.#parts.push(frame(FrameType.headers, end | Flag.endHeaders, id, bytes));
      return;
    }
    const cut = random.below(bytes.length);
    this.#parts.push(frame(FrameType.headers, end, id, bytes.subarray(0, cut)));
    this.#parts.push(frame(FrameType.continuation, Flag.endHeaders, id, bytes.subarray(cut)));
  }

  #body(id: number): void {
    const random = this.#random;
    for (let left = random.below(4); left >= 0; left--) {
      const content = Uint8Array.from({ length: random.below(3_000) }, (_, at) => at & 255);
      const isPadded = random.below(4) === 0;
      const payload = isPadded ? joined(Uint8Array.of(9), content, new Uint8Array(9)) : content;
      const flags = (left === 0 ? Flag.endStream : 0) | (isPadded ? Flag.padded : 0);
      this.#parts.push(frame(FrameType.data, flags, id, payload));
    }
  }

  #chat(id: number): void {
    const random = this.#random;
    this.#parts.push(random.of([
      ping(bytesOf("12345678")),
      settings([4, random.below(70_000)]),
      widen(0, 1 + random.below(100_000)),
      widen(id, 1 + random.below(100_000)),
      frame(FrameType.priority, 0, id, new Uint8Array(5)),
      frame(0x40, 0, id, bytesOf("unknown")),
    ]));
  }
}

/** Changes some bytes, anywhere but more often in the heads of frames. */
function mutated(random: Random, bytes: Uint8Array): Uint8Array {
  let changed = bytes.slice();
  for (let left = random.below(4); left >= 0; left--) {
    const at = random.below(changed.length);
    const [before, behind] = [changed.subarray(0, at), changed.subarray(at)];
    switch (random.below(4)) {
      case 0:
        changed[at] = random.below(256);
        break;
      case 1:
        changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 2:
        changed = joined(before, behind.subarray(1 + random.below(20)));
        break;
      default:
        changed = joined(
          before,
          bytes.subarray(random.below(bytes.length)).subarray(0, 30),
          behind,
        );
    }
    if (changed.length === 0) return bytes;
  }
  return changed;
}

/** What an HTTP/2 client may rely on, whatever it sent. */
function checkOrder(frames: readonly Frame[]): void {
  const ended = new Set<number>();
  const begun = new Set<number>();
  for (const { type, flags, id } of frames) {
    if (id === 0) continue;
    if (type === FrameType.windowUpdate) continue;
    if (type === FrameType.rstStream) {
      ended.add(id);
      continue;
    }
    assert.ok(!ended.has(id), `stream ${id} goes on after its end: ${short(frames)}`);
    if (type === FrameType.headers) begun.add(id);
    assert.ok(begun.has(id), `stream ${id} does not begin with its head`);
    if ((type === FrameType.data || type === FrameType.headers) && (flags & Flag.endStream) !== 0) {
      ended.add(id);
    }
  }
}

/** All that is left when the client closes. */
async function checkEnd(scene: SessionScene, notes: Notes): Promise<void> {
  scene.session.abort();
  assert.deepEqual(await scene.answer(), []);
  assert.ok(scene.session.isIdle);
  assert.equal(scene.context.held.count, 0);
  assert.equal(notes.open, 0);
}

Deno.test("Http2Session makes the same of a conversation however it is cut", async () => {
  const seed = chosenSeed();
  const random = new Random(seed);
  for (let round = 0; round < CONVERSATIONS; round++) {
    const bytes = new Client(random).talk(6);
    const outcomes: unknown[] = [];
    for (const stepBytes of [bytes.length, 1, 1 + random.below(100)]) {
      const notes = new Notes();
      const scene = new SessionScene(notes);
      scene.frames();
      for (let at = 0; at < bytes.length; at += stepBytes) {
        scene.send(bytes.subarray(at, at + stepBytes));
      }
      const frames = await scene.answer();
      checkOrder(frames);
      // When the connection's window is opened depends on the reads.
      const own = short(frames).filter((text) => !text.startsWith("WINDOW 0"));
      outcomes.push([notes.seen, own, scene.session.isOver]);
      await checkEnd(scene, notes);
    }
    assert.deepEqual(outcomes[1], outcomes[0], `seed ${seed}, round ${round}`);
    assert.deepEqual(outcomes[2], outcomes[0], `seed ${seed}, round ${round}`);
  }
});

Deno.test("Http2Session survives whatever a client sends, and keeps nothing of it", async () => {
  const seed = chosenSeed();
  const random = new Random(seed);
  let over = 0;
  for (let round = 0; round < MUTATIONS; round++) {
    const notes = new Notes();
    const scene = new SessionScene({ ...notes, streamsMax: 4, handle: notes.handle });
    const bytes = mutated(random, new Client(random).talk(4));
    const frames = scene.frames();
    try {
      for (let at = 0; at < bytes.length;) {
        const stepBytes = 1 + random.below(bytes.length);
        scene.send(bytes.subarray(at, at + stepBytes));
        at += stepBytes;
        if (random.below(2) === 0) frames.push(...await scene.answer());
        if (random.below(8) === 0) scene.pass(random.below(40_000));
        if (random.below(16) === 0) scene.session.drain();
      }
      frames.push(...await scene.answer());
      checkOrder(frames);
      if (scene.session.isOver) {
        over++;
        assert.ok(frames.some(({ type }) => type === FrameType.goaway));
      }
      await checkEnd(scene, notes);
    } catch (cause) {
      throw new Error(`Cannot take what came: seed ${seed}, round ${round}`, { cause });
    }
  }
  // Both ends occur, or nothing was tested.
  assert.ok(over > MUTATIONS / 10 && over < MUTATIONS, String(over));
});
