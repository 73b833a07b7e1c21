/**
 * Writes tiny models for tests: an ONNX file and the tokenizer files beside it.
 *
 * The model looks its tokens up in a table and gives the rows as they are, so
 * that every vector can be computed by hand. The bytes are protobuf after the
 * public `onnx.proto`: a field is its number and wire type, then its value.
 *
 * @module
 */

/** A model whose token vectors are the rows of a table. */
export interface TableModel {
  /** Words, in the order of their ids; the first four are `[PAD] [UNK] [CLS] [SEP]`. */
  readonly words: readonly string[];
  /** One row a word. */
  readonly table: readonly (readonly number[])[];
  /** Inputs besides `input_ids`; none of them changes anything. */
  readonly inputs?: readonly string[];
  /** Name of the output; `sentence_embedding` is the mean over all tokens, padding included. */
  readonly output?: string;
  /** Whether token ids are 32 bits wide instead of 64. */
  readonly isShort?: boolean;
}

/** Files beside the model that are written as they are. */
export type ModelFiles = Readonly<Record<string, string | Uint8Array>>;

const FLOAT = 1;
const INT32 = 6;
const INT64 = 7;
const OPSET = 13;
const IR_VERSION = 8;

/** Writes `model.onnx`, `tokenizer.json` and `tokenizer_config.json`, then `more` over them. */
export function writeModel(directory: string, model: TableModel, more: ModelFiles = {}): void {
  const files: ModelFiles = {
    "model.onnx": encodeModel(model),
    "tokenizer.json": JSON.stringify(tokenizerOf(model.words)),
    "tokenizer_config.json": JSON.stringify({ pad_token: "[PAD]", unk_token: "[UNK]" }),
    ...more,
  };
  for (const [name, content] of Object.entries(files)) {
    const path = `${directory}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
  }
}

/** The bytes of the ONNX file. */
export function encodeModel(model: TableModel): Uint8Array {
  const { table, inputs = ["attention_mask"], output = "last_hidden_state" } = model;
  const size = table[0]?.length ?? 0;
  const idType = model.isShort === true ? INT32 : INT64;
  const isSentence = output === "sentence_embedding";
  const gather = node("Gather", ["table", "input_ids"], isSentence ? "states" : output, []);
  const mean = node("ReduceMean", ["states"], output, [
    message(5, text(1, "axes"), number(8, 1), number(20, 7)),
    message(5, text(1, "keepdims"), number(3, 0), number(20, 2)),
  ]);
  const rows = new Uint8Array(Float32Array.from(table.flat()).buffer);
  const initializer = message(
    5,
    number(1, table.length),
    number(1, size),
    number(2, FLOAT),
    text(8, "table"),
    bytes(9, rows),
  );
  const graph = message(
    7,
    message(1, gather),
    ...(isSentence ? [message(1, mean)] : []),
    text(2, "table model"),
    initializer,
    ...["input_ids", ...inputs].map((name) => value(11, name, idType, ["batch", "sequence"])),
    value(12, output, FLOAT, isSentence ? ["batch", size] : ["batch", "sequence", size]),
  );
  return join([number(1, IR_VERSION), message(8, number(2, OPSET)), graph]);
}

/** A WordPiece tokenizer as `tokenizer.json` describes it, framing texts by `[CLS]` and `[SEP]`. */
export function tokenizerOf(words: readonly string[]): unknown {
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
  const frame = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: { type: "BertNormalizer", clean_text: true, lowercase: true, strip_accents: null },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [frame("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, frame("[SEP]")],
      pair: [frame("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, frame("[SEP]")],
      special_tokens: Object.fromEntries(
        ["[CLS]", "[SEP]"].map((id) => [id, { id, ids: [words.indexOf(id)], tokens: [id] }]),
      ),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
    },
  };
}

function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: readonly Uint8Array[],
): Uint8Array {
  return join([
    ...inputs.map((name) => text(1, name)),
    text(2, output),
    text(3, operator),
    text(4, operator),
    ...attributes,
  ]);
}

/** A `ValueInfoProto`: name, element type, shape. */
function value(
  field: number,
  name: string,
  type: number,
  shape: readonly (string | number)[],
): Uint8Array {
  const axes = shape.map((axis) =>
    message(1, typeof axis === "string" ? text(2, axis) : number(1, axis))
  );
  return message(
    field,
    text(1, name),
    message(2, message(1, number(1, type), message(2, ...axes))),
  );
}

function message(field: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return bytes(field, join(parts));
}

function text(field: number, content: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(content));
}

/** Wire type 2: length, then bytes. */
function bytes(field: number, content: Uint8Array): Uint8Array {
  return join([varint(field * 8 + 2), varint(content.length), content]);
}

/** Wire type 0. */
function number(field: number, content: number): Uint8Array {
  return join([varint(field * 8), varint(content)]);
}

function varint(content: number): Uint8Array {
  const digits: number[] = [];
  let rest = content;
  do {
    digits.push((rest % 128) + (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Uint8Array.from(digits);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
