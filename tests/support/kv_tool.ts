/**
 * The tools of `mod.ts kv`, run in this process or, with no more than the permissions
 * that their help names, in one of their own.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { main } from "../../kv_node/main.ts";

/** What a command did. */
export interface ToolRun {
  /** Exit status. */
  readonly code: number;
  /** Standard output. */
  readonly out: string;
  /** Standard error. */
  readonly err: string;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Runs `kv WORDS` here. */
export async function runTool(...words: readonly string[]): Promise<ToolRun> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(words, {
    print: (line) => out.push(line),
    complain: (line) => err.push(line),
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

/** Runs `kv WORDS --json` here; what it printed. */
// deno-lint-ignore no-explicit-any
export async function runJson(...words: readonly string[]): Promise<any> {
  const { code, out, err } = await runTool(...words, "--json");
  return { code, err, ...JSON.parse(out === "" ? "{}" : out) };
}

/** Starts `kv WORDS` as a process with these permissions and no others. */
export function spawnTool(
  permissions: readonly string[],
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", `--config=${ROOT}deno.json`],
      ...permissions,
      `${ROOT}mod.ts`,
      "kv",
      ...words,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs `kv WORDS` as a process with these permissions and no others, to its end. */
export async function runToolAlone(
  permissions: readonly string[],
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ToolRun> {
  const { code, stdout, stderr } = await spawnTool(permissions, words, env).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}
