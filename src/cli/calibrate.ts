/**
 * `calibrate`: runs judged pairs of questions through an embedder and shows which
 * threshold does what.
 *
 * @module
 */
import { guardRefusal } from "../cache/guards/guard.ts";
import { calibrationPlot, calibrationSvg, calibrationTable } from "../cache/calibration/plot.ts";
import { calibrate as calibrated, type MeasuredPair } from "../cache/calibration/table.ts";
import { LEXICAL_ID } from "../embed/lexical.ts";
import { type Embedder, EmbedError } from "../ports.ts";
import { systemClock } from "../runtime/clock.ts";
import { cosineOf } from "../vectors/store/vector.ts";
import { type Options, textOption } from "./arguments.ts";
import { openEmbedder } from "./cache_ports.ts";
import { CommandError, systemRefusal } from "./command_error.ts";
import { createProgress } from "./progress.ts";
import { loadSecrets, readConfig, readFile } from "./read_config.ts";
import type { Terminal } from "./terminal.ts";

/** Texts in one call. */
const BATCH = 64;

/** How long one batch may take, in milliseconds. */
const BATCH_MS = 60_000;

/** Share of wrong pairs that may hit, where nobody says another. */
const FALSE_HITS_MAX = 0.005;

interface Pair {
  readonly a: string;
  readonly b: string;
  readonly label: number;
}

/** Measures, prints the table and the plot, and writes an SVG if asked to; 0 if all went well. */
export async function calibrate(options: Options, terminal: Terminal): Promise<number> {
  const file = textOption(options, "pairs");
  if (file === undefined) {
    throw new CommandError("Cannot calibrate: no pairs are given; name a file with --pairs FILE");
  }
  const falseHitsMax = shareOption(options);
  const pairs = readPairs(file);
  const configFile = textOption(options, "config");
  const loaded = configFile === undefined ? null : loadSecrets(readConfig(configFile));
  const embedder = await openEmbedder(loaded);
  try {
    const measured = await measure(pairs, embedder);
    const calibration = calibrated(measured, falseHitsMax);
    if (options["json"] === true) {
      terminal.print(JSON.stringify({ embedder: embedder.id, ...calibration }));
    } else {
      terminal.print(
        `Embedder ${embedder.id}: ${calibration.positives} pairs that may share an answer, ` +
          `${calibration.negatives} that must not\n\n${calibrationTable(calibration)}\n\n` +
          calibrationPlot(calibration),
      );
      terminal.print(advice(calibration.proposed?.threshold ?? null, falseHitsMax));
    }
    const svg = textOption(options, "svg");
    if (svg !== undefined) writeFile(svg, calibrationSvg(calibration, embedder.id));
    return 0;
  } finally {
    embedder.close();
  }
}

function advice(threshold: number | null, falseHitsMax: number): string {
  const accepted = `${falseHitsMax * 100} %`;
  return threshold === null
    ? `\nNo threshold keeps false hits below ${accepted} with 95 % confidence: bring more pairs ` +
      "that must not match, or accept more with --false-hits."
    : `\nFalse hits stay below ${accepted} (95 % confidence) from here on:\n` +
      `  cache: { semantic: { mode: static, threshold: ${threshold} } }`;
}

async function measure(pairs: readonly Pair[], embedder: Embedder): Promise<MeasuredPair[]> {
  const texts = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))];
  const progress = createProgress("Embedding", texts.length);
  const vectors = new Map<string, Float32Array>();
  for (let at = 0; at < texts.length; at += BATCH) {
    const batch = texts.slice(at, at + BATCH);
    try {
      const made = await embedder.embed(batch, systemClock.nowMs() + BATCH_MS);
      made.forEach((vector, index) => vectors.set(batch[index] ?? "", vector));
    } catch (cause) {
      progress.end();
      if (!(cause instanceof EmbedError)) throw cause;
      throw new CommandError(`Cannot embed pairs: ${cause.message}`, { cause });
    }
    progress.step(batch.length);
  }
  progress.end();
  // A model may find the same said in other words; the built-in embedder cannot.
  const level = embedder.id === LEXICAL_ID ? "words" : "meaning";
  // A text without a vector is like nothing.
  const nothing = new Float32Array(embedder.dims);
  return pairs.map(({ a, b, label }) => ({
    same: label === 1,
    similarity: cosineOf(vectors.get(a) ?? nothing, vectors.get(b) ?? nothing),
    guarded: guardRefusal(b, a, level) !== null,
  }));
}

function readPairs(file: string): Pair[] {
  const pairs = readFile(file).split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    if (!isPair(value)) {
      throw new CommandError(
        `Cannot read ${file}: line ${index + 1} is no pair; a line looks like ` +
          '{"a":"one question","b":"another","label":1}, with label 0 if they must not share an ' +
          "answer",
      );
    }
    return [value];
  });
  if (pairs.length > 0) return pairs;
  throw new CommandError(`Cannot calibrate: ${file} has no pairs`);
}

function isPair(value: unknown): value is Pair {
  if (typeof value !== "object" || value === null) return false;
  const { a, b, label } = value as Partial<Record<keyof Pair, unknown>>;
  return typeof a === "string" && typeof b === "string" && (label === 0 || label === 1);
}

function writeFile(path: string, text: string): void {
  try {
    Deno.writeTextFileSync(path, text);
  } catch (cause) {
    const why = systemRefusal(cause, `--allow-write=${path}`);
    throw why === null ? cause : new CommandError(`Cannot write ${path}: ${why}`, { cause });
  }
}

function shareOption(options: Options): number {
  const text = textOption(options, "false-hits");
  if (text === undefined) return FALSE_HITS_MAX;
  const percent = Number(text);
  if (Number.isFinite(percent) && percent > 0 && percent < 100) return percent / 100;
  throw new CommandError(
    `Cannot use --false-hits ${text}: it is a percentage between 0 and 100, such as 0.5`,
  );
}
