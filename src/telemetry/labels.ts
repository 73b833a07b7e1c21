/**
 * Label values of the metrics, each from a closed list or from the configuration.
 *
 * Invariant: no function here returns text that a request made up. What is not
 * on a list becomes {@linkcode OTHER}, so the number of series depends on the
 * configuration alone.
 *
 * @module
 */

/** The API shape a client speaks; one value for each route that asks a model. */
export type Surface = "chat" | "completions" | "responses" | "embeddings" | "messages";

/** Every {@linkcode Surface}, in the order the documentation lists them. */
export const SURFACES: readonly Surface[] = [
  "chat",
  "completions",
  "responses",
  "embeddings",
  "messages",
];

/** The wire format of a backend. */
export type Provider = "openai" | "anthropic" | "azure";

/** Stands for every value that is not on a list. The spelling is OpenTelemetry's. */
export const OTHER = "_OTHER";

const OPERATION_BY_SURFACE: Readonly<Record<Surface, string>> = {
  chat: "chat",
  responses: "chat",
  messages: "chat",
  completions: "text_completion",
  embeddings: "embeddings",
};

const NAME_BY_PROVIDER: Readonly<Record<Provider, string>> = {
  openai: "openai",
  anthropic: "anthropic",
  azure: "azure.ai.openai",
};

const STATUSES: ReadonlySet<number> = new Set([
  ...[200, 201, 204, 400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 424, 429, 431, 499],
  ...[500, 501, 502, 503, 504, 529],
]);

const NAMES_MAX = 1_000;

/** The value of `gen_ai_operation_name` for a surface. */
export function operationName(surface: Surface): string {
  return OPERATION_BY_SURFACE[surface];
}

/** The value of `gen_ai_provider_name`; {@linkcode OTHER} where no backend was reached. */
export function providerName(provider: Provider | null): string {
  return provider === null ? OTHER : NAME_BY_PROVIDER[provider];
}

/**
 * The value of a `status` label: the number where it is a usual one, else its class.
 *
 * A backend may answer with any number, so the list is closed here.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(statusLabel(429), "429");
 * assert.equal(statusLabel(477), "4xx");
 * assert.equal(statusLabel(77), "_OTHER");
 * ```
 */
export function statusLabel(status: number): string {
  if (STATUSES.has(status)) return String(status);
  const hundreds = Math.floor(status / 100);
  return hundreds >= 1 && hundreds <= 5 ? `${hundreds}xx` : OTHER;
}

/**
 * Names that the configuration gave, and nobody else.
 *
 * A name seen once stays known, so that what began under an old configuration
 * is counted where it began; {@linkcode NAMES_MAX} ends that for a gateway that
 * is reconfigured forever.
 */
export class KnownNames {
  readonly #list: () => Iterable<string>;
  readonly #seen = new Set<string>();

  /** Takes a function that lists the names configured now; it is asked on each new name. */
  constructor(list: () => Iterable<string>) {
    this.#list = list;
  }

  /** The name itself where it is configured, {@linkcode OTHER} where not, "" for `null`. */
  label(name: string | null): string {
    if (name === null) return "";
    if (this.#seen.has(name)) return name;
    if (name === OTHER || this.#seen.size >= NAMES_MAX) return OTHER;
    for (const known of this.#list()) {
      if (known !== name) continue;
      this.#seen.add(name);
      return name;
    }
    return OTHER;
  }
}
