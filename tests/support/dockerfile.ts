/**
 * Reads a Dockerfile into its instructions.
 *
 * @module
 */

/** One instruction, continuation lines joined. */
export interface Instruction {
  /** `FROM`, `RUN`, … */
  readonly name: string;
  /** What comes after it. */
  readonly text: string;
}

/** The instructions of one stage, from its `FROM` on. */
export type Stage = readonly Instruction[];

/** Splits a Dockerfile into stages; comments are dropped. */
export function parseDockerfile(text: string): Stage[] {
  const stages: Instruction[][] = [];
  const lines = text.split("\n").filter((line) => !line.trimStart().startsWith("#"));
  for (const line of lines.join("\n").replaceAll(/\\\n\s*/g, " ").split("\n")) {
    const [, name = "", rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ??
      [];
    if (name === "") continue;
    if (name === "FROM") stages.push([]);
    stages.at(-1)?.push({ name, text: rest });
  }
  return stages;
}

/** The texts of all instructions of one kind. */
export function textsOf(stage: Stage, name: string): string[] {
  return stage.filter((one) => one.name === name).map((one) => one.text);
}
