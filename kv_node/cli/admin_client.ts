/**
 * Talks to the admin listener of a node.
 *
 * @module
 */
import { type Options, textOption, UsageError } from "../../src/cli/arguments.ts";
import { CommandError } from "../../src/cli/command_error.ts";
import { tokenOption } from "./options.ts";

const DEFAULT_URL = "http://127.0.0.1:4513";

/** A node's admin listener. */
export class AdminClient {
  /** The permission that it takes. */
  readonly permission: string;
  readonly #url: URL;
  readonly #token: string | null;

  /** Use {@linkcode openAdmin}. */
  constructor(url: URL, token: string | null) {
    this.#url = url;
    this.#token = token;
    this.permission = `--allow-net=${url.host}`;
  }

  /**
   * Asks for JSON, or sends some.
   *
   * @throws {CommandError} If the node refuses or does not answer.
   */
  async call(method: "GET" | "PUT" | "POST" | "DELETE", path: string, body?: unknown): Promise<
    unknown
  > {
    const response = await this.#send(method, path, body);
    try {
      return await response.json();
    } catch (cause) {
      throw this.#stranger(cause);
    }
  }

  /** Asks for bytes. */
  async stream(path: string): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#send("GET", path);
    if (response.body === null) throw this.#stranger();
    return response.body;
  }

  async #send(method: string, path: string, body?: unknown): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#url), {
        method,
        redirect: "error",
        headers: this.#token === null ? {} : { authorization: `Bearer ${this.#token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      if (cause instanceof Deno.errors.NotCapable) throw cause;
      const message =
        `Cannot reach ${this.#url.origin}: nothing answers there; is it the --admin of a node?`;
      throw new CommandError(message, { cause });
    }
    if (response.ok) return response;
    const text = await response.text().catch(() => "");
    throw new CommandError(messageOf(text) ?? this.#stranger().message);
  }

  #stranger(cause?: unknown): CommandError {
    const message = `Cannot use ${this.#url.origin}: it is not the admin listener of a node`;
    return new CommandError(message, { cause });
  }
}

/**
 * The admin listener that --admin names, or the default one.
 *
 * @throws {UsageError} If it is no URL.
 */
export function openAdmin(options: Options): AdminClient {
  const url = URL.parse(textOption(options, "admin") ?? DEFAULT_URL);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new UsageError(
      "Cannot use --admin: it must be a URL, such as http://127.0.0.1:4513",
      null,
    );
  }
  return new AdminClient(url, tokenOption(options));
}

/** The message of a refusal, as `admin.ts` writes it. */
function messageOf(text: string): string | null {
  try {
    const { error } = JSON.parse(text);
    return typeof error?.message === "string" ? error.message : null;
  } catch {
    return null;
  }
}
