/**
 * What the files beside an ONNX model say about how to use it.
 *
 * The layout is that of an export for sentence-transformers. Whatever would make
 * other vectors than the model's own is refused rather than guessed.
 *
 * @module
 */

/** How token vectors become one vector. */
export type Pooling = "mean" | "cls" | "last";

/** How a model is used. */
export interface ModelLayout {
  /** How token vectors become one; without meaning where the model does that itself. */
  readonly pooling: Pooling;
  /** Longest text in tokens, those that frame it included; the rest is cut off. */
  readonly tokensMax: number;
}

/** Contents of the files that may stand beside a model, parsed; `null` for those that do not. */
export interface LayoutFiles {
  /** `tokenizer_config.json`. */
  readonly tokenizerConfig: unknown;
  /** `config.json`. */
  readonly config: unknown;
  /** `sentence_bert_config.json`. */
  readonly sentenceConfig: unknown;
  /** `1_Pooling/config.json`. */
  readonly pooling: unknown;
  /** `modules.json`. */
  readonly modules: unknown;
}

const POOLING_BY_FLAG: Readonly<Record<string, Pooling>> = {
  pooling_mode_mean_tokens: "mean",
  // The same direction as the mean, and only the direction is kept.
  pooling_mode_mean_sqrt_len_tokens: "mean",
  pooling_mode_cls_token: "cls",
  pooling_mode_lasttoken: "last",
};

/** Steps of a sentence-transformers pipeline that are carried out here. */
const MODULES = /\.(Transformer|Pooling|Normalize)$/;

/**
 * Reads the layout.
 *
 * @param tokensMax Upper bound, whatever the model allows.
 * @throws {RangeError} If the model needs what is not done here.
 */
export function layoutOf(files: LayoutFiles, tokensMax: number): ModelLayout {
  for (const module of Array.isArray(files.modules) ? files.modules : []) {
    const type = field(module, "type");
    if (typeof type === "string" && !MODULES.test(type)) {
      throw new RangeError(`Cannot use model: it needs the step ${type}`);
    }
  }
  const limits = [
    field(files.sentenceConfig, "max_seq_length"),
    field(files.tokenizerConfig, "model_max_length"),
    positionsOf(files.config),
  ];
  const known = limits.filter((limit) => typeof limit === "number" && limit >= 3);
  return {
    pooling: poolingOf(files.pooling),
    tokensMax: Math.min(tokensMax, ...known as number[]),
  };
}

function poolingOf(config: unknown): Pooling {
  if (typeof config !== "object" || config === null) return "mean";
  const flags = Object.entries(config)
    .filter(([name, value]) => name.startsWith("pooling_mode_") && value === true)
    .map(([name]) => name);
  const poolings = new Set(flags.map((flag) => POOLING_BY_FLAG[flag]));
  const [pooling] = poolings;
  if (poolings.size === 0) return "mean";
  if (poolings.size > 1 || pooling === undefined) {
    throw new RangeError(`Cannot use model: it pools by ${flags.join(" and ")}`);
  }
  return pooling;
}

/** RoBERTa and its kin count positions from the padding id + 1 on. */
function positionsOf(config: unknown): unknown {
  const positions = field(config, "max_position_embeddings");
  const type = field(config, "model_type");
  const isShifted = typeof type === "string" && /roberta|camembert|mpnet/.test(type);
  return typeof positions === "number" && isShifted ? positions - 2 : positions;
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
