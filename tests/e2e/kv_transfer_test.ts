import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { stateRows } from "../support/kv_directory.ts";
import { spawnKvNode } from "../support/kv_node_process.ts";
import { runJson, runTool, runToolAlone } from "../support/kv_tool.ts";
import { inFolder } from "../support/test_folder.ts";

Deno.env.set("DENO_KV_ACCESS_TOKEN", "any");

/** A value of every kind that the runtime's own client stores. */
function valuesOfAllKinds(): Map<string, unknown> {
  const cycle: { self?: unknown; list: unknown[] } = { list: [1, 2] };
  cycle.self = cycle;
  return new Map<string, unknown>([
    ["text", "grüße \u{1f980} \u2028 \0"],
    ["long text", "x".repeat(30_000)],
    ["integer", 42],
    ["double", -0.1],
    ["minus zero", -0],
    ["not a number", NaN],
    ["infinity", -Infinity],
    ["bigint", -(2n ** 200n)],
    ["true", true],
    ["null", null],
    ["undefined", undefined],
    ["date", new Date(1_700_000_000_123)],
    ["regexp", /a+b/giu],
    ["bytes", Uint8Array.of(0, 1, 255)],
    ["no bytes", new Uint8Array(0)],
    ["most bytes", new Uint8Array(65_536).fill(7)],
    ["u64", new Deno.KvU64(2n ** 64n - 1n)],
    ["array", [1, [2, "three"], { four: 4 }]],
    ["holes", [1, , 3]], // deno-lint-ignore no-sparse-arrays
    ["map", new Map<unknown, unknown>([["a", new Map()], [1, new Set([2n])]])],
    ["floats", new Float64Array([1.5, NaN])],
    ["view", new Uint16Array(new Uint16Array([1, 2, 3]).buffer, 2, 1)],
    ["buffer", new ArrayBuffer(3)],
    ["error", new RangeError("Cannot go so far")],
    ["cycle", cycle],
    ["object", { $date: "mine", __proto__x: 1, nested: { deep: [null, undefined] } }],
  ]);
}

const KEYS: readonly Deno.KvKey[] = [
  ["text", "ä\0b"],
  [Uint8Array.of(0, 255, 0)],
  [0],
  [-0],
  [NaN],
  [-Infinity],
  [1.5],
  [0n],
  [-(2n ** 64n)],
  [2n ** 255n],
  [true, false],
  ["very", "long", "x".repeat(2_000)],
];

const EXPIRE_MS = 3_600_000;

async function fillAll(kv: Deno.Kv): Promise<number> {
  let count = 0;
  for (const [name, value] of valuesOfAllKinds()) {
    await kv.set(["value", name], value, count++ % 4 === 0 ? { expireIn: EXPIRE_MS } : {});
  }
  for (const key of KEYS) {
    await kv.set(key, key.length);
    count++;
  }
  for (let from = 0; from < 2_000; from += 500) {
    const atomic = kv.atomic();
    for (let number = from; number < from + 500; number++) {
      atomic.set(["many", number], { number, text: "y".repeat(60) });
    }
    await atomic.commit();
  }
  return count + 2_000;
}

/** All entries in their order: keys and values. */
async function entriesOf(kv: Deno.Kv): Promise<{ key: Deno.KvKey; value: unknown }[]> {
  const entries: { key: Deno.KvKey; value: unknown }[] = [];
  for await (const { key, value } of kv.list({ prefix: [] }, { batchSize: 200 })) {
    entries.push({ key, value });
  }
  return entries;
}

/** Raw rows of a Deno KV file: key, value, encoding, expiry. */
function rawRows(file: string): unknown[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database.prepare("SELECT k, v, v_encoding, expiration_ms FROM kv ORDER BY k").all()
      .map(({ k, v, v_encoding, expiration_ms }) =>
        [hexOf(k), hexOf(v), v_encoding, expiration_ms].join(" ")
      );
  } finally {
    database.close();
  }
}

function hexOf(bytes: unknown): string {
  return bytes instanceof Uint8Array ? bytes.toHex() : String(bytes);
}

Deno.test("kv import and kv export bring a Deno KV file through a node without a change", async () => {
  await inFolder(async (folder) => {
    const [native, back] = [`${folder}/native.kv`, `${folder}/back.kv`];
    const own = await Deno.openKv(native);
    const count = await fillAll(own);
    await own.set(["gone"], 1, { expireIn: 1 });
    await own.enqueue("a message", { delay: 60_000 });
    const entries = (await entriesOf(own)).filter(({ key }) => key[0] !== "gone");
    own.close();

    await using node = await spawnKvNode();
    const imported = await runJson("import", native, "--to", node.url);
    assert.equal(imported.code, 0, imported.err);
    assert.equal(imported.rows, count);
    assert.equal(imported.expired, 1);
    assert.equal(imported.messages, 1);
    const remote = await Deno.openKv(node.url);
    assert.deepEqual(await entriesOf(remote), entries);
    const stamp = (await remote.set(["last"], 1)).versionstamp;
    await remote.delete(["last"]);
    remote.close();

    const exported = await runJson("export", back, "--from", node.url);
    assert.equal(exported.code, 0, exported.err);
    assert.equal(exported.rows, count);
    assert.equal(exported.hasExpiry, true);
    const goneKey = Uint8Array.from([2, ...new TextEncoder().encode("gone"), 0]).toHex();
    assert.deepEqual(
      rawRows(back),
      rawRows(native).filter((row) => !String(row).startsWith(goneKey)),
    );

    // The runtime's own client opens it, and goes on above the versionstamps that were there.
    const reopened = await Deno.openKv(back);
    assert.deepEqual(await entriesOf(reopened), entries);
    const { versionstamp } = await reopened.get(["many", 1_999]);
    assert.ok(versionstamp !== null && versionstamp < stamp);
    const next = await reopened.set(["new"], 1);
    assert.ok(next.versionstamp > versionstamp);
    reopened.close();
    const again = await runTool("export", back, "--from", node.url);
    assert.equal(again.code, 1);
    assert.match(again.err, /^Cannot write .*: .* is there already$/);
  });
});

Deno.test("kv export and kv import bring a database through JSON Lines", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    const source = await Deno.openKv(node.url);
    const count = await fillAll(source);
    const entries = await entriesOf(source);
    source.close();
    const lines = `${folder}/all.jsonl`;
    assert.equal((await runJson("export", lines, "--from", node.url)).rows, count);
    assert.equal(Deno.readTextFileSync(lines).split("\n").length, count + 1);
    const copied = await runJson("import", lines, "--to", node.httpUrl("copy"));
    assert.equal(copied.code, 0, copied.err);
    assert.equal(copied.rows, count);
    assert.equal((await runJson("import", lines, "--to", node.httpUrl("copy"))).rows, count);
    const copy = await Deno.openKv(node.httpUrl("copy"));
    assert.deepEqual(await entriesOf(copy), entries);
    copy.close();

    // Of the stopped node the same, versionstamps included.
    await node.stop();
    const offline = `${folder}/offline.jsonl`;
    const found = await runJson("export", offline, "--data", node.folder);
    assert.equal(found.code, 0, found.err);
    assert.equal(Deno.readTextFileSync(offline), Deno.readTextFileSync(lines));
    const stored = stateRows(node.folder, 1).map((row): [string, string, number, number] =>
      JSON.parse(row)
    );
    const expiring = stored.filter(([, , , expires]) => expires !== null);
    assert.equal(expiring.length, 14); // In both databases, at the same time.
    assert.equal(new Set(expiring.map(([, , , expires]) => expires)).size, 7);
    const missing = await runTool(
      "export",
      `${folder}/x`,
      "--data",
      node.folder,
      "--database",
      "no",
    );
    assert.match(missing.err, /^Cannot export: there is no database no in /);
  });
});

Deno.test("kv import says which line or row is wrong, and keeps what is before it", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    const lines = `${folder}/bad.jsonl`;
    Deno.writeTextFileSync(lines, '{"key":["a"],"value":1}\n\n{"key":["b"],"valu":2}\n');
    const bad = await runTool("import", lines, "--to", node.url);
    assert.equal(bad.code, 1);
    assert.match(bad.err, /^Cannot import .*bad\.jsonl: line 3: Cannot read JSON: /);

    const long = { $bytes: new Uint8Array(65_537).toBase64() };
    const rows = [{ key: ["a"], value: 1 }, { key: ["b"], value: long }, { key: ["c"], value: 3 }];
    Deno.writeTextFileSync(lines, rows.map((row) => JSON.stringify(row)).join("\n"));
    const refused = await runTool("import", lines, "--to", node.url);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /^Cannot import line 2: .*valueBytesMax.*; what is before it was/);
    const kv = await Deno.openKv(node.url);
    assert.equal((await kv.get(["a"])).value, 1);
    kv.close();

    Deno.writeTextFileSync(
      `${folder}/other.kv`,
      "not a database at all, but long enough to be one",
    );
    for (
      const [file, why] of [["other.kv", /not a Deno KV/], ["none.kv", /no such file/]] as const
    ) {
      const { code, err } = await runTool("import", `${folder}/${file}`, "--to", node.url);
      assert.equal(code, 1, file);
      assert.match(err, why, file);
    }
    assert.deepEqual(await runTool("import", lines, "--to", "http://127.0.0.1:9"), {
      code: 1,
      out: "",
      err: "Cannot reach http://127.0.0.1:9: nothing answers there",
    });
  });
});

Deno.test("kv databases and kv tokens make, show, close and revoke", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode({ token: "a-secret-token" });
    Deno.writeTextFileSync(`${folder}/token`, "a-secret-token\n");
    const admin = ["--admin", node.adminUrl, "--token-file", `${folder}/token`];
    const made = await runJson(
      ...["databases", "--make", "shop", "--limits", '{"valueBytesMax":99}', "--close", "writing"],
      ...admin,
    );
    assert.equal(made.code, 0, made.err);
    assert.equal(made.writeDisabled, true);
    assert.equal(made.limits.valueBytesMax, 99);
    const { out } = await runTool("databases", "--admin", node.adminUrl);
    assert.match(out, /^NAME +ID +CLOSED FOR/);
    assert.match(out, /^shop +[0-9a-f-]{36} +writing +none +valueBytesMax=99$/m);
    const refused = await runTool("databases", "--make", "x", "--admin", node.adminUrl);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /send the node's access token/);
    assert.equal((await runTool("databases", "--close", "both", ...admin)).code, 2);
    assert.equal((await runTool("databases", "--make", "x", "--limits", "{", ...admin)).code, 2);

    assert.equal(
      (await runTool("databases", "--make", "shop", "--close", "nothing", ...admin)).code,
      0,
    );
    const { id, token } = await runJson("tokens", "--database", "shop", ...admin);
    Deno.writeTextFileSync(`${folder}/own`, token);
    const lines = `${folder}/a.jsonl`;
    Deno.writeTextFileSync(lines, '{"key":["a"],"value":1}\n');
    const target = ["--token-file", `${folder}/own`];
    assert.equal((await runJson("import", lines, "--to", node.httpUrl("shop"), ...target)).rows, 1);
    assert.equal((await runTool("import", lines, "--to", node.url, ...target)).code, 1);
    assert.equal((await runTool("tokens", "--database", "shop", "--revoke", id, ...admin)).code, 0);
    const revoked = await runTool("import", lines, "--to", node.httpUrl("shop"), ...target);
    assert.match(revoked.err, /access token is not the one of this node or database/);
    const twice = await runTool("tokens", "--database", "shop", "--revoke", id, ...admin);
    assert.match(twice.err, /none of that id/);
  });
});

Deno.test("kv bench measures a node and a file, and cleans up", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode();
    const url = `weir://${new URL(node.url).host}/default`;
    for (const target of [node.url, url, `file:${folder}/bench.kv`]) {
      const measured = await runJson(
        ...["bench", "--url", target, "--seconds", "0.1", "--concurrency", "4"],
      );
      assert.equal(measured.code, 0, measured.err);
      assert.equal(measured.results.length, 3, target);
      for (const { name, operations, perSecond, p50Ms, p99Ms } of measured.results) {
        assert.ok(operations > 0 && perSecond > 0 && p50Ms > 0 && p99Ms >= p50Ms, name);
      }
    }
    for (const target of [node.url, `${folder}/bench.kv`]) {
      const kv = await Deno.openKv(target);
      assert.deepEqual(await entriesOf(kv), []);
      kv.close();
    }
  });
});

Deno.test("the tools need no more permissions than their help names", async () => {
  await inFolder(async (folder) => {
    await using node = await spawnKvNode({ token: "a-secret-token" });
    const env = { WEIR_KV_TOKEN: "a-secret-token" };
    const variable = "--allow-env=WEIR_KV_TOKEN";
    for (const name of ["b", "e", "d"]) Deno.mkdirSync(`${folder}/${name}`);
    const net = (url: string) => `--allow-net=${new URL(url).host}`;
    const both = (path: string) => [`--allow-read=${path}`, `--allow-write=${path}`];
    const lines = `${folder}/in.jsonl`;
    Deno.writeTextFileSync(lines, '{"key":["a"],"value":{"b":1}}\n');
    const admin = ["--admin", node.adminUrl];
    const [bak, out, data] = [`${folder}/b/one.bak`, `${folder}/e/out.kv`, `${folder}/d/data`];
    const online: [string[], string[]][] = [
      [[net(node.url), `--allow-read=${lines}`, variable], ["import", lines, "--to", node.url]],
      [[net(node.url), ...both(`${folder}/e`), variable], ["export", out, "--from", node.url]],
      [[net(node.adminUrl), ...both(`${folder}/b`), variable], ["backup", bak, ...admin]],
      [[net(node.adminUrl)], ["databases", ...admin]],
      [[net(node.adminUrl), variable], ["tokens", ...admin]],
      [
        [net(node.url), variable, "--allow-env=DENO_KV_ACCESS_TOKEN"],
        ["bench", "--url", node.url, "--seconds", "0.1", "--concurrency", "2"],
      ],
      [
        [`--allow-net=${new URL(node.url).host},${node.link}`, variable],
        ["bench", "--url", node.weirUrl("default"), "--seconds", "0.1", "--concurrency", "2"],
      ],
    ];
    const offline: [string[], string[]][] = [
      [[`--allow-read=${bak}`], ["verify", "--file", bak]],
      [[`--allow-read=${bak},${data}`, `--allow-write=${data}`], ["restore", bak, "--data", data]],
      [[`--allow-read=${data}`], ["verify", "--data", data]],
      [
        [`--allow-read=${data},${folder}/d/saved`, `--allow-write=${folder}/d/saved`],
        ["salvage", "--data", data, "--into", `${folder}/d/saved`],
      ],
      [
        [`--allow-read=${data},${folder}/b,kv_node`, `--allow-write=${data},${folder}/b`],
        ["backup", `${folder}/b/two.bak`, "--data", data],
      ],
      [
        [`--allow-read=${data},${folder}/e,kv_node`, `--allow-write=${data},${folder}/e`],
        ["export", `${folder}/e/two.jsonl`, "--data", data],
      ],
    ];
    const run = async ([permissions, words]: [string[], string[]]) => {
      const { code, err } = await runToolAlone(permissions, words, env);
      assert.equal(code, 0, `${words.join(" ")}: ${err}`);
    };
    for (const command of online.slice(0, 1)) await run(command); // What the others find.
    await Promise.all(online.slice(1, 4).map(run));
    await Promise.all(online.slice(4).map(run));
    for (const command of offline) await run(command);
    assert.match(Deno.readTextFileSync(`${folder}/e/two.jsonl`), /"key":\["a"\],"value":\{"b":1\}/);
    // Without one of them it says which.
    const without = await runToolAlone([], ["databases", ...admin], env);
    assert.equal(without.code, 1);
    assert.match(without.err, /^Cannot ask the node: permission is missing, add --allow-net=127/);
    const unread = await runToolAlone([], ["verify", "--file", bak]);
    assert.match(unread.err, /^Cannot verify .*: permission is missing, add --allow-read=/);
  });
});
