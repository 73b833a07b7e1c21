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

/** Makes the call; never throws. */
export async function callChat(call: Call): Promise<CallResult> {
  const startedMs = performance.now();
  const seen = {
    content: "",
    code: null,
    status: null,
    model: null,
    completionTokens: null,
    done: false,
  } as {
    content: string;
    code: string | null;
    status: number | null;
    model: string | null;
    completionTokens: number | null;
    done: boolean;
  };
  let outcome: CallResult["outcome"] = "success";
  let error = "";
  try {
    const response = await fetch(`${call.baseUrl}/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-request-id": call.requestId,
        ...call.headers,
      },
      body: JSON.stringify({
        model: call.model,
        stream: call.stream,
        messages: [{
          role: "user",
          content: "Say in sixty words what a gateway is good for.",
        }],
        ...(call.stream ? { stream_options: { include_usage: true } } : {}),
      }),
      signal: AbortSignal.timeout(call.maxSeconds * 1_000),
    });
    seen.status = response.status;
    for await (
      const data of call.stream && response.ok ? eventData(response) : whole(response)
    ) {
      if (data === "[DONE]") {
        seen.done = true;
        continue;
      }
      const chunk: Chunk = JSON.parse(data);
      if (chunk.error !== undefined) {
        outcome = "error";
        error = chunk.error.message ?? "";
        seen.code = chunk.error.code ?? null;
        continue;
      }
      seen.model = chunk.model ?? seen.model;
      seen.completionTokens = chunk.usage?.completion_tokens ??
        seen.completionTokens;
      for (const choice of chunk.choices ?? []) {
        seen.content += choice.delta?.content ?? choice.message?.content ?? "";
      }
    }
  } catch (cause) {
    const timedOut = cause instanceof DOMException &&
      cause.name === "TimeoutError";
    if (outcome === "success") error = String(cause);
    outcome = timedOut ? "hang" : "error";
  }
  return {
    ...seen,
    outcome,
    error,
    elapsedSeconds: (performance.now() - startedMs) / 1_000,
  };
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
