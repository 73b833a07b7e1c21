/**
 * Runs what the Dockerfile says, in a clean folder in place of an image.
 *
 * Method: the build stage's COPY and RUN instructions are carried out with every
 * absolute path moved below a temporary folder. Then the folder is made
 * read-only, and entry point and health check run from it with an empty
 * environment, as the Dockerfile's user where the test runs as root. What stays
 * unproven is the base images themselves.
 */
import assert from "node:assert/strict";
import { parseDockerfile, textsOf } from "../support/dockerfile.ts";
import { TextLineStream } from "../support/lines.ts";

const PROJECT = new URL("../../", import.meta.url).pathname;
const STAGES = parseDockerfile(Deno.readTextFileSync(`${PROJECT}Dockerfile`));
const IDENTITY = Deno.uid() === 0 ? { uid: 10_001, gid: 10_001 } : {};

/** The image's file system, below a temporary folder. */
class Image implements Disposable {
  readonly root = Deno.makeTempDirSync({ prefix: "weir-image-" });
  #variables: Record<string, string> = {};

  /** The same text with the image's absolute paths moved below the root. */
  moved(text: string): string {
    return text.replaceAll(
      /(^|["=\s])\/(app|deno-dir|etc\/weir|usr\/local)(?=[/"\s]|$)/g,
      (_, before, path) => {
        return `${before}${this.root}/${path}`;
      },
    );
  }

  /** Carries out the build stage. */
  async build(): Promise<void> {
    const [build = []] = STAGES;
    let folder = "/";
    for (const { name, text } of build) {
      if (name === "WORKDIR") folder = this.moved(text);
      if (name === "ENV") this.#set(text);
      if (name === "COPY") await copy(text, folder);
      if (name === "RUN") {
        await this.#run(text, folder === "/" ? this.root : folder);
      }
    }
    for (const text of textsOf(STAGES.at(-1) ?? [], "ENV")) this.#set(text);
    const script = `${this.root}/app/tools/entrypoint.sh`;
    Deno.writeTextFileSync(script, this.moved(Deno.readTextFileSync(script)));
    await this.#run(
      `cp ${this.root}/usr/local/bin/deno-binary ${this.root}/usr/local/bin/deno`,
      "/",
    );
    await this.#run(`chmod -R a-w,a+rX ${this.root}`, "/");
  }

  /** A command as the container would run it: by its user, with nothing else in its environment. */
  command(
    words: readonly string[],
    variables: Readonly<Record<string, string>> = {},
  ): Deno.Command {
    const [program = "", ...args] = words.map((word) => this.moved(word));
    return new Deno.Command(
      program === "deno" ? `${this.root}/usr/local/bin/deno` : program,
      {
        args,
        ...IDENTITY,
        cwd: `${this.root}/app`,
        clearEnv: true,
        env: {
          ...this.#variables,
          PATH: `${this.root}/usr/local/bin:/usr/bin:/bin`,
          ...variables,
        },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      },
    );
  }

  #set(text: string): void {
    for (const pair of text.split(/\s+/)) {
      const [name = "", value = ""] = pair.split("=");
      this.#variables[name] = this.moved(value);
    }
  }

  async #run(command: string, cwd: string): Promise<void> {
    const local = `${this.root}/usr/local`;
    Deno.mkdirSync(`${local}/bin`, { recursive: true });
    const { code, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-ec", this.moved(command)],
      cwd,
      env: {
        ...this.#variables,
        npm_config_prefix: local,
        PATH: `${local}/bin:${Deno.env.get("PATH") ?? ""}`,
      },
      stdin: "null",
    }).output();
    assert.equal(code, 0, `${command}\n${new TextDecoder().decode(stderr)}`);
  }

  [Symbol.dispose](): void {
    new Deno.Command("chmod", { args: ["-R", "u+w", this.root] }).outputSync();
    Deno.removeSync(this.root, { recursive: true });
  }
}

/** COPY: files keep their names, a folder's content goes into the target; no unit tests. */
async function copy(text: string, folder: string): Promise<void> {
  const words = text.split(/\s+/);
  const target = `${folder}/${words.at(-1)}`;
  for (const source of words.slice(0, -1)) {
    const isFolder = Deno.statSync(PROJECT + source).isDirectory;
    const place = isFolder || !target.endsWith("/") ? target : `${target}${source}`;
    Deno.mkdirSync(place.slice(0, place.lastIndexOf("/")), { recursive: true });
    const { code } = await new Deno.Command("cp", {
      args: ["-R", PROJECT + source, place],
    }).output();
    assert.equal(code, 0, source);
  }
  await new Deno.Command("find", {
    args: [folder, "-name", "*_test.ts", "-delete"],
  }).output();
}

/** A free port that others may take again before it is used; nobody here does. */
function freePort(): number {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return listener.addr.port;
}

Deno.test("the Dockerfile's commands build, serve, report health and drain", async () => {
  using image = new Image();
  await image.build();
  const final = STAGES.at(-1) ?? [];
  const [entrypoint = []] = textsOf(final, "ENTRYPOINT").map((text) =>
    JSON.parse(text) as string[]
  );
  const [command = []] = textsOf(final, "CMD").map((text) => JSON.parse(text) as string[]);
  const port = freePort();
  const adminPort = freePort();

  const config = Deno.makeTempFileSync({ suffix: ".yaml" });
  Deno.writeTextFileSync(
    config,
    `backends: [{ name: one, protocol: openai, baseUrl: "http://127.0.0.1:1/v1", credential: "env:A_KEY" }]
models: [{ name: chat, targets: [{ backend: one, model: m1 }] }]`,
  );
  Deno.chmodSync(config, 0o644);
  // The image's own words, but for the mounted file and addresses that are free here.
  const words = command.map((word) =>
    word.replace("/etc/weir/weir.yaml", config).replace("0.0.0.0", "127.0.0.1")
  );
  const serve = image.command(
    [
      ...entrypoint,
      ...words,
      "--port",
      `${port}`,
      "--admin-port",
      `${adminPort}`,
    ],
    { A_KEY: "a-secret" },
  ).spawn();
  const complaints = new Response(serve.stderr).text();
  const lines = serve.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  try {
    const { value = "" } = await lines.read();
    assert.match(value, /"event":"serving"/, value === "" ? await complaints : value);
    const models = await fetch(`http://127.0.0.1:${port}/v1/models`);
    assert.match(await models.text(), /"chat"/);

    const [health = ""] = textsOf(final, "HEALTHCHECK");
    const check = (JSON.parse(health.slice(health.indexOf("["))) as string[])
      .map((word) => word.replace("8081", `${adminPort}`));
    const url = `http://127.0.0.1:${adminPort}/healthz`;
    const asked = await image.command([...check, url]).output();
    assert.equal(asked.code, 0, new TextDecoder().decode(asked.stderr));
    // The exact command asks port 8081, where nobody listens now: it must say so, with status 1.
    assert.equal((await image.command(check).output()).code, 1);
  } finally {
    serve.kill("SIGTERM");
  }
  while (!(await lines.read()).done);
  assert.equal((await serve.status).code, 0, await complaints);
  Deno.removeSync(config);
});

Deno.test("the container's entry point runs a KV node on a volume of the user's", async () => {
  using image = new Image();
  await image.build();
  const [entrypoint = []] = textsOf(STAGES.at(-1) ?? [], "ENTRYPOINT").map((text) =>
    JSON.parse(text) as string[]
  );
  const data = Deno.makeTempDirSync({ prefix: "weir-volume-" });
  if (Deno.uid() === 0) Deno.chownSync(data, 10_001, 10_001);
  const places = ["--listen", "--admin", "--link"].flatMap((flag) => [flag, "127.0.0.1:0"]);
  const node = image.command([...entrypoint, "kv", "--data", data, ...places], {
    WEIR_KV_TOKEN: "a-secret-token",
  }).spawn();
  const complaints = new Response(node.stderr).text();
  const lines = node.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  try {
    let line: { event?: string; adminUrl?: string } = {};
    while (line.event !== "kv.serving") {
      const { value, done } = await lines.read();
      assert.equal(done, false, done ? await complaints : "");
      line = JSON.parse(value ?? "{}");
    }
    assert.equal((await (await fetch(`${line.adminUrl}/readyz`)).json()).status, "ready");
  } finally {
    node.kill("SIGTERM");
  }
  while (!(await lines.read()).done);
  assert.equal((await node.status).code, 0, await complaints);
  Deno.removeSync(data, { recursive: true });
});

Deno.test("the container's entry point passes a configuration's problems on", async () => {
  const { code, stderr } = await new Deno.Command("/bin/sh", {
    args: [
      "-c",
      `sed 's#^app=.*#app=.#' tools/entrypoint.sh | sh -s serve --config /nowhere.yaml`,
    ],
    cwd: PROJECT,
    stdin: "null",
  }).output();
  assert.notEqual(code, 0);
  assert.match(
    new TextDecoder().decode(stderr),
    /Cannot read \/nowhere\.yaml: there is no such file/,
  );
});
