import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { spawnKvNode } from "../support/kv_node_process.ts";
import { findBytes, flipBit, segmentWith, stateRows } from "../support/kv_directory.ts";
import { runJson, runTool } from "../support/kv_tool.ts";
import { inFolder } from "../support/test_folder.ts";

Deno.env.set("DENO_KV_ACCESS_TOKEN", "any");

/** Writes the same number under two keys, again and again, until it is disposed. */
function keepWriting(url: string): AsyncDisposable & { readonly commits: () => number } {
  let isOver = false;
  let commits = 0;
  const writing = (async () => {
    const kv = await Deno.openKv(url);
    for (let number = 0; !isOver; number++) {
      const at = number % 50;
      await kv.atomic().set(["pair", at, "a"], number).set(["pair", at, "b"], number).commit();
      commits++;
    }
    kv.close();
  })();
  return {
    commits: () => commits,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await writing;
    },
  };
}

/** Sends this and then ends the answer, or breaks off. */
async function serveHalf(
  bytes: Uint8Array,
  isBroken: boolean,
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((_request, response) => {
    response.write(bytes, () => isBroken ? response.destroy() : response.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return {
    url: `http://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

async function fill(url: string, count: number, expireIn: number): Promise<void> {
  const kv = await Deno.openKv(url);
  for (let from = 0; from < count; from += 200) {
    const atomic = kv.atomic();
    for (let number = from; number < Math.min(count, from + 200); number++) {
      const options = number % 10 === 0 ? { expireIn } : {};
      atomic.set(["row", number], { number, text: "x".repeat(100) }, options);
    }
    await atomic.commit();
  }
  kv.close();
}

Deno.test("kv backup copies one moment while writes go on, and kv restore brings it back", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    const { adminUrl: admin } = node;
    await fill(node.url, 3_000, 3_600_000);
    await fill(node.httpUrl("other"), 100, 3_600_000);
    const file = `${folder}/one.bak`;
    {
      await using writer = keepWriting(node.url);
      const before = writer.commits();
      while (writer.commits() < before + 20) await new Promise((next) => setTimeout(next, 5));
      const written = await runJson("backup", file, "--admin", admin);
      assert.equal(written.code, 0, written.err);
      assert.ok(written.rows >= 3_100 && written.bytes === Deno.statSync(file).size);
    }
    assert.equal((await runTool("verify", "--file", file)).code, 0);

    const restored = await runJson("restore", file, "--data", `${folder}/first`);
    assert.equal(restored.code, 0, restored.err);
    await using copy = await spawnKvNode({ folder: `${folder}/first` });
    const kv = await Deno.openKv(copy.url);
    let pairs = 0;
    for (let at = 0; at < 50; at++) {
      const [a, b] = await kv.getMany([["pair", at, "a"], ["pair", at, "b"]]);
      assert.equal(a.value, b.value, "half a commit is in the backup");
      assert.equal(a.versionstamp, b.versionstamp);
      if (a.value !== null) pairs++;
    }
    assert.ok(pairs > 10);
    kv.close();
  });
});

Deno.test("kv restore keeps every row, versionstamp and expiry, and new versionstamps are above", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/one.bak`;
    await using node = await spawnKvNode();
    await fill(node.url, 500, 3_600_000);
    await fill(node.httpUrl("other"), 20, 2_000);
    const source = await Deno.openKv(node.url);
    const { versionstamp: last } = await source.set(["last"], new Deno.KvU64(7n));
    source.close();
    assert.equal((await runTool("backup", file, "--admin", node.adminUrl)).code, 0);
    await node.stop();
    assert.equal(node.lines.at(-1)?.event, "kv.stopped");
    const whole = (folder: string) => [0, 1].flatMap((group) => stateRows(folder, group));
    // The node swept what expired meanwhile; the backup has it still.
    const kept = new Set(whole(node.folder));

    const first = await runJson("restore", file, "--data", `${folder}/first`);
    assert.equal(first.code, 0, first.err);
    const rows = whole(`${folder}/first`);
    assert.deepEqual(rows.filter((row) => kept.has(row)), [...kept]);
    assert.ok(rows.length - kept.size <= 2);

    // Offline, out of the restored directory: the same once more.
    const again = `${folder}/two.bak`;
    assert.equal((await runTool("backup", again, "--data", `${folder}/first`)).code, 0);
    assert.equal((await runTool("restore", again, "--data", `${folder}/second`)).code, 0);
    assert.deepEqual(whole(`${folder}/second`), rows);

    const identities = [node.folder, `${folder}/first`, `${folder}/second`].map((each) =>
      JSON.parse(Deno.readTextFileSync(`${each}/identity.json`))
    );
    assert.equal(new Set(identities.flatMap(({ node, cluster }) => [node, cluster])).size, 6);

    await using copy = await spawnKvNode({ folder: `${folder}/first` });
    const kv = await Deno.openKv(copy.url);
    const entry = await kv.get<Deno.KvU64>(["last"]);
    assert.equal(entry.versionstamp, last);
    assert.equal(entry.value?.value, 7n);
    const { versionstamp } = await kv.set(["new"], 1);
    assert.ok(versionstamp > last);
    kv.close();
    await copy.stop();
    assert.equal((await runTool("verify", "--data", `${folder}/first`)).code, 0);
  });
});

Deno.test("kv restore refuses a damaged backup by its name, and leaves no directory", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    await fill(node.url, 200, 3_600_000);
    const file = `${folder}/one.bak`;
    assert.equal((await runTool("backup", file, "--admin", node.adminUrl)).code, 0);
    const whole = Deno.readFileSync(file);
    const damages: [name: string, bytes: Uint8Array][] = [
      ["cut", whole.subarray(0, whole.length - 1)],
      ["half", whole.subarray(0, whole.length >> 1)],
      ["empty", whole.subarray(0, 0)],
      ["other", new TextEncoder().encode("something else")],
    ];
    for (const at of [3, 30, 400, whole.length >> 1, whole.length - 5]) {
      const flipped = whole.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      damages.push([`bit at ${at}`, flipped]);
    }
    for (const [name, bytes] of damages) {
      const damaged = `${folder}/damaged.bak`;
      Deno.writeFileSync(damaged, bytes);
      const restored = await runTool("restore", damaged, "--data", `${folder}/data`);
      assert.equal(restored.code, 1, name);
      assert.match(restored.err, /^Cannot read backup: at byte \d+: /, name);
      assert.throws(() => Deno.statSync(`${folder}/data`), Deno.errors.NotFound, name);
      const verified = await runJson("verify", "--file", damaged);
      assert.equal(verified.code, 1, name);
      assert.equal(verified.problems.length, 1, name);
      assert.equal(verified.problems[0].file, damaged);
    }
    assert.equal((await runTool("restore", file, "--data", `${folder}/data`)).code, 0);
    const twice = await runTool("restore", file, "--data", `${folder}/data`);
    assert.equal(twice.code, 1);
    assert.match(twice.err, /^Cannot write into .*: it is not empty$/);
  });
});

Deno.test("kv backup leaves no file if the node breaks off, is busy, or refuses", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/one.bak`;
    await using node = await spawnKvNode({ token: "a-secret-token" });
    assert.match(
      (await runTool("backup", file, "--admin", node.adminUrl)).err,
      /^Cannot do that: send the node's access token/,
    );
    Deno.writeTextFileSync(`${folder}/token`, "a-secret-token\n");
    const token = ["--token-file", `${folder}/token`];
    assert.equal((await runTool("backup", file, "--admin", node.adminUrl, ...token)).code, 0);
    const whole = Deno.readFileSync(file);
    Deno.removeSync(file);

    // Half of a real backup, then the connection breaks, or ends as if all was well.
    for (const isBroken of [true, false]) {
      await using server = await serveHalf(whole.subarray(0, whole.length >> 1), isBroken);
      const { url } = server;
      const broken = await runTool("backup", file, "--admin", url);
      assert.equal(broken.code, 1);
      assert.match(broken.err, isBroken ? /the node broke off/ : /it was cut off/);
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["token"]);
    }

    // Somebody who begins and does not read on keeps others out, until the end.
    const slow = await fetch(`${node.adminUrl}/backup`, {
      headers: { authorization: "Bearer a-secret-token" },
    });
    const reader = slow.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    let next = await runTool("backup", file, "--admin", node.adminUrl, ...token);
    while (/another backup is under way/.test(next.err)) { // Until it has seen that.
      next = await runTool("backup", file, "--admin", node.adminUrl, ...token);
    }
    assert.equal(next.code, 0, next.err);
    assert.deepEqual(await runTool("backup", file, "--admin", "http://127.0.0.1:9"), {
      code: 1,
      out: "",
      err: "Cannot reach http://127.0.0.1:9: nothing answers there; is it the --admin of a node?",
    });
  });
});

Deno.test("kv verify names file and place of a damaged log, state, or identity", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    const kv = await Deno.openKv(node.url);
    const mark = new TextEncoder().encode("a value that is easy to find");
    for (let number = 0; number < 50; number++) {
      await kv.set(["row", number], number === 20 ? mark : new Uint8Array(2_000));
    }
    kv.close();
    const running = await runTool("verify", "--data", node.folder);
    assert.equal(running.code, 1);
    assert.match(running.err, /^Cannot open .*: a node has it open; stop that first$/);
    node.kill("SIGKILL"); // Its log and its states are as a crash leaves them.
    await node.ended;
    const sound = await runJson("verify", "--data", node.folder);
    assert.equal(sound.code, 0, JSON.stringify(sound));
    assert.equal(sound.log.entries, 52);

    const damage = async (name: string, run: (copy: string) => void) => {
      const copy = `${folder}/${name}`;
      await new Deno.Command("cp", { args: ["-r", node.folder, copy] }).output();
      run(copy);
      const found = await runJson("verify", "--data", copy);
      assert.equal(found.code, 1, name);
      assert.equal((await runTool("verify", "--data", copy)).code, 1, name);
      return found.problems;
    };
    const [inLog] = await damage("log", (copy) => {
      const segment = segmentWith(copy, mark);
      flipBit(segment, findBytes(segment, mark));
    });
    assert.match(inLog.file, /^wal\/\d{16}\.wal$/);
    assert.ok(inLog.offset > 0);
    assert.match(inLog.reason, /the record is damaged/);

    const [, gap] = await damage("gap", (copy) => {
      const segment = segmentWith(copy, mark);
      flipBit(segment, findBytes(segment, mark));
    });
    assert.match(gap.reason, /^entries \d+ to \d+ of group 1 are missing$/);

    const missing = await damage("missing", (copy) => {
      Deno.removeSync(`${copy}/wal`, { recursive: true });
      Deno.removeSync(`${copy}/identity.json`);
    });
    assert.deepEqual(missing.slice(0, 2), [
      { file: "identity.json", offset: null, reason: "it is missing" },
      {
        file: "wal",
        offset: null,
        reason: "there is no log, and the state of group 0 has 2 entries of one",
      },
    ]);

    // What SQLite checks: the pages of its main file, once everything is in there.
    await using again = await spawnKvNode({ folder: node.folder });
    await again.stop();
    assert.equal((await runTool("verify", "--data", node.folder)).code, 0);
    const [inState] = await damage("state", (copy) => {
      for (let at = 0; at < 64; at++) flipBit(`${copy}/state/1.db`, 4_096 + at, at % 8);
    });
    assert.equal(inState.file, "state/1.db");
  });
});
