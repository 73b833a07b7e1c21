/**
 * `calibrate` as a process of its own, with the permissions that the docs name.
 */
import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url).pathname;

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function calibrate(permissions: readonly string[], words: readonly string[]): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, "mod.ts", "calibrate", ...words],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

async function withPairs(text: string, run: (file: string) => Promise<void>): Promise<void> {
  const file = await Deno.makeTempFile({ suffix: ".jsonl" });
  try {
    await Deno.writeTextFile(file, text);
    await run(file);
  } finally {
    await Deno.remove(file);
  }
}

/** Pairs that are the same but for a slip, and pairs that have nothing in common. */
function pairsText(): string {
  const lines = Array.from({ length: 1_500 }, (_, at) => [
    { a: `How do I open drawer ${at}?`, b: `how do i open drawer ${at}`, label: 1 },
    { a: `How do I open drawer ${at}?`, b: `What is the weather in May ${at}?`, label: 0 },
  ]).flat();
  return lines.map((line) => JSON.stringify(line)).join("\n");
}

Deno.test("calibrate prints the table, the plot and a threshold, and draws an SVG", async () => {
  await withPairs(pairsText(), async (file) => {
    const svg = `${file}.svg`;
    try {
      const { code, out, err } = await calibrate(
        [`--allow-read=${file}`, `--allow-write=${svg}`],
        ["--pairs", file, "--svg", svg],
      );
      assert.equal(code, 0, err);
      assert.match(out, /^Embedder weir-lexical-\d+: 1500 pairs .*, 1500 that must not$/m);
      assert.match(out, /<- proposed/);
      assert.match(out, /mode: static, threshold: 0\.\d+/);
      assert.match(await Deno.readTextFile(svg), /^<svg .*<polyline/s);
      assert.equal(err, "");
    } finally {
      await Deno.remove(svg).catch(() => {});
    }
  });
});

Deno.test("calibrate --json gives every row to a script", async () => {
  await withPairs(pairsText(), async (file) => {
    const { code, out } = await calibrate([`--allow-read=${file}`], ["--pairs", file, "--json"]);
    assert.equal(code, 0);
    const { rows, proposed, negatives } = JSON.parse(out);
    assert.equal(rows.length, 50);
    assert.equal(negatives, 1_500);
    assert.equal(proposed.falseHits, 0);
  });
});

Deno.test("calibrate names the line that is no pair, the missing file and the missing flag", async () => {
  await withPairs('{"a":"x","b":"y","label":1}\n{"a":"x","b":"y"}\n', async (file) => {
    const wrong = await calibrate([`--allow-read=${file}`], ["--pairs", file]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /^Cannot read .*: line 2 is no pair/);
    const refused = await calibrate([], ["--pairs", file]);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /--allow-read=/);
  });
  const none = await calibrate([], []);
  assert.match(none.err, /name a file with --pairs/);
  const share = await calibrate([], ["--pairs", "x", "--false-hits", "200"]);
  assert.match(share.err, /Cannot use --false-hits 200/);
});
