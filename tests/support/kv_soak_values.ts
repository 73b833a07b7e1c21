/**
 * Values of a soak: each says which write it is of, and is filled so that a byte
 * that changed, is missing or is of another write is seen.
 *
 * The filling is a text of a byte for each character: bytes inside of an object, as
 * npm's client writes them, are read by that client alone.
 *
 * @module
 */
import { Random } from "./random.ts";

const FILL_MAX = 60_000;
const SHIFTS = 251;

const PATTERN = pattern();

/** How large values are: of so many in a hundred, at most so many bytes. */
const SIZES: ReadonlyArray<readonly [percent: number, bytesMax: number]> = [
  [68, 400],
  [90, 4_000],
  [98, 20_000],
  [100, FILL_MAX],
];

/** A value. */
export interface SoakValue {
  /** Number of the write, which rises for each key. */
  readonly n: number;
  /** What it was written under. */
  readonly of: string;
  /** Length of the filling. */
  readonly size: number;
  /** The filling. */
  readonly fill: string;
}

/** Draws a size, 0 to 60,000 bytes; most are small. */
export function drawSize(random: Random): number {
  const draw = random.below(100);
  const [, bytesMax = FILL_MAX] = SIZES.find(([percent]) => draw < percent) ?? [];
  return random.below(bytesMax + 1);
}

/** The value of the `n`th write under `of`. */
export function soakValue(n: number, of: string, size: number): SoakValue {
  return { n, of, size, fill: fillOf(n, size) };
}

/** What of a value is not as it was written under `of`, or `null`. */
export function complaintAboutValue(value: unknown, of: string): string | null {
  if (typeof value !== "object" || value === null) return "is no value of this soak";
  const { n, of: writtenOf, size, fill } = value as Partial<SoakValue>;
  if (writtenOf !== of) return `was written under ${writtenOf}`;
  if (typeof n !== "number" || typeof size !== "number") return "lacks its number or its size";
  if (typeof fill !== "string" || fill.length !== size) return `has lost some of ${size} bytes`;
  return fill === fillOf(n, size) ? null : `has other bytes than write ${n}`;
}

/** Number of the write that a value is of; -1 if it says none. */
export function numberOf(value: unknown): number {
  if (typeof value !== "object" || value === null || !("n" in value)) return -1;
  return typeof value.n === "number" ? value.n : -1;
}

function fillOf(n: number, size: number): string {
  const shift = n % SHIFTS;
  return PATTERN.slice(shift, shift + size);
}

function pattern(): string {
  const random = new Random(1);
  let text = "";
  for (let at = 0; at < FILL_MAX + SHIFTS; at++) text += String.fromCharCode(random.below(256));
  return text;
}
