/**
 * The worker that holds a local model.
 *
 * ONNX Runtime and the tokenizer are an add-on of some 300 MB: their names are
 * not written as literals of an import, so that nothing fetches them but who
 * installs the add-on. `onnxruntime-node` with `@huggingface/tokenizers` (291 MB,
 * 0.2-0.5 s to import) was taken rather than `@huggingface/transformers` (495 MB,
 * 0.9-1.3 s), which brings a second runtime, image code and downloads.
 *
 * A model is loaded by its path, since weights in a file of their own
 * (`model.onnx_data`) are found in no other way. Native code reads it past
 * Deno's permissions; those of this worker bound what is written in TypeScript.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { layoutOf, type ModelLayout } from "./model_layout.ts";
import type { FromModel, LocalModelProblem, ToModel } from "./model_messages.ts";
import { ModelSession, type Session, type Tensor } from "./model_session.ts";
import { TokenEncoder, type Tokenizer } from "./model_tokens.ts";

/** The part of a worker's global scope that is used here; the types are those of a page. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToModel>) => void) | null;
  postMessage(message: FromModel, transfer: Transferable[]): void;
  close(): void;
}

/** The part of `onnxruntime-node` that is used here. */
interface Runtime {
  readonly InferenceSession: {
    create(path: string, options: Readonly<Record<string, unknown>>): Promise<Session>;
  };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => Tensor;
}

/** The part of `@huggingface/tokenizers` that is used here. */
interface TokenizerLibrary {
  readonly Tokenizer: new (tokenizer: unknown, config: unknown) => Tokenizer & {
    token_to_id(token: string): number | undefined;
  };
}

type Open = Extract<ToModel, { type: "open" }>;

/** Why opening ended, in words for the operator. */
class Refusal extends Error {
  override readonly name = "Refusal";
  readonly problem: LocalModelProblem;

  constructor(problem: LocalModelProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

/** A model is tried out with this before it is offered. */
const WARM_UP = "hello";

const HASH_PIECE_BYTES = 1_048_576;

const scope = globalThis as unknown as WorkerScope;
let model: ModelSession | null = null;

// What is thrown here is not handled on purpose: it ends the worker, and the client starts another.
scope.onmessage = (event) => void handle(event.data).catch(freeAndThrow);

async function handle(message: ToModel): Promise<void> {
  switch (message.type) {
    case "open":
      return await open(message);
    case "embed":
      return await embed(message.texts);
    case "close":
      await model?.release();
      return scope.close();
    default:
      throw new TypeError("Cannot handle a message: its type is unknown");
  }
}

async function freeAndThrow(error: unknown): Promise<never> {
  await model?.release();
  throw error;
}

async function embed(texts: readonly string[]): Promise<void> {
  try {
    if (model === null) throw new Error("Cannot embed: the model is not open");
    const vectors = await model.embed(texts);
    scope.postMessage({ type: "embedded", vectors }, vectors.map(({ buffer }) => buffer));
  } catch (error) {
    scope.postMessage({ type: "failed", message: messageOf(error) }, []);
  }
}

async function open(options: Open): Promise<void> {
  try {
    const path = modelPath(options.directory);
    const { tokenizer, tokenizerConfig, layout, identity } = readBeside(options);
    const { runtime, library } = await importAddon();
    const tokens = tokenizerOf(library, tokenizer, tokenizerConfig);
    const idOf = (name: string) => idIn(tokens, tokenizerConfig, name);
    const encoder = new TokenEncoder({
      tokenizer: tokens,
      tokensMax: layout.tokensMax,
      unknownId: idOf("unk_token"),
    });
    const session = await load(runtime, path, options.threads);
    model = await openSession({
      session,
      encoder,
      padId: idOf("pad_token") ?? 0,
      pooling: layout.pooling,
      tensor: (type, data, dims) => new runtime.Tensor(type, data, dims),
    });
    const [vector] = await model.embed([WARM_UP]).catch(unusable);
    if (vector === undefined || vector.length === 0) {
      throw new Refusal("tokenizer", `Cannot use tokenizer: it does not know the word ${WARM_UP}`);
    }
    const digest = digestOf(path, identity);
    scope.postMessage({ type: "opened", digest, dims: vector.length }, []);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { problem, message } = error;
    scope.postMessage({ type: "refused", problem, message }, []);
  }
}

/** Where the model is: `model.onnx`, or below `onnx/` as in newer exports. */
function modelPath(directory: string): string {
  const info = statOf(directory);
  if (info === null || !info.isDirectory) {
    throw new Refusal("directory", `Cannot open local model: there is no directory ${directory}`);
  }
  const path = ["model.onnx", "onnx/model.onnx"].map((name) => `${directory}/${name}`)
    .find((candidate) => statOf(candidate)?.isFile === true);
  if (path !== undefined) return path;
  throw new Refusal(
    "model",
    `Cannot open local model: there is neither model.onnx nor onnx/model.onnx in ${directory}`,
  );
}

function statOf(path: string): Deno.FileInfo | null {
  return reading(path, () => Deno.statSync(path));
}

/** What `read` gives; `null` if there is no such file. */
function reading<T>(path: string, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return null;
    }
    if (
      !(error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied)
    ) {
      throw error;
    }
    throw new Refusal("permission", `Cannot open local model: ${path} may not be read`);
  }
}

interface Beside {
  readonly tokenizer: unknown;
  readonly tokenizerConfig: unknown;
  readonly layout: ModelLayout;
  /** What of it decides how vectors come out. */
  readonly identity: string;
}

function readBeside({ directory, tokensMax }: Open): Beside {
  const text = (name: string) => {
    return reading(name, () => Deno.readTextFileSync(`${directory}/${name}`));
  };
  const json = (name: string, problem: LocalModelProblem = "model"): unknown => {
    const content = text(name);
    if (content === null) return null;
    try {
      return JSON.parse(content);
    } catch (error) {
      throw new Refusal(problem, `Cannot read ${directory}/${name}: ${messageOf(error)}`);
    }
  };
  const tokenizer = json("tokenizer.json", "tokenizer");
  if (tokenizer === null) {
    const why = `there is no tokenizer.json in ${directory}`;
    throw new Refusal("tokenizer", `Cannot open local model: ${why}`);
  }
  const tokenizerConfig = json("tokenizer_config.json", "tokenizer") ?? {};
  const files = {
    tokenizerConfig,
    config: json("config.json"),
    sentenceConfig: json("sentence_bert_config.json"),
    pooling: json("1_Pooling/config.json"),
    modules: json("modules.json"),
  };
  const layout = usable(() => layoutOf(files, tokensMax));
  const identity = JSON.stringify([tokenizer, tokenizerConfig, layout]);
  return { tokenizer, tokenizerConfig, layout, identity };
}

async function importAddon(): Promise<
  { readonly runtime: Runtime; readonly library: TokenizerLibrary }
> {
  const names = ["onnxruntime-node", "@huggingface/tokenizers"];
  try {
    const [runtime, library] = await Promise.all(names.map((name) => import(name)));
    return { runtime, library };
  } catch (error) {
    const why = messageOf(error).split("\n", 1)[0];
    if (error instanceof Deno.errors.NotCapable) {
      throw new Refusal("permission", `Cannot load native code: ${why}`);
    }
    const config = "addons/local_model/deno.json";
    throw new Refusal(
      "addon",
      `Cannot load the add-on for local models: ${why}. Install it by ` +
        `"deno install --config ${config}" and run with --config ${config}`,
    );
  }
}

function tokenizerOf(library: TokenizerLibrary, tokenizer: unknown, config: unknown) {
  try {
    return new library.Tokenizer(tokenizer, config);
  } catch (error) {
    throw new Refusal("tokenizer", `Cannot use tokenizer.json: ${messageOf(error)}`);
  }
}

/** The id of `pad_token` or `unk_token`, which a configuration names or describes. */
function idIn(
  tokens: { token_to_id(token: string): number | undefined },
  config: unknown,
  name: string,
): number | null {
  const given = (config as Readonly<Record<string, unknown>>)[name];
  const content = typeof given === "object" && given !== null && "content" in given
    ? given.content
    : given;
  const usual = name === "pad_token" ? ["[PAD]", "<pad>"] : ["[UNK]", "<unk>"];
  for (const token of typeof content === "string" ? [content] : usual) {
    const id = tokens.token_to_id(token);
    if (id !== undefined) return id;
  }
  return null;
}

async function load(runtime: Runtime, path: string, threads: number): Promise<Session> {
  try {
    return await runtime.InferenceSession.create(path, {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 4, // What fails is thrown as well.
    });
  } catch (error) {
    throw new Refusal("model", `Cannot load ${path}: ${messageOf(error)}`);
  }
}

function openSession(options: ConstructorParameters<typeof ModelSession>[0]): ModelSession {
  return usable(() => new ModelSession(options));
}

function usable<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Refusal("model", error.message);
  }
}

function unusable(error: unknown): never {
  throw new Refusal("model", `Cannot run the model: ${messageOf(error)}`);
}

/** Reads the model once more, by pieces: it may be larger than memory allows twice. */
function digestOf(path: string, identity: string): string {
  const hash = createHash("sha256");
  for (const name of [path, `${path}_data`]) {
    const file = reading(name, () => Deno.openSync(name));
    if (file === null) continue;
    using opened = file;
    const piece = new Uint8Array(HASH_PIECE_BYTES);
    for (let count = opened.readSync(piece); count !== null; count = opened.readSync(piece)) {
      hash.update(piece.subarray(0, count));
    }
  }
  return hash.update(identity).digest("hex").slice(0, 16);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
