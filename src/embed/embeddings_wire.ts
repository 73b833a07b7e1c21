/**
 * The `/v1/embeddings` protocol: a request for several texts, and the answer.
 *
 * Servers differ: some answer out of order (`index` tells), some leave `index`
 * out, some send base64 though asked for floats. A list that does not fit the
 * question is refused whole, since a vector taken for another text's is worse
 * than none; a single bad vector fails by itself.
 *
 * Source: the public API description of OpenAI, "Create embeddings"; base64
 * holds 32-bit floats, little-endian.
 *
 * @module
 */
import { EmbedError } from "../ports.ts";
import { unitVector } from "./vector_check.ts";

/** What is asked for. */
export interface EmbeddingsQuestion {
  /** The model, in the backend's words. */
  readonly model: string;
  /** Dimensions to ask for; `null` leaves the field out, since some servers refuse it. */
  readonly dimensions: number | null;
  /** How numbers shall come. */
  readonly encoding: "float" | "base64";
}

/** What became of one text. */
export type EmbedResult = Float32Array | EmbedError;

/** Bytes that one number takes in JSON, generously: `-0.0123456789012345678, ` and white space. */
const NUMBER_BYTES_MAX = 40;
const ITEM_BYTES_MAX = 2_048;
const FRAME_BYTES_MAX = 65_536;

/** The body of a request. */
export function encodeQuestion(
  texts: readonly string[],
  question: EmbeddingsQuestion,
): Uint8Array<ArrayBuffer> {
  const { model, dimensions, encoding } = question;
  const body = {
    model,
    input: texts,
    encoding_format: encoding,
    ...(dimensions === null ? {} : { dimensions }),
  };
  return new TextEncoder().encode(JSON.stringify(body));
}

/** More bytes than an honest answer has. */
export function answerBytesMax(texts: number, dims: number): number {
  return FRAME_BYTES_MAX + texts * (ITEM_BYTES_MAX + dims * NUMBER_BYTES_MAX);
}

/**
 * Reads an answer.
 *
 * @returns For each text, in the order asked, a vector of length 1 or what is wrong with it.
 * @throws {EmbedError} Kind `failed` if it is no answer to these texts.
 */
export function decodeAnswer(
  bytes: Uint8Array,
  texts: number,
  dims: number,
): readonly EmbedResult[] {
  const items = itemsOf(bytes);
  if (items.length !== texts) {
    throw unreadable(`it holds ${items.length} vectors for ${texts} texts`);
  }
  const results = new Array<EmbedResult | undefined>(texts).fill(undefined);
  const numbered = items.some((item) => item["index"] !== undefined);
  for (const [place, item] of items.entries()) {
    const index = numbered ? item["index"] : place;
    if (typeof index !== "number" || !(index in results)) throw unreadable("an index is wrong");
    if (results[index] !== undefined) throw unreadable("an index comes twice");
    results[index] = resultOf(item["embedding"], dims);
  }
  return results.map((result) => result ?? unreadable("a vector is missing"));
}

type Item = Readonly<Record<string, unknown>>;

function itemsOf(bytes: Uint8Array): readonly Item[] {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    throw unreadable("it is not JSON"); // The cause quotes the body.
  }
  const data = isObject(answer) ? answer["data"] : null;
  if (!Array.isArray(data)) throw unreadable("it has no list of vectors");
  if (!data.every(isObject)) throw unreadable("it lists what is no vector");
  return data;
}

function resultOf(embedding: unknown, dims: number): EmbedResult {
  try {
    if (typeof embedding === "string") return unitVector(floatsOf(embedding), dims);
    if (Array.isArray(embedding)) return unitVector(embedding, dims);
  } catch (cause) {
    if (cause instanceof EmbedError) return cause;
    throw cause;
  }
  return new EmbedError("unusable", "Cannot use vector: it is no list of numbers");
}

function floatsOf(base64: string): Float32Array {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Uint8Array.fromBase64(base64);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new EmbedError("unusable", "Cannot use vector: it is not base64");
  }
  if (bytes.length % 4 !== 0) {
    throw new EmbedError("unusable", "Cannot use vector: its base64 holds no whole floats");
  }
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

function isObject(value: unknown): value is Item {
  return typeof value === "object" && value !== null;
}

function unreadable(why: string): EmbedError {
  return new EmbedError("failed", `Cannot read embeddings: ${why}`);
}
