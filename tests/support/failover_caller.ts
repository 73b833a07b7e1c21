/**
 * A careful caller: one streamed chat request, judged as a client would judge it.
 *
 * @module
 */

/** What the caller got. */
export interface CallResult {
  /** `success` only if the stream ended cleanly and without an error event. */
  readonly outcome: "success" | "error" | "hang";
  /** Text received. */
  readonly content: string;
  /** What went wrong, in words; empty for a success. */
  readonly error: string;
  /** Code of an error, where one was told. */
  readonly code: string | null;
  /** HTTP status; `null` where none came. */
  readonly status: number | null;
  /** The `model` field of the last chunk that had one. */
  readonly model: string | null;
  /** Completion tokens of the usage block. */
  readonly completionTokens: number | null;
  /** From the call to its end. */
  readonly elapsedSeconds: number;
  /** Whether `[DONE]` was seen. */
  readonly done: boolean;
}

/** One call. */
export interface Call {
  /** Base URL with `/v1`. */
  readonly baseUrl: string;
  /** Model alias. */
  readonly model: string;
  /** Sent as `x-request-id`. */
  readonly requestId: string;
  /** Whether a stream is asked for. */
  readonly stream: boolean;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** After this long the call counts as hung. */
  readonly maxSeconds: number;
}

interface Chunk {
  readonly model?: string;
  readonly usage?: { readonly completion_tokens?: number } | null;
  readonly error?: { readonly message?: string; readonly code?: string | null };
  readonly choices?: ReadonlyArray<{
    readonly delta?: { readonly content?: string | null };
    readonly message?: { readonly content?: string | null };
  }>;
}

/** What is written down while the answer comes. */
type Notes = { -readonly [K in keyof Omit<CallResult, "elapsedSeconds">]: CallResult[K] };

/** Makes the call; never throws. */
export async function callChat(call: Call): Promise<CallResult> {
  const startedMs = performance.now();
  const notes: Notes = {
    outcome: "success",
    content: "",
    error: "",
    code: null,
    status: null,
    model: null,
    completionTokens: null,
    done: false,
  };
  try {
    const response = await send(call);
    notes.status = response.status;
    for await (const data of call.stream && response.ok ? eventData(response) : whole(response)) {
      note(data, notes);
    }
  } catch (cause) {
    const timedOut = cause instanceof DOMException && cause.name === "TimeoutError";
    if (notes.outcome === "success") notes.error = String(cause);
    notes.outcome = timedOut ? "hang" : "error";
  }
  return { ...notes, elapsedSeconds: (performance.now() - startedMs) / 1_000 };
}

function send(call: Call): Promise<Response> {
  return fetch(`${call.baseUrl}/chat/completions`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-request-id": call.requestId,
      ...call.headers,
    },
    body: JSON.stringify({
      model: call.model,
      stream: call.stream,
      messages: [{ role: "user", content: "Say in sixty words what a gateway is good for." }],
      ...(call.stream ? { stream_options: { include_usage: true } } : {}),
    }),
    signal: AbortSignal.timeout(call.maxSeconds * 1_000),
  });
}

function note(data: string, notes: Notes): void {
  if (data === "[DONE]") {
    notes.done = true;
    return;
  }
  const chunk: Chunk = JSON.parse(data);
  if (chunk.error !== undefined) {
    notes.outcome = "error";
    notes.error = chunk.error.message ?? "";
    notes.code = chunk.error.code ?? null;
    return;
  }
  notes.model = chunk.model ?? notes.model;
  notes.completionTokens = chunk.usage?.completion_tokens ?? notes.completionTokens;
  for (const choice of chunk.choices ?? []) {
    notes.content += choice.delta?.content ?? choice.message?.content ?? "";
  }
}

async function* whole(response: Response): AsyncGenerator<string> {
  yield await response.text();
}

async function* eventData(response: Response): AsyncGenerator<string> {
  const text = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream());
  let buffered = "";
  for await (const piece of text) {
    buffered += piece;
    // A CR at the end may be half of a CRLF: it waits for the next piece.
    const whole = buffered.endsWith("\r") ? buffered.slice(0, -1) : buffered;
    const lines = whole.split(/\r\n|\r|\n/);
    buffered = (lines.pop() ?? "") + buffered.slice(whole.length);
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
  }
}
