/**
 * One text that a client has been sent a part of, and that a second stream
 * carries on.
 *
 *     sent        The quick brown f
 *     restarted   The qu|ick br|own fo|x jumps       dropped while equal,
 *                                    ^^ ^^^^^^^      what goes beyond is new
 *     prefilled   ox| jumps                          new from the start
 *
 * @module
 */

/** How the second backend was asked: again from the start, or to go on behind the given text. */
export type ContinuationMode = "restart" | "prefill";

/** Where a regenerated text differs from what the client has; lengths only, never text. */
export interface Mismatch {
  /** It does differ. */
  readonly mismatch: true;
  /** UTF-16 units that agree. */
  readonly at: number;
  /** UTF-16 units the client has. */
  readonly expected: number;
  /** UTF-16 units regenerated so far. */
  readonly got: number;
}

/** Collects the first mismatch, and whether a text was cut, over all channels of one event. */
export class Comparison {
  /** The first mismatch; `null` while all agrees. */
  mismatch: Mismatch | null = null;
  /** A text was forwarded in part. */
  isCut = false;

  /** Notes a difference in something that is no text, or is out of order. */
  differ(at = 0, expected = 0, got = 0): void {
    this.mismatch ??= { mismatch: true, at, expected, got };
  }
}

/**
 * Shorter texts are not looked for in a prefilled answer: that "ha" is followed
 * by "ha" is likelier than a server that repeats its prompt.
 */
const ECHO_LENGTH_MIN = 8;

/** A text as the client has it. */
export class Channel {
  #sent = "";
  /** How much of `#sent` the present stream has brought again. */
  #matched = 0;
  /** What a server may be repeating of its prefilled text; `null` where that is decided. */
  #echo: { readonly of: string; held: string } | null = null;

  /** What the client has been sent. */
  get sent(): string {
    return this.#sent;
  }

  /** Not all that was sent has been brought again. */
  get isBehind(): boolean {
    return this.#matched < this.#sent.length;
  }

  /** Notes text that is forwarded: first what is sent first, later what {@linkcode take} returned. */
  append(text: string): void {
    // Nothing is forwarded before all that was sent has been matched, so both move on together.
    this.#matched += text.length;
    this.#sent += text;
  }

  /** A new stream begins. */
  begin(mode: ContinuationMode): void {
    const isPrefilled = mode === "prefill";
    this.#matched = isPrefilled ? this.#sent.length : 0;
    this.#echo = isPrefilled && this.#sent.length >= ECHO_LENGTH_MIN
      ? { of: this.#sent, held: "" }
      : null;
  }

  /** Takes the next piece of the new stream; returns the part the client does not have. */
  take(text: string, comparison: Comparison): string {
    if (this.#echo !== null) return this.#withoutEcho(text, this.#echo);
    if (!this.isBehind) return text;

    const common = Math.min(text.length, this.#sent.length - this.#matched);
    const known = common === text.length ? text : text.slice(0, common);
    if (!this.#sent.startsWith(known, this.#matched)) {
      let at = 0;
      while (known[at] === this.#sent[this.#matched + at]) at++;
      const { length } = this.#sent;
      comparison.differ(this.#matched + at, length, this.#matched + text.length);
      return "";
    }
    this.#matched += common;
    if (common === text.length) return "";
    comparison.isCut = true;
    return text.slice(common);
  }

  /** Gives out what was held back as a possible repetition, because the text ends here. */
  release(): string {
    const held = this.#echo?.held ?? "";
    this.#echo = null;
    return held;
  }

  /** Notes a mismatch if not all that was sent has been brought again. */
  expectCaughtUp(comparison: Comparison): void {
    if (this.isBehind) comparison.differ(this.#matched, this.#sent.length, this.#matched);
  }

  #withoutEcho(text: string, echo: { readonly of: string; held: string }): string {
    const candidate = echo.held + text;
    if (candidate.length < echo.of.length && echo.of.startsWith(candidate)) {
      echo.held = candidate;
      return "";
    }
    this.#echo = null;
    return candidate.startsWith(echo.of) ? candidate.slice(echo.of.length) : candidate;
  }
}
