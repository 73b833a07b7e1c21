import assert from "node:assert/strict";
import { ENCODING_BYTES } from "../../types.ts";
import { DenoKvFileReader, DenoKvFileWriter } from "./deno_kv_file.ts";

const ROWS = 1_000;
const PAGE_BYTES = 4_096;

Deno.test("DenoKvFileReader gives back all rows, and refuses a file of which some cannot be read", () => {
  const folder = Deno.makeTempDirSync({ prefix: "weir-kv-file-" });
  try {
    const path = `${folder}/file`;
    using writer = new DenoKvFileWriter(path);
    for (let number = 0; number < ROWS; number++) {
      const key = Uint8Array.of(2, number >> 8, number & 255);
      const data = new Uint8Array(100).fill(number);
      const stamp = new Uint8Array(10).fill(1);
      writer.write({ key, data, stamp, encoding: ENCODING_BYTES, expiresMs: null });
    }
    writer.finish();
    {
      using reader = new DenoKvFileReader(path);
      assert.equal([...reader.rows()].length, ROWS);
    }
    using file = Deno.openSync(path, { write: true });
    file.seekSync(15 * PAGE_BYTES, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(8).fill(0xee));
    using reader = new DenoKvFileReader(path);
    assert.throws(() => [...reader.rows()], {
      name: "DenoKvFileError",
      message: /^Cannot read the file: \d+ of its 1000 rows could be read$/,
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
