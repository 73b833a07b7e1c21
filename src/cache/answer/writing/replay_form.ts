/**
 * What a replay needs to know besides the record.
 *
 * @module
 */

/** What is new about an answer that is given again. */
export interface ReplayOptions {
  /** Letters and digits for every id in it, to follow prefixes such as `chatcmpl-`. */
  readonly id: string;
  /** When it is given, in seconds since the epoch. */
  readonly createdSeconds: number;
}

/** The same for a stream. */
export interface ReplayEventsOptions extends ReplayOptions {
  /** Whether the client asked for usage (chat completions and completions only). */
  readonly includeUsage: boolean;
}

/** An event without a name, as it is sent. */
export function dataEvent(json: string): string {
  return `data: ${json}\n\n`;
}

/** An event under the name that its data has as `type`, as it is sent. */
export function namedEvent(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`;
}
