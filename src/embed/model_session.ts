/**
 * An ONNX model as a function from texts to vectors.
 *
 * The runtime and the tokenizer come in as interfaces, since they are an add-on
 * that need not be there.
 *
 * @module
 */
import type { Pooling } from "./model_layout.ts";
import { pool } from "./model_pooling.ts";
import { padTokens, runsOf, type TokenBatch, type TokenEncoder } from "./model_tokens.ts";

/** A tensor of ONNX Runtime, as far as it is used here. */
export interface Tensor {
  /** Element type: `float32`, `int64`. */
  readonly type: string;
  /** Lengths of its axes. */
  readonly dims: readonly number[];
  /** Elements, last axis fastest. */
  readonly data: unknown;
}

/** A model that ONNX Runtime has loaded. */
export interface Session {
  /** Names of its inputs. */
  readonly inputNames: readonly string[];
  /** Names of its outputs. */
  readonly outputNames: readonly string[];
  /** Element types of its inputs, in the same order. */
  readonly inputMetadata: readonly { readonly type?: string }[];
  /** Runs it. */
  run(
    feeds: Readonly<Record<string, Tensor>>,
    fetches: readonly string[],
  ): Promise<Readonly<Record<string, Tensor>>>;
  /** Gives its memory back. */
  release(): Promise<void>;
}

/** What a {@linkcode ModelSession} is made from. */
export interface ModelSessionOptions {
  /** The model. */
  readonly session: Session;
  /** Makes a tensor of the runtime's own kind. */
  readonly tensor: (
    type: "int64" | "int32",
    data: BigInt64Array | Int32Array,
    dims: readonly number[],
  ) => Tensor;
  /** Tokenises. */
  readonly encoder: TokenEncoder;
  /** The token that fills short texts up. */
  readonly padId: number;
  /** How token vectors become one. */
  readonly pooling: Pooling;
}

/** Padded tokens of one run; 8 texts of 512 tokens. */
const RUN_TOKENS_MAX = 4_096;

const INPUTS = ["input_ids", "attention_mask", "token_type_ids"];

/** Outputs in order of preference: whole sentences need no pooling. */
const OUTPUTS = ["sentence_embedding", "last_hidden_state", "token_embeddings"];

/** A loaded model. */
export class ModelSession {
  readonly #options: ModelSessionOptions;
  readonly #output: string;

  /**
   * Checks that the model is one for texts.
   *
   * @throws {RangeError} If it asks for, or gives, something else.
   */
  constructor(options: ModelSessionOptions) {
    const { inputNames, outputNames } = options.session;
    const foreign = inputNames.filter((name) => !INPUTS.includes(name));
    if (foreign.length > 0 || !inputNames.includes("input_ids")) {
      throw new RangeError(`Cannot use model: its inputs are ${inputNames.join(", ")}`);
    }
    const output = OUTPUTS.find((name) => outputNames.includes(name));
    if (output === undefined) {
      throw new RangeError(`Cannot use model: its outputs are ${outputNames.join(", ")}`);
    }
    this.#options = options;
    this.#output = output;
  }

  /**
   * Embeds texts, in several runs if they are many or long.
   *
   * @returns One vector a text, not normalised; an empty one for a text the model cannot read.
   */
  async embed(texts: readonly string[]): Promise<readonly Float32Array<ArrayBuffer>[]> {
    const { encoder, padId } = this.#options;
    const tokens = texts.map((text) => encoder.encode(text) ?? []);
    const vectors = texts.map(() => new Float32Array());
    for (const run of runsOf(tokens.map(({ length }) => length), RUN_TOKENS_MAX)) {
      const batch = padTokens(run.map((place) => tokens[place] ?? []), padId);
      const made = await this.#run(batch);
      for (const [row, place] of run.entries()) vectors[place] = made[row] ?? new Float32Array();
    }
    return vectors;
  }

  /** Gives the model's memory back. */
  release(): Promise<void> {
    return this.#options.session.release();
  }

  async #run(batch: TokenBatch): Promise<readonly Float32Array<ArrayBuffer>[]> {
    const { session, pooling } = this.#options;
    const outputs = await session.run(this.#feeds(batch), [this.#output]);
    const output = outputs[this.#output];
    if (output === undefined || !(output.data instanceof Float32Array)) {
      throw new RangeError(
        `Cannot use model: its output has the type ${output?.type}, not float32`,
      );
    }
    const { data, dims } = output;
    const [rows, columns, size = 0] = dims;
    if (dims.length === 2 && rows === batch.rows) {
      const width = columns ?? 0;
      return Array.from({ length: batch.rows }, (_, row) => {
        return Float32Array.from(data.subarray(row * width, (row + 1) * width));
      });
    }
    const isStates = dims.length === 3 && rows === batch.rows && columns === batch.columns;
    if (!isStates || size === 0) {
      throw new RangeError(`Cannot use model: its output has the shape ${dims.join(" × ")}`);
    }
    return pool(data, batch, pooling);
  }

  #feeds(batch: TokenBatch): Readonly<Record<string, Tensor>> {
    const { session, tensor } = this.#options;
    const feeds: Record<string, Tensor> = {};
    for (const [place, name] of session.inputNames.entries()) {
      const values = name === "input_ids"
        ? batch.ids
        : name === "attention_mask"
        ? batch.mask
        : new Int32Array(batch.ids.length);
      const isShort = session.inputMetadata[place]?.type === "int32";
      const data = isShort ? values : BigInt64Array.from(values, BigInt);
      feeds[name] = tensor(isShort ? "int32" : "int64", data, [batch.rows, batch.columns]);
    }
    return feeds;
  }
}
