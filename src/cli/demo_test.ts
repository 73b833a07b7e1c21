/**
 * `demo`, `simulate` and `--help` as processes of their own, with exactly the
 * permissions that `deno.json` and the help text name.
 */
import assert from "node:assert/strict";
import { TextLineStream } from "../../tests/support/lines.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Starts `deno run … mod.ts` and collects what it prints, up to a line that holds `last`. */
async function runUntil(
  last: string,
  permissions: readonly string[],
  words: readonly string[],
): Promise<{ text: string; stop(): Promise<number> }> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, "mod.ts", ...words],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  let text = "";
  while (!text.includes(last)) {
    const { value, done } = await lines.read();
    assert.ok(!done, `it ended before it printed ${last}: ${text}`);
    text += `${value}\n`;
  }
  return {
    text,
    async stop() {
      process.kill("SIGINT");
      while (!(await lines.read()).done);
      return (await process.status).code;
    },
  };
}

/** The address that was printed, by what stands before or behind it. */
function addressIn(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[1] ?? assert.fail(`no ${pattern} in ${text}`);
}

async function ask(url: string, model: string): Promise<string> {
  const response = await fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model,
      stream: true,
      max_tokens: 12,
      messages: [{ role: "user", content: "Hello" }],
    }),
  });
  return await response.text();
}

Deno.test("demo answers from simulated backends and ends with 0 on Ctrl+C", async () => {
  const words = ["demo", "--port", "0", "--admin-port", "0"];
  const demo = await runUntil("Ctrl+C", ["--allow-net=127.0.0.1", "--allow-read=src"], words);
  try {
    const url = addressIn(demo.text, /listens on (http:\/\/127\.0\.0\.1:\d+),/);
    const adminUrl = addressIn(
      demo.text,
      /curl (http:\/\/127\.0\.0\.1:\d+)\/metrics/,
    );
    for (const model of ["chat", "fallback", "rescued"]) {
      assert.match(
        await ask(`${url}/v1`, model),
        /"content":.*data: \[DONE\]/s,
        model,
      );
    }
    const cut = await ask(`${url}/v1`, "cut").catch((error: Error) => error.message);
    assert.ok(!cut.includes("[DONE]"), cut);

    const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
    assert.match(metrics, /^process_resident_memory_bytes [1-9]/m);
    assert.match(metrics, /^process_cpu_seconds_total [0-9.]*[1-9]/m);
  } finally {
    assert.equal(await demo.stop(), 0);
  }
});

Deno.test("simulate answers alone, with faults chosen by model name", async () => {
  const words = ["simulate", "--port", "0", "--profile", "instant"];
  const simulator = await runUntil("docs/simulator.md", [
    "--allow-net=127.0.0.1",
  ], words);
  try {
    const url = addressIn(
      simulator.text,
      /on (http:\/\/127\.0\.0\.1:\d+\/v1)\n/,
    );
    assert.match(await ask(url, "any"), /data: \[DONE\]/);
    assert.match(await ask(url, "any!status=503"), /"error"/);
  } finally {
    assert.equal(await simulator.stop(), 0);
  }
});

Deno.test("--help and --version need no permission", async () => {
  for (const flag of ["--help", "--version"]) {
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "mod.ts", flag],
      cwd: ROOT,
      stdin: "null",
    }).output();
    assert.equal(code, 0);
    assert.match(new TextDecoder().decode(stdout), /weir/i);
  }
});

Deno.test("deno serve serves serve.ts with the configuration that WEIR_CONFIG names", async () => {
  const file = Deno.makeTempFileSync({ suffix: ".yaml" });
  Deno.writeTextFileSync(
    file,
    `backends: [{ name: one, protocol: openai, baseUrl: "http://127.0.0.1:1/v1" }]
models: [{ name: chat, targets: [{ backend: one, model: m1 }] }]`,
  );
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "serve",
      "--no-prompt",
      "--host=127.0.0.1",
      "--port=0",
      "--allow-net=127.0.0.1:1",
      "--allow-env=WEIR_CONFIG",
      `--allow-read=${file}`,
      "serve.ts",
    ],
    cwd: ROOT,
    env: { WEIR_CONFIG: file },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines = process.stderr.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  try {
    let text = "";
    while (!text.includes("Listening")) {
      text += (await lines.read()).value ?? assert.fail(text);
    }
    const url = addressIn(text, /(http:\/\/127\.0\.0\.1:\d+)/);
    const models = await (await fetch(`${url}/v1/models`)).json();
    assert.deepEqual(models.data.map(({ id }: { id: string }) => id), ["chat"]);
  } finally {
    process.kill("SIGKILL");
    await process.status;
    await lines.cancel();
    Deno.removeSync(file);
  }
});
