/**
 * The local model with its add-on, which this test installs (some 300 MB): the
 * cases of `tests/support/local_model_cases.ts`, and the exact permissions.
 */
import assert from "node:assert/strict";
import { writeModel } from "../support/onnx_model.ts";

const PROJECT = new URL("../../", import.meta.url).pathname;
const CONFIG = ["--config", "addons/local_model/deno.json"];
const WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello"];

async function deno(
  ...args: readonly string[]
): Promise<{ code: number; out: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: PROJECT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const [out, log] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(
    code === 0,
    `deno ${args.join(" ")} ended with ${code}:\n${out}\n${log}`,
  );
  return { code, out: out ?? "" };
}

Deno.test("local model: the add-on installs as its lock says, and all its cases pass", async () => {
  await deno("install", ...CONFIG);
  const { out } = await deno(
    "test",
    ...CONFIG,
    "--no-check",
    "--no-prompt",
    "--allow-read",
    "--allow-write",
    "--allow-ffi",
    "--allow-env=TMPDIR",
    "tests/support/local_model_cases.ts",
  );
  const [, passed, failed] = /(\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed/.exec(out) ?? [];
  assert.ok(Number(passed) >= 13 && failed === "0", out);
});

Deno.test("local model: it needs to read its folder and the code, and to load native code", async () => {
  await deno("install", ...CONFIG);
  const directory = Deno.makeTempDirSync({ prefix: "weir-model-" });
  writeModel(directory, {
    words: WORDS,
    table: [[9, 9], [1, 1], [0, 1], [0, 1], [0, 4]],
  });
  const run = async (flags: readonly string[]) => {
    const script = "tests/support/local_model_main.ts";
    const { out } = await deno(
      "run",
      "--no-prompt",
      ...flags,
      script,
      directory,
      "hello",
    );
    return JSON.parse(out);
  };
  const { npmCache } = JSON.parse((await deno("info", "--json")).out);
  const ffi = `--allow-ffi=${npmCache}`;
  const read = `--allow-read=src/embed,${directory}`;
  try {
    const { vectors } = await run([...CONFIG, ffi, read]);
    assert.deepEqual(vectors, [[0, 1]]);
    const lacking: readonly (readonly [string, readonly string[]])[] = [
      ["permission", [...CONFIG, read]],
      ["permission", [...CONFIG, ffi, `--allow-read=${directory}`]],
      ["permission", [...CONFIG, ffi, "--allow-read=src/embed"]],
      ["addon", [ffi, read]],
    ];
    for (const [problem, flags] of lacking) {
      assert.equal((await run(flags)).problem, problem, flags.join(" "));
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
