/**
 * What is wrong with a configuration, told so that a person can mend it.
 *
 * A problem names the file, the line, the setting, and what is allowed there. It
 * never repeats a value: whoever pastes a key into the wrong place must not find
 * it in the logs.
 *
 * @module
 */

/** Keys and list positions from the top of the file down to a setting. */
export type SettingPath = readonly (string | number)[];

/** One thing to mend. */
export interface Problem {
  /** The setting, or the place where it is missing. */
  readonly path: SettingPath;
  /** What is wrong and what is allowed; starts in lower case, goes after the path. */
  readonly message: string;
}

/** Where a setting stands in its file; both count from 1. */
export interface Position {
  /** Line. */
  readonly line: number;
  /** Column, in UTF-16 code units. */
  readonly column: number;
}

/** A configuration that cannot be used, with all that is wrong with it. */
export class ConfigError extends Error {
  /** Survives minified stacks and log lines. */
  override readonly name = "ConfigError";
  /** Every problem as one line of text: `weir.yaml:4:7: models[0].name: is missing: …`. */
  readonly problems: readonly string[];

  /** Gathers the problems of one file; `file` is what a person would call it. */
  constructor(file: string, problems: readonly string[], options?: ErrorOptions) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super(
      `Cannot use ${file}: ${count}\n${problems.map((line) => `  ${line}`).join("\n")}`,
      options,
    );
    this.problems = problems;
  }
}

/** A path as people write it: `models[0].targets[1].backend`. */
export function pathText(path: SettingPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** One problem as one line. */
export function problemText(file: string, problem: Problem, position: Position | null): string {
  const place = position === null ? file : `${file}:${position.line}:${position.column}`;
  const path = pathText(problem.path);
  return path === "" ? `${place}: ${problem.message}` : `${place}: ${path}: ${problem.message}`;
}
