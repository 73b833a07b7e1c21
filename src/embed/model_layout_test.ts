import assert from "node:assert/strict";
import { type LayoutFiles, layoutOf } from "./model_layout.ts";

const NONE: LayoutFiles = {
  tokenizerConfig: null,
  config: null,
  sentenceConfig: null,
  pooling: null,
  modules: null,
};

function layout(files: Partial<LayoutFiles>, tokensMax = 512) {
  return layoutOf({ ...NONE, ...files }, tokensMax);
}

Deno.test("layoutOf takes the mean and the caller's bound where nothing is said", () => {
  assert.deepEqual(layout({}), { pooling: "mean", tokensMax: 512 });
  assert.deepEqual(layout({ config: [], pooling: {}, sentenceConfig: 7, modules: {} }, 9), {
    pooling: "mean",
    tokensMax: 9,
  });
});

Deno.test("layoutOf takes the least of all limits, and no nonsense for one", () => {
  const sentenceConfig = { max_seq_length: 128 };
  const tokenizerConfig = { model_max_length: 1e30 };
  assert.equal(layout({ sentenceConfig, tokenizerConfig }).tokensMax, 128);
  assert.equal(layout({ sentenceConfig: { max_seq_length: null } }).tokensMax, 512);
  assert.equal(layout({ sentenceConfig: { max_seq_length: -1 } }).tokensMax, 512);
  const config = { max_position_embeddings: 514, model_type: "xlm-roberta" };
  assert.equal(layout({ config }, 4_096).tokensMax, 512);
  assert.equal(layout({ config: { ...config, model_type: "bert" } }, 4_096).tokensMax, 514);
});

Deno.test("layoutOf reads the pooling and refuses one that it cannot do", () => {
  const pooling = (...names: readonly string[]) => {
    const flags = names.map((name) => [`pooling_mode_${name}`, true]);
    const config = { word_embedding_dimension: 3, pooling_mode_max_tokens: false };
    return layout({ pooling: { ...config, ...Object.fromEntries(flags) } }).pooling;
  };
  assert.equal(pooling("mean_tokens"), "mean");
  assert.equal(pooling("mean_sqrt_len_tokens"), "mean");
  assert.equal(pooling("cls_token"), "cls");
  assert.equal(pooling("lasttoken"), "last");
  assert.throws(() => pooling("max_tokens"), RangeError);
  assert.throws(() => pooling("weightedmean_tokens"), RangeError);
  assert.throws(
    () => pooling("cls_token", "mean_tokens"),
    /cls_token and pooling_mode_mean_tokens/,
  );
});

Deno.test("layoutOf refuses a pipeline with further steps", () => {
  const modules = ["Transformer", "Pooling", "Normalize"].map((name) => {
    return { type: `sentence_transformers.models.${name}` };
  });
  assert.equal(layout({ modules }).pooling, "mean");
  const dense = { type: "sentence_transformers.models.Dense" };
  assert.throws(() => layout({ modules: [...modules, dense] }), /models\.Dense/);
});
