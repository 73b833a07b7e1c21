import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { openIdentity } from "../../disk/identity.ts";
import { DiskError } from "../../ports.ts";
import { NewDirectory } from "./new_directory.ts";
import { inFolder } from "../../../tests/support/test_folder.ts";

Deno.test("NewDirectory is a data directory after its last step, with the identity it told", async () => {
  await inFolder(async (parent) => {
    const folder = `${parent}/data`;
    const directory = await NewDirectory.begin(folder);
    const { identity } = directory;
    directory.finish();
    directory[Symbol.dispose]();
    assert.deepEqual(await openIdentity(folder, () => randomBytes(16)), identity);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
    assert.deepEqual(names, ["identity.json", "lock", "state", "wal"]);
  });
});

Deno.test("NewDirectory that ended on the way is refused by a node, and may be begun again", async () => {
  await inFolder(async (folder) => {
    const ended = await NewDirectory.begin(folder);
    Deno.writeTextFileSync(ended.statePath(1), "half");
    // A process that was killed gives its lock back and does nothing else.
    const copy = `${folder}-killed`;
    await new Deno.Command("cp", { args: ["-r", folder, copy] }).output();
    ended[Symbol.dispose]();
    try {
      await assert.rejects(
        openIdentity(copy, () => randomBytes(16)),
        /not empty and has no identity\.json/,
      );
      using again = await NewDirectory.begin(copy);
      assert.throws(() => Deno.statSync(again.statePath(1)), Deno.errors.NotFound);
      again.finish();
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
    // Given up in order, nothing but the lock is left.
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["lock"]);
  });
});

Deno.test("NewDirectory refuses a directory with anything in it", async () => {
  await inFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/notes.txt`, "mine");
    await assert.rejects(NewDirectory.begin(folder), (error) => {
      return error instanceof DiskError && error.kind === "exists";
    });
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["notes.txt"]);
  });
});
