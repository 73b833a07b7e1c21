/**
 * What is known of one stored answer: where it was right and where wrong.
 *
 * A wrong match lifts the answer above the similarity it was wrong at. From six
 * observations on, at least one of them wrong, a logistic curve tells how much
 * further up it is safe. The own record only ever raises the line: a few dozen
 * observations of one answer cannot prove an error of a few per cent.
 *
 * @module
 */
import { fitLogistic, type LabelledPoint, reachOf } from "./logistic.ts";

/** Observations from which on an answer has its own curve. */
export const OWN_CURVE_FROM = 6;

/** Observations kept of one answer; newer ones push out the oldest. */
export const KEPT_MAX = 24;

const CENTRE = 0.8;
const SCALE = 0.1;
const PENALTY = 0.1;

/** One observation of one answer. */
export interface EntryPoint {
  /** Similarity of the question to the answer's own. */
  readonly similarity: number;
  /** Whether the answer was right. */
  readonly right: boolean;
}

/** The record of one stored answer under one embedder. */
export class EntryRecord {
  /** Similarities of another embedder say nothing. */
  readonly embedder: string;
  #liftedAbove: number;
  #points: EntryPoint[];
  #curve: { readonly errorBound: number; readonly from: number } | null = null;

  /** Empty, or what was kept. */
  constructor(embedder: string, kept: { liftedAbove: number; points: EntryPoint[] } | null = null) {
    this.embedder = embedder;
    this.#liftedAbove = kept?.liftedAbove ?? -1;
    this.#points = kept?.points.slice(-KEPT_MAX) ?? [];
  }

  /** Highest similarity at which it was wrong; −1 if never. */
  get liftedAbove(): number {
    return this.#liftedAbove;
  }

  /** The observations kept, oldest first. */
  get points(): readonly EntryPoint[] {
    return this.#points;
  }

  /** Keeps one observation. */
  add(point: EntryPoint): void {
    if (!point.right) this.#liftedAbove = Math.max(this.#liftedAbove, point.similarity);
    this.#points.push(point);
    if (this.#points.length > KEPT_MAX) this.#points.shift();
    this.#curve = null;
  }

  /** Whether nothing in the record speaks against serving at this similarity. */
  allows(similarity: number, errorBound: number): boolean {
    return similarity > this.#liftedAbove && similarity >= this.#curveFrom(errorBound);
  }

  #curveFrom(errorBound: number): number {
    if (this.#points.length < OWN_CURVE_FROM || this.#points.every((point) => point.right)) {
      return -Infinity;
    }
    if (this.#curve?.errorBound !== errorBound) {
      const scaled: LabelledPoint[] = this.#points.map(({ similarity, right }) => ({
        x: (similarity - CENTRE) / SCALE,
        right,
      }));
      const reach = reachOf(fitLogistic(scaled, PENALTY), 1 - errorBound);
      this.#curve = { errorBound, from: CENTRE + SCALE * reach };
    }
    return this.#curve.from;
  }
}
