/**
 * Embeddings from a model of the operator's own: an ONNX file with its tokenizer.
 *
 * The model lives in a worker, because one run holds its thread for milliseconds.
 * A worker that ends, or that does not answer, is replaced at the next text; one
 * that keeps ending is left alone for a while.
 *
 * @module
 */
import { type Clock, type Embedder, EmbedError } from "../ports.ts";
import type { EmbedBreakerPhase } from "./embed_breaker.ts";
import { type BatchInterest, type EmbedEvent, EmbedGate } from "./embed_gate.ts";
import { EmbedGuard } from "./embed_guard.ts";
import type { EmbedResult } from "./embeddings_wire.ts";
import { ModelClient } from "./model_client.ts";
import type { ModelWorker, ModelWorkerEvents } from "./model_messages.ts";
import { unitVector } from "./vector_check.ts";
import { startModelWorker } from "./workers.ts";

/** What a local model's embedder is made from; what has a default may be left out. */
export interface LocalModelOptions {
  /** Folder with `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json`. */
  readonly directory: string;
  /** Measures deadlines. */
  readonly clock: Clock;
  /** Texts that may wait for the worker; a call with more is always refused. 64 by default. */
  readonly queueMax?: number;
  /** Texts handed to the worker at once; 16 by default. */
  readonly batchMax?: number;
  /** Texts whose vectors are remembered; 2,048 by default. */
  readonly memoEntries?: number;
  /** Longest text in tokens, whatever the model allows; 512 by default. */
  readonly tokensMax?: number;
  /** Threads of one run; 1 by default. */
  readonly threads?: number;
  /** Limit for loading the model, in milliseconds; 120,000 by default. */
  readonly openMs?: number;
  /** Limit for one batch, in milliseconds, after which the worker is replaced; 30,000 by default. */
  readonly batchMs?: number;
  /** Told of everything that happens. */
  readonly onEvent: (event: EmbedEvent) => void;
  /** Starts a worker; for tests that want to end it. */
  readonly start?: (directory: string, events: ModelWorkerEvents) => ModelWorker;
}

/** An embedder of which can be seen how it is. */
export interface LocalModelEmbedder extends Embedder {
  /** Texts that wait for the worker. */
  readonly queued: number;
  /** Where the breaker of its worker stands. */
  readonly breaker: EmbedBreakerPhase;
}

/** Workers that end three times in a row are started again after 1 s, 2 s, … 60 s. */
const RESTARTS = { failuresMax: 3, openMs: 1_000, openMaxMs: 60_000 };

/**
 * Loads a model and tries it out.
 *
 * @throws {LocalModelError} If it cannot be used; `problem` says what is missing.
 */
export async function createLocalModelEmbedder(
  options: LocalModelOptions,
): Promise<LocalModelEmbedder> {
  const client = new ModelClient({
    clock: options.clock,
    start: (events) => (options.start ?? startModelWorker)(options.directory, events),
    open: {
      type: "open",
      directory: options.directory,
      tokensMax: options.tokensMax ?? 512,
      threads: options.threads ?? 1,
    },
    openMs: options.openMs ?? 120_000,
    batchMs: options.batchMs ?? 30_000,
  });
  const { digest, dims } = await client.open();
  const guard = new EmbedGuard({
    clock: options.clock,
    policy: RESTARTS,
    onPhase: (phase) => options.onEvent({ type: "breaker", phase }),
  });
  const gate = new EmbedGate({
    id: `local:${digest}`,
    dims,
    clock: options.clock,
    queueMax: options.queueMax ?? 64,
    batchMax: options.batchMax ?? 16,
    batchWaitMs: 0,
    callsMax: 1,
    memoEntries: options.memoEntries ?? 2_048,
    onEvent: options.onEvent,
    refusal: () => guard.admits ? null : openError(),
    ask: (texts, interest) => ask({ client, guard, dims }, texts, interest),
    onClose: () => client.close(),
  });
  return {
    id: gate.id,
    dims,
    get queued() {
      return gate.queued;
    },
    get breaker() {
      return guard.phase;
    },
    embed: (texts, deadlineMs) => gate.embed(texts, deadlineMs),
    close: () => gate.close(),
  };
}

interface Parts {
  readonly client: ModelClient;
  readonly guard: EmbedGuard;
  readonly dims: number;
}

async function ask(
  { client, guard, dims }: Parts,
  texts: readonly string[],
  interest: BatchInterest,
): Promise<readonly EmbedResult[]> {
  const settle = guard.admit();
  if (settle === null) throw openError();
  interest.onDeserted(() => settle(false));
  let vectors: readonly Float32Array[];
  try {
    vectors = await client.embed(texts);
  } catch (cause) {
    settle(false);
    throw cause;
  }
  settle(true);
  return vectors.map((vector) => checked(vector, dims));
}

function checked(vector: Float32Array, dims: number): EmbedResult {
  if (vector.length === 0) {
    return new EmbedError("unusable", "Cannot embed text: the model knows too little of it");
  }
  try {
    return unitVector(vector, dims);
  } catch (error) {
    if (error instanceof EmbedError) return error;
    throw error;
  }
}

function openError(): EmbedError {
  return new EmbedError("open", "Cannot embed: the worker of the local model keeps failing");
}
