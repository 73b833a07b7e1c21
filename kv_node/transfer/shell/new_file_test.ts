import assert from "node:assert/strict";
import { BusyFileError, NewFile } from "./new_file.ts";
import { inFolder } from "../../../tests/support/test_folder.ts";

const BYTES = new TextEncoder().encode("all of it");

Deno.test("NewFile takes the place of an older file when it is finished, not before", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/file`;
    Deno.writeTextFileSync(path, "old");
    using file = new NewFile(path);
    await file.write(BYTES);
    assert.equal(Deno.readTextFileSync(path), "old");
    await file.finish();
    assert.equal(Deno.readTextFileSync(path), "all of it");
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["file"]);
  });
});

Deno.test("NewFile leaves nothing if it is given up, and writes over what a killed run left", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/file`;
    Deno.writeTextFileSync(`${path}.partial`, "much more than is written now");
    {
      using file = new NewFile(path);
      await file.write(BYTES);
      await file.finish();
    }
    assert.equal(Deno.readTextFileSync(path), "all of it");
    {
      using file = new NewFile(`${folder}/other`);
      await file.write(BYTES);
    }
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["file"]);
  });
});

Deno.test("NewFile lets one at a time write a file", async () => {
  await inFolder(async (folder) => {
    using _first = new NewFile(`${folder}/file`);
    assert.throws(() => new NewFile(`${folder}/file`), BusyFileError);
    await Promise.resolve();
  });
});
