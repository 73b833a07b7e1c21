/**
 * Carrying on a stream of Anthropic's messages.
 *
 * Every content block has one channel: its text, its thinking or the JSON of its
 * tool input. A restarted stream has to bring the same blocks under the same
 * indexes; a prefilled one goes on in the block that is open and counts on from
 * there.
 *
 * @module
 */
import { Channel, Comparison, type ContinuationMode, type Mismatch } from "./channel.ts";
import { isObject, isText, type JsonObject } from "./wire.ts";

/** The member of a delta that grows, by the type of the block it belongs to. */
const FIELD_BY_BLOCK: ReadonlyMap<unknown, string> = new Map([
  ["text", "text"],
  ["thinking", "thinking"],
  ["tool_use", "partial_json"],
]);

/** What the client has of one block. */
class Block {
  readonly type: unknown;
  readonly name: unknown;
  readonly channel = new Channel();
  isOpen = true;
  hasSignature = false;

  constructor(start: JsonObject) {
    this.type = start.type;
    this.name = start.name;
  }
}

/** What a client has of a message. */
export class BlockTranscript {
  readonly #blocks = new Map<number, Block>();
  #hasStart = false;
  #hasFinish = false;
  #isOpaque = false;
  /** Added to the new stream's block indexes; `null` until a prefilled stream's first block. */
  #shift: number | null = 0;

  /** Everything that was sent can be compared. */
  get canContinue(): boolean {
    return !this.#isOpaque;
  }

  /** The text sent so far, where that is all of the unfinished message; else `null`. */
  get soleText(): string | null {
    if (this.#isOpaque || this.#hasFinish) return null;
    let text = "";
    for (const { type, channel } of this.#blocks.values()) {
      if (type !== "text") return null;
      text += channel.sent;
    }
    return text;
  }

  /** Notes an event that is sent on. */
  record(json: JsonObject): void {
    const { type } = json;
    if (type === "message_start") this.#hasStart = true;
    else if (type === "message_delta") this.#hasFinish = true;
    if (typeof json.index !== "number") return;
    const block = this.#blocks.get(json.index);
    if (type === "content_block_start" && isObject(json.content_block)) {
      this.#recordStart(json.index, json.content_block);
    } else if (type === "content_block_stop" && block) {
      block.isOpen = false;
    } else if (type === "content_block_delta" && isObject(json.delta)) {
      this.#recordDelta(block, json.delta);
    }
  }

  /** A new stream begins. */
  begin(mode: ContinuationMode): void {
    this.#shift = mode === "prefill" ? null : 0;
    for (const { channel } of this.#blocks.values()) channel.begin(mode);
  }

  /** The events to send in place of `json`, or where it differs. */
  splice(json: JsonObject): readonly JsonObject[] | Mismatch {
    const comparison = new Comparison();
    const events = this.#eventsFor(json, comparison);
    if (comparison.mismatch !== null) return comparison.mismatch;
    for (const event of events) this.record(event);
    return events;
  }

  /** Messages end with an event of their own, so there is nothing to do here. */
  end(): readonly JsonObject[] {
    return [];
  }

  #eventsFor(json: JsonObject, comparison: Comparison): readonly JsonObject[] {
    switch (json.type) {
      case "message_start":
        return this.#hasStart ? [] : [json];
      case "content_block_start":
        return this.#start(json, comparison);
      case "content_block_delta":
        return this.#delta(json, comparison);
      case "content_block_stop":
        return this.#stop(json, comparison);
      case "message_delta":
        this.#expectCaughtUp(comparison);
        return this.#hasFinish ? [] : [...this.#closings(), json];
      case "message_stop":
        this.#expectCaughtUp(comparison);
        return [json];
      default:
        // A ping, or something unknown that may repeat what was sent.
        return this.#blocks.values().some(({ channel }) => channel.isBehind) ? [] : [json];
    }
  }

  #start(json: JsonObject, comparison: Comparison): readonly JsonObject[] {
    if (!isObject(json.content_block)) return [json];
    const closings = this.#shift === null ? this.#align(json, json.content_block) : [];
    const index = this.#indexOf(json);
    const block = this.#blocks.get(index);
    if (block === undefined) return [...closings, { ...json, index }];
    if (block.type !== json.content_block.type || block.name !== json.content_block.name) {
      comparison.differ();
      return [];
    }
    const { text } = json.content_block;
    return isText(text) ? this.#more(block, index, text, comparison) : [];
  }

  /** A prefilled stream's first block goes on in the open one if it is text, else behind it. */
  #align(json: JsonObject, start: JsonObject): readonly JsonObject[] {
    const first = typeof json.index === "number" ? json.index : 0;
    const last = Math.max(-1, ...this.#blocks.keys());
    const goesOn = start.type === "text" && this.#blocks.get(last)?.isOpen === true;
    const closings = goesOn ? [] : this.#closings();
    this.#shift = (goesOn ? last : last + 1) - first;
    return closings;
  }

  #delta(json: JsonObject, comparison: Comparison): readonly JsonObject[] {
    const index = this.#indexOf(json);
    const block = this.#blocks.get(index);
    const { delta } = json;
    if (block === undefined || !isObject(delta)) return [{ ...json, index }];
    if (delta.type === "signature_delta") {
      // Equal thinking may be signed anew; the client needs one signature.
      return block.hasSignature ? [] : [{ ...json, index }];
    }
    const field = FIELD_BY_BLOCK.get(block.type) ?? "";
    const text = delta[field];
    if (typeof text !== "string") {
      if (block.channel.isBehind) comparison.differ();
      return [{ ...json, index }];
    }
    return this.#more(block, index, text, comparison, json);
  }

  /** What `text` adds to a block, as an event like `like`. */
  #more(
    block: Block,
    index: number,
    text: string,
    comparison: Comparison,
    like: JsonObject = TEXT_DELTA,
  ): readonly JsonObject[] {
    const rest = block.channel.take(text, comparison);
    if (rest === "") return [];
    if (!block.isOpen) comparison.differ(block.channel.sent.length);
    const delta = isObject(like.delta) ? like.delta : {};
    return [{ ...like, index, delta: { ...delta, [FIELD_BY_BLOCK.get(block.type) ?? ""]: rest } }];
  }

  #stop(json: JsonObject, comparison: Comparison): readonly JsonObject[] {
    const index = this.#indexOf(json);
    const block = this.#blocks.get(index);
    if (block === undefined) return [{ ...json, index }];
    block.channel.expectCaughtUp(comparison);
    return block.isOpen ? closing(index, block) : [];
  }

  /** Ends every block that is still open. */
  #closings(): readonly JsonObject[] {
    return this.#blocks.entries().filter(([, block]) => block.isOpen)
      .flatMap(([index, block]) => closing(index, block)).toArray();
  }

  #expectCaughtUp(comparison: Comparison): void {
    for (const { channel } of this.#blocks.values()) channel.expectCaughtUp(comparison);
  }

  #indexOf(json: JsonObject): number {
    return (typeof json.index === "number" ? json.index : 0) + (this.#shift ?? 0);
  }

  #recordStart(index: number, start: JsonObject): void {
    const block = new Block(start);
    this.#blocks.set(index, block);
    const field = FIELD_BY_BLOCK.get(start.type);
    const hasInput = isObject(start.input) && Object.keys(start.input).length > 0;
    if (field === undefined || hasInput) this.#isOpaque = true;
    const text = start[field ?? ""];
    if (isText(text)) block.channel.append(text);
  }

  #recordDelta(block: Block | undefined, delta: JsonObject): void {
    const text = delta[FIELD_BY_BLOCK.get(block?.type) ?? ""];
    if (block && typeof text === "string") block.channel.append(text);
    else if (block && delta.type === "signature_delta") block.hasSignature = true;
    else this.#isOpaque = true;
  }
}

const TEXT_DELTA: JsonObject = {
  type: "content_block_delta",
  index: 0,
  delta: { type: "text_delta", text: "" },
};

/** The end of a block, after what was held back of its text. */
function closing(index: number, block: Block): readonly JsonObject[] {
  const text = block.channel.release();
  const stop = { type: "content_block_stop", index };
  return text === ""
    ? [stop]
    : [{ ...TEXT_DELTA, index, delta: { type: "text_delta", text } }, stop];
}
