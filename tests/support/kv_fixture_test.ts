import assert from "node:assert/strict";
import { openStore } from "../../kv_node/compat/mod.ts";
import { serveKv } from "./kv_fixture.ts";

Deno.test("serveKv serves a node in this process, and leaves nothing behind", async () => {
  let folder: string;
  {
    await using served = await serveKv();
    folder = served.folder;
    assert.equal(served.node.status().phase, "serving");
    assert.deepEqual(served.events.map(({ type }) => type), ["replayed"]);
    using stock = await openStore(`${served.url}/one`, { token: "any" });
    using own = await openStore(served.url.replace("http:", "weir:") + "/one");
    await stock.set(["k"], 1);
    assert.equal((await own.get(["k"])).value, 1);
    assert.equal((await fetch(`${served.adminUrl}/readyz`)).status, 200);
  }
  await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
});

Deno.test("serveKv keeps a folder that it was given, and what is in it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const before of [null, 1]) {
      await using served = await serveKv({ folder });
      using store = await openStore(served.url, { token: "any" });
      assert.equal((await store.get(["k"])).value, before);
      await store.set(["k"], 1);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
