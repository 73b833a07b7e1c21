import assert from "node:assert/strict";
import { DiskError } from "../ports.ts";
import { LOCK_NAME, lockFolder } from "./folder_lock.ts";

const HOLDING = `
  const { lockFolder } = await import(Deno.args[0]);
  globalThis.lock = lockFolder(Deno.args[1]);
  console.log("locked");
  for await (const _ of Deno.stdin.readable);
`;

function isRefused(error: unknown, reason: RegExp): boolean {
  assert.ok(error instanceof DiskError, String(error));
  assert.equal(error.kind, "denied");
  assert.match(error.message, reason);
  return true;
}

Deno.test("lockFolder lets one in at a time", () => {
  const path = Deno.makeTempDirSync({ prefix: "weir_lock_" });
  try {
    const lock = lockFolder(path);
    const reason = new RegExp(`^Cannot lock data directory: process ${Deno.pid} has it open`);
    assert.throws(() => lockFolder(path), (error) => isRefused(error, reason));
    lock[Symbol.dispose]();
    lock[Symbol.dispose]();
    using _ = lockFolder(path);
    assert.throws(() => lockFolder(path), DiskError);
    assert.equal(Deno.readTextFileSync(`${path}/${LOCK_NAME}`), `${Deno.pid}\n`);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
});

Deno.test("lockFolder is refused by a folder that is not there", () => {
  assert.throws(
    () => lockFolder("/nowhere/at/all"),
    (error: DiskError) => error.kind === "missing",
  );
});

Deno.test("lockFolder holds against another process until that one is killed", async () => {
  const path = Deno.makeTempDirSync({ prefix: "weir_lock_" });
  const script = `${path}/holding.js`;
  Deno.writeTextFileSync(script, HOLDING);
  const holder = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--no-check", "--quiet", "--no-config", "--no-lock"],
      ...["--allow-read", `--allow-write=${path}`, script],
      ...[import.meta.resolve("./folder_lock.ts"), path],
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  try {
    const reader = holder.stdout.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "locked\n");
    await reader.cancel();
    const reason = new RegExp(`process ${holder.pid} has it open`);
    assert.throws(() => lockFolder(path), (error) => isRefused(error, reason));
    holder.kill("SIGKILL");
    await holder.status;
    lockFolder(path)[Symbol.dispose]();
  } finally {
    await holder.stdin.abort().catch(() => {});
    Deno.removeSync(path, { recursive: true });
  }
});
