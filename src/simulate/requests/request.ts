/**
 * A request to a simulated model, whatever API it came in by.
 *
 * Equal conversations become equal requests, so that a backend asked over
 * chat completions and one asked over messages give the same answer.
 *
 * @module
 */

/** The text-generating APIs. */
export type TextSurface = "chat" | "completions" | "responses" | "messages";

/** One turn of the conversation. */
export interface Turn {
  /** Who spoke: `system`, `user`, `assistant` or `tool`. */
  readonly role: string;
  /** Its text; what is not text is named in brackets. */
  readonly text: string;
}

/** A tool the model may call. */
export interface Tool {
  /** The function's name. */
  readonly name: string;
  /** JSON Schema of its arguments. */
  readonly parameters: unknown;
}

/** Whether a tool has to be called: by the prompt, never, any one, or the named one. */
export type ToolChoice = "auto" | "none" | "any" | { readonly name: string };

/** A request for text. */
export interface TextRequest {
  /** The API it came in by. */
  readonly surface: TextSurface;
  /** The model's name as sent. */
  readonly model: string;
  /** Whether events are wanted. */
  readonly stream: boolean;
  /** Whether the stream shall carry usage (chat and completions only). */
  readonly includeUsage: boolean;
  /** The conversation, system prompt first. */
  readonly turns: readonly Turn[];
  /** Role of the last message as sent. */
  readonly lastRole: string | null;
  /** Tokens the answer may have at most. */
  readonly tokensMax: number | null;
  /** Texts that end the answer. */
  readonly stops: readonly string[];
  /** What may be called. */
  readonly tools: readonly Tool[];
  /** What has to be called. */
  readonly toolChoice: ToolChoice;
  /** Whether the request itself asks for visible reasoning. */
  readonly reasoning: boolean;
}

/** A request for embeddings. */
export interface EmbeddingsRequest {
  /** The API it came in by. */
  readonly surface: "embeddings";
  /** The model's name as sent. */
  readonly model: string;
  /** The texts to embed. */
  readonly inputs: readonly string[];
  /** Length of each vector. */
  readonly dimensions: number;
  /** How vectors are written. */
  readonly encoding: "float" | "base64";
}

/** Any request to a simulated model. */
export type SimulatedRequest = TextRequest | EmbeddingsRequest;

/** The text an assistant's last message begins the answer with, or `null` if the user spoke last. */
export function prefillOf(request: TextRequest): string | null {
  const last = request.turns.at(-1);
  return last !== undefined && last.role === "assistant" ? last.text : null;
}

/** Prompt tokens as the simulator counts them: words, and four for each message. */
export function promptTokens(request: SimulatedRequest): number {
  if (request.surface === "embeddings") return sum(request.inputs.map(wordCount));
  return sum(request.turns.map((turn) => wordCount(turn.text) + 4));
}

function wordCount(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
