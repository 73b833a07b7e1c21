import assert from "node:assert/strict";
import { serveKv } from "../../tests/support/kv_fixture.ts";
import { ReplayError } from "../group/replay.ts";

Deno.test("openStorage() refuses, every time, a state whose log is gone", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-storage-" });
  try {
    {
      await using served = await serveKv({ folder });
      assert.equal(served.node.status().databases, 1);
    }
    await Deno.remove(`${folder}/wal`, { recursive: true });
    for (let start = 0; start < 2; start++) {
      await assert.rejects(() => serveKv({ folder }), (error: unknown) => {
        assert.ok(error instanceof ReplayError);
        assert.match(error.message, /kv salvage/);
        return true;
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
