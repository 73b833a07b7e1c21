/**
 * Structured logs: one JSON object a line.
 *
 * Field names are OpenTelemetry's where it has one (`http.request.method`,
 * `gen_ai.request.model`, `trace_id`, …); `time`, `level` and `event` come
 * first. Whatever is logged, a line is written, and no secret is in it: secrets
 * are looked for in the finished line, so no field can be forgotten.
 *
 * @module
 */
import type { Clock } from "../ports.ts";

/** How much is written; each level includes those after it. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What may be said beside the event; values are anything. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one event; never throws. */
export type LogWriter = (event: string, fields?: LogFields) => void;

/** One writer a level. */
export type Log = Readonly<Record<LogLevel, LogWriter>>;

/**
 * What must never appear in a line. May grow while the log is in use; members
 * shorter than 4 characters are ignored.
 */
export type Secrets = ReadonlySet<string>;

/** Where lines go, and what is in them. */
export interface LogOptions {
  /** Takes one line, without its end. */
  readonly write: (line: string) => void;
  /** Tells the wall time. */
  readonly clock: Pick<Clock, "wallMs">;
  /** The lowest level that is written. */
  readonly level: LogLevel;
  /** Replaced by "[redacted]" wherever they appear. */
  readonly secrets?: Secrets;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const SECRET_CHARACTERS_MIN = 4; // Shorter ones would redact half of every line.
const REDACTED = "[redacted]";
const DEPTH_MAX = 8;
const ITEMS_MAX = 100;
const TEXT_CHARACTERS_MAX = 8_192;
const RESERVED: ReadonlySet<string> = new Set(["time", "level", "event"]);

/** Creates a log. */
export function createLog(options: LogOptions): Log {
  const lowest = LEVELS.indexOf(options.level);
  const writer = (level: LogLevel): LogWriter => {
    if (LEVELS.indexOf(level) < lowest) return () => {};
    return (event, fields) => writeLine(options, level, event, fields);
  };
  return {
    debug: writer("debug"),
    info: writer("info"),
    warn: writer("warn"),
    error: writer("error"),
  };
}

function writeLine(options: LogOptions, level: LogLevel, event: string, fields?: LogFields): void {
  try {
    const secrets = Array.from(options.secrets ?? [])
      .filter((secret) => secret.length >= SECRET_CHARACTERS_MIN)
      .sort((a, b) => b.length - a.length); // A secret may be the beginning of another.
    const time = new Date(options.clock.wallMs()).toISOString();
    const withStack = options.level === "debug";
    const compose = (clean: (text: string) => string): string =>
      JSON.stringify({ time, level, ...recordOf(event, fields, { clean, withStack }) });

    // Most lines hold no secret, and looking once at the whole is cheaper than
    // looking at every part.
    let line = compose((text) => shortened(text, secrets));
    if (holdsAny(line, secrets)) line = compose((text) => shortened(redact(text, secrets), []));
    if (holdsAny(line, secrets)) line = JSON.stringify({ time, level, event: REDACTED });
    options.write(line);
  } catch {
    // A log that throws would turn a sentence about a failure into a failure: a
    // broken pipe costs this line, nothing else.
  }
}

interface Style {
  /** Makes text fit for a line. */
  readonly clean: (text: string) => string;
  /** Whether errors bring their stack. */
  readonly withStack: boolean;
}

interface Position extends Style {
  readonly depth: number;
  /** Objects above this one: one of them again is a circle. */
  readonly path: readonly object[];
}

function recordOf(
  event: string,
  fields: LogFields | undefined,
  style: Style,
): Record<string, unknown> {
  const record: Record<string, unknown> = { event: style.clean(event) };
  for (const [name, value] of Object.entries(fields ?? {})) {
    const key = RESERVED.has(name) ? `field.${name}` : style.clean(name);
    record[key] = readableField(value, style);
  }
  return record;
}

/** A getter or a proxy may throw: that costs this field, not the line. */
function readableField(value: unknown, style: Style): unknown {
  try {
    return readable(value, { ...style, depth: 0, path: [] });
  } catch {
    return "[unreadable]";
  }
}

/** A copy that JSON can write, bounded in depth, breadth and length. */
function readable(value: unknown, position: Position): unknown {
  switch (typeof value) {
    case "string":
      return position.clean(value);
    case "bigint":
    case "symbol":
      return position.clean(String(value));
    case "function":
      return "[function]";
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "object":
      return value === null ? null : readableObject(value, position);
    default:
      return value;
  }
}

function readableObject(value: object, position: Position): unknown {
  if (position.path.includes(value)) return "[circular]";
  if (position.depth >= DEPTH_MAX) return "[too deep]";
  const below = { ...position, depth: position.depth + 1, path: [...position.path, value] };
  if (value instanceof Error) return readableError(value, below);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof URL) return below.clean(value.href);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Map) return readableEntries(value.entries(), below);
  if (Array.isArray(value) || value instanceof Set) {
    return Array.from(value).slice(0, ITEMS_MAX).map((item) => readable(item, below));
  }
  return readableEntries(Object.entries(value), below);
}

function readableEntries(
  entries: Iterable<[unknown, unknown]>,
  below: Position,
): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  let count = 0;
  for (const [name, value] of entries) {
    if (count++ >= ITEMS_MAX) break;
    copy[below.clean(String(name))] = readable(value, below);
  }
  return copy;
}

function readableError(error: Error, below: Position): Record<string, unknown> {
  const copy: Record<string, unknown> = { name: below.clean(error.name) };
  if ("code" in error && error.code !== undefined) copy["code"] = readable(error.code, below);
  copy["message"] = below.clean(error.message);
  if (error.cause !== undefined) copy["cause"] = readable(error.cause, below);
  if (below.withStack && error.stack !== undefined) copy["stack"] = below.clean(error.stack);
  return copy;
}

/** Cuts long text; a secret must not survive as the half that is left. */
function shortened(text: string, secrets: readonly string[]): string {
  if (text.length <= TEXT_CHARACTERS_MAX) return text;
  return `${redact(text, secrets).slice(0, TEXT_CHARACTERS_MAX)}…`;
}

function redact(text: string, secrets: readonly string[]): string {
  let redacted = text;
  for (const secret of secrets) redacted = redacted.replaceAll(secret, REDACTED);
  return redacted;
}

/** Looks for each secret as JSON writes it: a quote in a secret is an escaped one in the line. */
function holdsAny(line: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) => line.includes(JSON.stringify(secret).slice(1, -1)));
}
