/**
 * What a linter would say of the Dockerfile. `long/container_test.ts` runs its
 * commands.
 */
import assert from "node:assert/strict";
import { parseDockerfile, type Stage, textsOf } from "./support/dockerfile.ts";

function read(name: string): string {
  return Deno.readTextFileSync(new URL(`../${name}`, import.meta.url));
}

const STAGES = parseDockerfile(read("Dockerfile"));
const FINAL: Stage = STAGES.at(-1) ?? [];
const ALL = STAGES.flat();

Deno.test("Dockerfile has a build stage, and its last stage runs nothing while it is built", () => {
  assert.equal(STAGES.length, 2);
  assert.deepEqual(textsOf(FINAL, "RUN"), []);
});

Deno.test("Dockerfile pins every image and every package to one version", () => {
  for (const image of textsOf(ALL, "FROM")) {
    assert.match(image, /^(node|debian):\d+\.\d+(\.\d+)?-/, image);
  }
  for (const command of textsOf(ALL, "RUN")) {
    for (const [, name] of command.matchAll(/npm install --global (\S+)/g)) {
      assert.match(name ?? "", /@\d+\.\d+\.\d+$/);
    }
    assert.ok(!/apt-get|curl|wget/.test(command), command);
  }
});

Deno.test("Dockerfile installs the Deno that the README and .ci/run name", () => {
  const wanted = /deno@(\d+\.\d+\.\d+)/;
  const version = wanted.exec(read("Dockerfile"))?.[1];
  assert.equal(wanted.exec(read("README.md"))?.[1], version);
  assert.equal(wanted.exec(read(".ci/run"))?.[1], version);
});

Deno.test("Dockerfile ends as a user that is neither root nor known by name only", () => {
  assert.deepEqual(textsOf(FINAL, "USER"), ["10001:10001"]);
  const user = FINAL.findIndex(({ name }) => name === "USER");
  const copied = FINAL.findLastIndex(({ name }) => name === "COPY");
  assert.ok(user > copied, "files must belong to root, so that the program cannot change itself");
  assert.ok(!read("Dockerfile").includes("--chown"));
});

Deno.test("Dockerfile gives a health check and no command more permissions than it needs", () => {
  assert.match(
    textsOf(FINAL, "HEALTHCHECK").join(),
    /"--allow-net=127\.0\.0\.1:8081"/,
  );
  for (
    const text of [...ALL.map(({ text }) => text), read("tools/entrypoint.sh")]
  ) {
    assert.ok(!/(^|[\s"])(-A|--allow-all)([\s"]|$)/.test(text), text);
  }
  for (const command of textsOf(FINAL, "HEALTHCHECK")) {
    assert.match(command, /"--cached-only"/);
  }
});

Deno.test("Dockerfile starts in exec form, so that signals reach the program", () => {
  for (const name of ["ENTRYPOINT", "CMD"]) {
    const [text = ""] = textsOf(FINAL, name);
    assert.ok(Array.isArray(JSON.parse(text)), `${name} ${text}`);
  }
  assert.match(read("tools/entrypoint.sh"), /^ {4}exec deno run/m);
});

Deno.test("Dockerfile copies only what .dockerignore lets through, and all of it exists", () => {
  const allowed = read(".dockerignore").split("\n").filter((line) => line.startsWith("!"))
    .map((line) => line.slice(1));
  const copied = textsOf(STAGES[0] ?? [], "COPY").flatMap((text) => text.split(/\s+/).slice(0, -1));
  assert.deepEqual(copied.toSorted(), allowed.toSorted());
  for (const path of copied) {
    assert.doesNotThrow(
      () => Deno.statSync(new URL(`../${path}`, import.meta.url)),
      path,
    );
  }
  assert.ok(
    read(".dockerignore").startsWith("*\n"),
    "secrets beside the project must stay out",
  );
});
