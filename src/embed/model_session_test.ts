import assert from "node:assert/strict";
import { ModelSession, type Session, type Tensor } from "./model_session.ts";
import { TokenEncoder } from "./model_tokens.ts";

/** A character is a token; a space is unknown. */
const ENCODER = new TokenEncoder({
  tokensMax: 8,
  unknownId: 32,
  tokenizer: { encode: (text) => ({ ids: [...text].map((one) => one.charCodeAt(0)) }) },
});

interface Given {
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  readonly type?: string;
  /** Makes the output from the ids. */
  readonly output?: (ids: Tensor) => Tensor;
}

/** Gives every token the vector (id, 1). */
function states(ids: Tensor): Tensor {
  const data = Float32Array.from([...ids.data as Int32Array].flatMap((id) => [Number(id), 1]));
  return { type: "float32", data, dims: [...ids.dims, 2] };
}

function open({ inputs, outputs, type, output = states }: Given) {
  const feeds: Readonly<Record<string, Tensor>>[] = [];
  const inputNames = inputs ?? ["input_ids", "attention_mask"];
  const session: Session = {
    inputNames,
    outputNames: outputs ?? ["last_hidden_state"],
    release: () => Promise.resolve(),
    inputMetadata: inputNames.map(() => ({ type: type ?? "int64" })),
    run(given, fetches) {
      feeds.push(given);
      const ids = given["input_ids"];
      assert.ok(ids !== undefined);
      return Promise.resolve({ [fetches[0] ?? ""]: output(ids) });
    },
  };
  const tensor = (kind: string, data: unknown, dims: readonly number[]) => {
    return { type: kind, data, dims };
  };
  const model = new ModelSession({ session, tensor, encoder: ENCODER, padId: 0, pooling: "mean" });
  return { model, feeds };
}

async function embed(given: Given, texts: readonly string[]): Promise<number[][]> {
  return (await open(given).model.embed(texts)).map((vector) => [...vector]);
}

Deno.test("ModelSession embeds in the order asked, with nothing for a text it cannot read", async () => {
  assert.deepEqual(await embed({}, ["bbb", " ", "a", "ac"]), [[98, 1], [], [97, 1], [98, 1]]);
});

Deno.test("ModelSession feeds what the model asks for, in its number type", async () => {
  const { model, feeds } = open({ inputs: ["input_ids", "token_type_ids"], type: "int32" });
  await model.embed(["ab", "c"]);
  assert.deepEqual(feeds, [{
    input_ids: { type: "int32", data: Int32Array.of(99, 0, 97, 98), dims: [2, 2] },
    token_type_ids: { type: "int32", data: new Int32Array(4), dims: [2, 2] },
  }]);
  const long = open({});
  await long.model.embed(["ab"]);
  assert.deepEqual(long.feeds[0]?.["attention_mask"]?.data, BigInt64Array.of(1n, 1n));
});

Deno.test("ModelSession prefers whole sentences, and pools none of them", async () => {
  const outputs = ["last_hidden_state", "sentence_embedding"];
  const output = ({ dims }: Tensor): Tensor => {
    const data = Float32Array.from({ length: (dims[0] ?? 0) * 3 }, (_, i) => i);
    return { type: "float32", data, dims: [dims[0] ?? 0, 3] };
  };
  assert.deepEqual(await embed({ outputs, output }, ["aa", "b"]), [[3, 4, 5], [0, 1, 2]]);
});

Deno.test("ModelSession refuses models that are not for texts", async () => {
  assert.throws(() => open({ inputs: ["pixel_values"] }), /inputs are pixel_values/);
  assert.throws(() => open({ inputs: ["input_ids", "position_ids"] }), RangeError);
  assert.throws(() => open({ outputs: ["logits"] }), /outputs are logits/);
  const float16 = (ids: Tensor): Tensor => ({ ...states(ids), data: new Uint16Array(2) });
  await assert.rejects(embed({ output: float16 }, ["a"]), /not float32/);
  for (const dims of [[1], [2, 2], [1, 2, 2], [1, 1, 1, 2], [1, 1, 0]]) {
    const output = (ids: Tensor): Tensor => ({ ...states(ids), dims });
    await assert.rejects(embed({ output }, ["a"]), /has the shape/);
  }
});
