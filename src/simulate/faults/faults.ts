/**
 * The fault language: `status=429,retry-after=2,times=1`.
 *
 * A fault is a comma-separated list of directives, written after a `!` in the
 * model name or in the header `x-sim-fault`. One table drives the parser, its
 * messages and the test that keeps `docs/simulator.md` complete.
 *
 * @module
 */

import { Refusal } from "../refusal.ts";

/** What is to go wrong with one answer; absent means it does not. */
export interface Faults {
  readonly times?: number;
  readonly status?: number;
  readonly retryAfterSeconds?: number;
  readonly retryAfterMs?: number;
  readonly retryAfterDateSeconds?: number;
  readonly reset?: true;
  readonly silenceSeconds?: number;
  readonly slowSeconds?: number;
  readonly cutTokens?: number;
  readonly rstTokens?: number;
  readonly cleanCutTokens?: number;
  readonly stallTokens?: number;
  readonly stallSeconds?: number;
  readonly cutBytes?: number;
  readonly rstBytes?: number;
  readonly stallBytes?: number;
  readonly malformedToken?: number;
  readonly inBandErrorTokens?: number;
  readonly noDone?: true;
  readonly noFinish?: true;
  readonly noPrefill?: true;
  readonly contextLength?: true;
  readonly contentFilter?: true;
  readonly unauthorized?: true;
  readonly overloaded?: true;
  readonly flapDownSeconds?: number;
  readonly flapUpSeconds?: number;
  readonly html?: true;
  readonly badJson?: true;
  readonly truncatedBody?: true;
  readonly lineEnding?: "\r\n" | "\r";
  readonly bom?: true;
  readonly comments?: true;
  readonly bytewise?: true;
  readonly splitUtf8?: true;
  readonly bigEventBytes?: number;
  readonly words?: number;
  readonly reasoningWords?: number;
  readonly toolCalls?: number;
  readonly random?: true;
  readonly firstTokenMs?: number;
  readonly interTokenMs?: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type NumberKey = {
  [K in keyof Faults]-?: NonNullable<Faults[K]> extends number ? K : never;
}[keyof Faults];
type FlagKey = {
  [K in keyof Faults]-?: NonNullable<Faults[K]> extends true ? K : never;
}[keyof Faults];

/** One number of a directive: where it goes and what is allowed. */
interface Slot {
  readonly key: NumberKey;
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
  /** Taken when the number is left out; without it, the number is required. */
  readonly fallback?: number;
  /** May be left out, and then stays absent. */
  readonly optional?: true;
}

type Directive =
  | { readonly kind: "flag"; readonly key: FlagKey }
  | { readonly kind: "line"; readonly ending: "\r\n" | "\r" }
  | { readonly kind: "numbers"; readonly slots: readonly Slot[] };

const DAY_SECONDS = 86_400;
const GIGABYTE = 1_000_000_000;
const WORDS_MAX = 1_000_000;

const DIRECTIVES: ReadonlyMap<string, Directive> = new Map<string, Directive>([
  ["times", whole("times", 1, 1_000_000)],
  ["status", whole("status", 400, 599)],
  ["retry-after", whole("retryAfterSeconds", 0, DAY_SECONDS)],
  ["retry-after-ms", whole("retryAfterMs", 0, 1_000 * DAY_SECONDS)],
  ["retry-after-date", whole("retryAfterDateSeconds", 0, DAY_SECONDS)],
  ["reset", flag("reset")],
  ["silence", numbers(seconds("silenceSeconds", 120))],
  ["slow", numbers(seconds("slowSeconds"))],
  ["cut", whole("cutTokens", 0, WORDS_MAX)],
  ["rst", whole("rstTokens", 0, WORDS_MAX)],
  ["clean-cut", whole("cleanCutTokens", 0, WORDS_MAX)],
  [
    "stall",
    numbers(
      { key: "stallTokens", min: 0, max: WORDS_MAX, whole: true },
      seconds("stallSeconds", 30),
    ),
  ],
  ["cut-bytes", whole("cutBytes", 0, GIGABYTE)],
  ["rst-bytes", whole("rstBytes", 0, GIGABYTE)],
  [
    "stall-bytes",
    numbers({ key: "stallBytes", min: 0, max: GIGABYTE, whole: true }, seconds("stallSeconds", 30)),
  ],
  ["malformed", whole("malformedToken", 0, WORDS_MAX)],
  ["in-band-error", whole("inBandErrorTokens", 0, WORDS_MAX)],
  ["no-done", flag("noDone")],
  ["no-finish", flag("noFinish")],
  ["no-prefill", flag("noPrefill")],
  ["context-length", flag("contextLength")],
  ["content-filter", flag("contentFilter")],
  ["unauthorized", flag("unauthorized")],
  ["overloaded", flag("overloaded")],
  [
    "flap",
    numbers(seconds("flapDownSeconds"), { ...seconds("flapUpSeconds"), optional: true }),
  ],
  ["html", flag("html")],
  ["bad-json", flag("badJson")],
  ["truncated-body", flag("truncatedBody")],
  ["crlf", { kind: "line", ending: "\r\n" }],
  ["cr", { kind: "line", ending: "\r" }],
  ["bom", flag("bom")],
  ["comments", flag("comments")],
  ["bytewise", flag("bytewise")],
  ["split-utf8", flag("splitUtf8")],
  ["big-event", whole("bigEventBytes", 1, 100_000_000)],
  ["words", whole("words", 1, WORDS_MAX)],
  ["reasoning", whole("reasoningWords", 1, WORDS_MAX)],
  ["tool-calls", whole("toolCalls", 1, 16)],
  ["random", flag("random")],
  ["first-token-ms", numbers({ ...seconds("firstTokenMs"), max: 1_000 * DAY_SECONDS })],
  ["token-ms", numbers({ ...seconds("interTokenMs"), max: 1_000 * DAY_SECONDS })],
]);

/** The name of every directive, for documentation and messages. */
export const DIRECTIVE_NAMES: readonly string[] = [...DIRECTIVES.keys()];

const LOOKS: ReadonlySet<string> = new Set<keyof Faults>(
  ["words", "reasoningWords", "toolCalls", "random", "firstTokenMs", "interTokenMs"],
);

/** Only what shapes a healthy answer: its length, parts and pace. */
export function looksOf(faults: Faults): Faults {
  return Object.fromEntries(Object.entries(faults).filter(([key]) => LOOKS.has(key)));
}

/** Splits `model!fault` at the first `!`; the fault is empty if there is none. */
export function splitModel(model: string): { readonly base: string; readonly fault: string } {
  const mark = model.indexOf("!");
  if (mark < 0) return { base: model, fault: "" };
  return { base: model.slice(0, mark), fault: model.slice(mark + 1) };
}

/**
 * Reads a fault.
 *
 * @param text Comma-separated directives; blanks around them are ignored, empty means none.
 * @throws {Refusal} With status 400 and code `unknown_fault` or `invalid_fault`.
 */
export function parseFaults(text: string): Faults {
  const faults: Mutable<Faults> = {};
  for (const part of text.split(",")) {
    const directive = part.trim();
    if (directive !== "") applyDirective(directive, faults);
  }
  return faults;
}

function applyDirective(text: string, faults: Mutable<Faults>): void {
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals).trim();
  const value = equals < 0 ? null : text.slice(equals + 1).trim();
  const directive = DIRECTIVES.get(name);
  if (directive === undefined) {
    throw new Refusal(
      400,
      `Cannot simulate fault "${name}": no such directive (known: ${DIRECTIVE_NAMES.join(", ")})`,
      { code: "unknown_fault", param: "x-sim-fault" },
    );
  }
  if (directive.kind === "numbers") {
    applyNumbers(name, value, directive.slots, faults);
    return;
  }
  if (value !== null) throw invalid(name, `it takes no value but "${value}" was given`);
  if (directive.kind === "line") faults.lineEnding = directive.ending;
  else faults[directive.key] = true;
}

function applyNumbers(
  name: string,
  value: string | null,
  slots: readonly Slot[],
  faults: Mutable<Faults>,
): void {
  const parts = value === null ? [] : value.split(":");
  if (parts.length > slots.length) {
    throw invalid(name, `it takes at most ${slots.length} number(s) but "${value}" was given`);
  }
  slots.forEach((slot, i) => {
    const part = parts[i];
    if (part === undefined) {
      if (slot.fallback !== undefined) faults[slot.key] = slot.fallback;
      else if (slot.optional !== true) {
        throw invalid(name, `it needs a number, as in ${name}=${slot.min + 1}`);
      }
      return;
    }
    const number = part.trim() === "" ? NaN : Number(part);
    const ok = number >= slot.min && number <= slot.max &&
      (!slot.whole || Number.isInteger(number));
    if (!ok) {
      const kind = slot.whole ? "a whole number" : "a number";
      throw invalid(name, `"${part}" is not ${kind} from ${slot.min} to ${slot.max}`);
    }
    faults[slot.key] = number;
  });
}

function invalid(name: string, why: string): Refusal {
  return new Refusal(400, `Cannot simulate fault "${name}": ${why}`, {
    code: "invalid_fault",
    param: "x-sim-fault",
  });
}

function flag(key: FlagKey): Directive {
  return { kind: "flag", key };
}

function numbers(...slots: readonly Slot[]): Directive {
  return { kind: "numbers", slots };
}

function whole(key: NumberKey, min: number, max: number): Directive {
  return numbers({ key, min, max, whole: true });
}

function seconds(key: NumberKey, fallback?: number): Slot {
  const slot = { key, min: 0, max: DAY_SECONDS, whole: false };
  return fallback === undefined ? slot : { ...slot, fallback };
}
