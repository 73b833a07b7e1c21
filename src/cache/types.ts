/**
 * What the parts of the cache say to one another.
 *
 * From certain to probable: a request in progress (`flight`), the same request
 * (`exact`), the same but for spelling (`canonical`), one that means the same
 * (`semantic`). Every hit says which layer gave it.
 *
 * @module
 */

/** A layer that may answer. */
export type Layer = "flight" | "exact" | "canonical" | "semantic";

/** The APIs whose answers are stored. */
export type CachedSurface = "chat" | "completions" | "responses" | "messages";

/** A parsed JSON object of which nothing is known. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * A whole answer in the words of its API, from which a JSON answer and a stream
 * are both made, whichever way it had come.
 */
export interface AnswerRecord {
  /** The API it was given in; it is never served in another. */
  readonly surface: CachedSurface;
  /** The answer's text. */
  readonly text: string;
  /** Lengths of the pieces it was streamed in, in UTF-16 units; empty if it came whole. */
  readonly pieces: readonly number[];
  /** Reasoning that was sent beside the text, under the backend's name for it. */
  readonly reasoning: { readonly field: string; readonly text: string } | null;
  /** Finish reason, stop reason or status, in the API's own words. */
  readonly finish: string;
  /** The stop sequence that ended it (messages). */
  readonly stopSequence: string | null;
  /** The model, in the backend's words. */
  readonly model: string;
  /** Token counts in the API's own shape; `null` where none came. */
  readonly usage: JsonObject | null;
  /** Further fields of the answer worth keeping, such as `system_fingerprint`. */
  readonly extra: JsonObject;
}

/** One stored answer. */
export interface CacheEntry {
  /** 1 to 2^53−1, drawn at random: the key of its vector, and in base 36 its public name. */
  readonly id: number;
  /** The hard partition: nothing is ever served across it. */
  readonly scope: string;
  /** Digest of the whole request. */
  readonly exactKey: string;
  /** Digest of the request with the user's text folded; `null` where folding is not allowed. */
  readonly canonicalKey: string | null;
  /** Who asked: an access key's name, empty where no keys are set. */
  readonly tenant: string;
  /** The model alias asked for. */
  readonly route: string;
  /** The last user turn; `null` where similarity must not look at it. */
  readonly turn: string | null;
  /** What it can be invalidated by: `tenant:…`, `model:…`, `route:…`, `prefix:…`, `tag:…`. */
  readonly tags: readonly string[];
  /** Invalidations that had been made when its request began. */
  readonly sequence: number;
  /** When it was stored, in milliseconds since the epoch. */
  readonly storedMs: number;
  /** When it is no longer fresh, in milliseconds since the epoch. */
  readonly expiresMs: number;
  /** Until when it may serve if no backend can, in milliseconds since the epoch. */
  readonly staleUntilMs: number;
  /** The answer. */
  readonly answer: AnswerRecord;
  /** What it is reckoned to occupy, in bytes. */
  readonly sizeBytes: number;
}

/** How the semantic layer decides. */
export type SemanticMode = "off" | "observe" | "static" | "verified";

/** What the configuration says about caching one model. */
export interface CacheRules {
  /** Whether requests in progress are shared. */
  readonly flight: boolean;
  /** Whether equal requests are answered. */
  readonly exact: boolean;
  /** Whether requests equal but for spelling are answered. */
  readonly canonical: boolean;
  /** Whether, and how, similar requests are answered. */
  readonly semantic: SemanticMode;
  /** Similarity from which `static` serves; `null` where the embedder has no default. */
  readonly threshold: number | null;
  /** Greatest share of wrong answers that `verified` allows, 0 to 1. */
  readonly errorBound: number;
  /** Most messages with which a request may be answered by similarity. */
  readonly messagesMax: number;
  /** Longest last turn that may be answered by similarity, in characters. */
  readonly turnCharactersMax: number;
  /** Highest temperature at which all layers serve. */
  readonly temperatureMax: number;
  /** Whether only requests that ask for temperature 0 are cached at all. */
  readonly deterministicOnly: boolean;
  /** How long an answer is fresh, in milliseconds. */
  readonly ttlMs: number;
  /** The most that a header may ask for, in milliseconds. */
  readonly ttlMaxMs: number;
  /** The same for texts that speak of the present ("today"), in milliseconds. */
  readonly relativeTimeTtlMs: number;
  /** How long beyond that it may serve when no backend can, in milliseconds. */
  readonly staleIfErrorMs: number;
  /** Longest request body that is looked up, in characters. */
  readonly bodyCharactersMax: number;
}

/** What a client's headers ask of the cache. */
export interface CacheControls {
  /** Layers that the client allows: `Weir-Cache-Mode`; `null` where it says nothing. */
  readonly mode: "off" | "exact" | "semantic" | null;
  /** `Cache-Control: no-cache`: ask the model, store the answer. */
  readonly refresh: boolean;
  /** `Cache-Control: no-store`: keep nothing of it. */
  readonly noStore: boolean;
  /** `Cache-Control: only-if-cached`: a miss is answered 504. */
  readonly onlyIfCached: boolean;
  /** `Cache-Control: max-age`, in milliseconds: nothing older. */
  readonly maxAgeMs: number | null;
  /** `Weir-Cache-TTL`, in milliseconds. */
  readonly ttlMs: number | null;
  /** `Weir-Cache-Threshold`: it can only raise the configured one. */
  readonly threshold: number | null;
  /** `Weir-Cache-Namespace`: subdivides a tenant. */
  readonly namespace: string;
  /** `Weir-Cache-Tags`. */
  readonly tags: readonly string[];
}

/** Why a request passes the cache by. */
export type BypassReason =
  | "off" // the client's header says so
  | "surface" // an API whose answers are not stored
  | "too_large"
  | "not_a_user_turn"
  | "tools" // hosted tools, whose answers depend on more than the request
  | "server_state" // a conversation that is kept by the backend
  | "output" // audio, images, log probabilities
  | "choices" // more than one answer asked for
  | "sampling" // not deterministic enough for this route
  | "no_layer"; // no layer may answer it

/** A request as the cache sees it. */
export interface CacheRequest {
  /** The API. */
  readonly surface: CachedSurface;
  /** The hard partition. */
  readonly scope: string;
  /** Digest of the whole request. */
  readonly exactKey: string;
  /** Digest with the text folded; `null` where that layer may not answer. */
  readonly canonicalKey: string | null;
  /** The last user turn; `null` where the semantic layer may not answer. */
  readonly turn: string | null;
  /** Whether requests with this exact key may share a call. */
  readonly joinable: boolean;
  /** Who asks. */
  readonly tenant: string;
  /** The model alias. */
  readonly route: string;
  /** What its entry can be invalidated by. */
  readonly tags: readonly string[];
  /** How long its answer is fresh, before jitter, in milliseconds. */
  readonly ttlMs: number;
  /** How long beyond that it may serve when no backend can, in milliseconds. */
  readonly staleIfErrorMs: number;
}

/** Why an answer was not stored. */
export type StoreRefusal =
  | "status" // not a 2xx
  | "error" // an error, be it inside a 200
  | "incomplete" // it did not reach its protocol's end
  | "truncated" // it was cut off at its length
  | "filtered" // a content filter, or the model's own refusal
  | "tool_call"
  | "choices"
  | "media" // audio, images, anything but text
  | "empty"
  | "unreadable"
  | "too_large"
  | "no_store" // the client or the backend forbids it
  | "fallback" // by another model than the one asked for
  | "spliced" // a continuation
  | "invalidated"; // an invalidation came while it was under way

/** What one invalidation is about. */
export type Selector =
  | { readonly type: "all" }
  | { readonly type: "id"; readonly id: number }
  | { readonly type: "tag"; readonly tag: string };
