import assert from "node:assert/strict";
import { LinkNode, TableDatabase } from "../../tests/support/link_node.ts";
import { openStore, type Store, StoreOpenError, StoreOperationError } from "./mod.ts";

const NODE_PROGRAM = new URL("../../tests/support/link_node.ts", import.meta.url).pathname;
const CONFIG = new URL("../../tests/deno.json", import.meta.url).pathname;

async function refusalOf(opening: Promise<Store>): Promise<StoreOpenError> {
  const error = await opening.then((store) => store.close(), (error: unknown) => error);
  if (error instanceof StoreOpenError) return error;
  throw new Error("Cannot see a refusal: the store was opened", { cause: error });
}

/** What a program prints that runs with these flags. */
async function outputOf(program: string, flags: readonly string[], token = ""): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const script = `import { openStore } from ${
      JSON.stringify(import.meta.resolve("./mod.ts"))
    };\n${program}`;
    await Deno.writeTextFile(`${folder}/program.ts`, script);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--no-prompt", "--no-check", ...flags, `${folder}/program.ts`],
      env: { DENO_KV_ACCESS_TOKEN: token },
    }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openStore weir: opens databases by name, each with rows of its own", async () => {
  const databases = [new TableDatabase("default", 1), new TableDatabase("Orders_1", 2)];
  await using node = new LinkNode({ databases });
  using one = await openStore(node.url());
  using other = await openStore(node.url("Orders_1"));
  await one.set(["a"], 1);
  await other.set(["a"], 2);
  assert.deepEqual(
    [(await one.get(["a"])).value, (await other.get(["a"])).value],
    [1, 2],
  );
  const refused = await refusalOf(openStore(node.url("none")));
  assert.equal(refused.kind, "failed");
  assert.match(refused.message, /404, Cannot open the database: there is none$/);
});

Deno.test("openStore weir: shows its token and names a wrong one, but not its text", async () => {
  await using node = new LinkNode({ token: "right-token" });
  using store = await openStore(node.url(), { token: "right-token" });
  assert.ok((await store.set(["a"], 1)).ok);
  for (const options of [{ token: "wrong-token" }, {}]) {
    const refused = await refusalOf(openStore(node.url(), options));
    assert.equal(refused.kind, "token");
    assert.doesNotMatch(refused.message, /wrong-token/);
  }
});

Deno.test("openStore weir: says which address to use where a server has no link", async () => {
  await using node = new LinkNode({ link: null });
  const refused = await refusalOf(openStore(node.url()));
  assert.equal(refused.kind, "failed");
  assert.match(refused.message, new RegExp(`http://127.0.0.1:${node.port}/$`));

  await using other = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("<h1>It works</h1>"),
  );
  const foreign = await refusalOf(openStore(`weir://127.0.0.1:${other.addr.port}/`));
  assert.match(foreign.message, /does not speak KV Connect$/);
});

Deno.test("openStore weir: takes a link without a host as one of the host it asked", async () => {
  await using first = new LinkNode();
  await using second = new LinkNode({ link: `:${first.linkPort}` });
  using store = await openStore(second.url());
  assert.ok((await store.set(["a"], 1)).ok);
  assert.equal(first.database.commits, 1);
});

Deno.test("openStore weir: tries every address, and tells what has to be mended first", async () => {
  await using node = new LinkNode({ token: "right-token" });
  const url = `weir://127.0.0.1:1,127.0.0.1:${node.port},127.0.0.1:2/`;
  using store = await openStore(url, { token: "right-token" });
  assert.ok((await store.set(["a"], 1)).ok);
  assert.equal((await refusalOf(openStore(url))).kind, "token");
  assert.equal((await refusalOf(openStore("weir://127.0.0.1:1,127.0.0.1:2"))).kind, "failed");
});

Deno.test("openStore weir: gives up a node that does not let it in within its time", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = Promise.withResolvers<Deno.TcpConn[]>();
  Promise.resolve().then(async () => [await listener.accept(), await listener.accept()])
    .then(accepted.resolve, accepted.reject);
  const { port } = listener.addr;
  await using node = new LinkNode({ link: `127.0.0.1:${port}` });
  try {
    for (const url of [`weir://127.0.0.1:${port}/`, node.url()]) {
      const refused = await refusalOf(openStore(url, { connectMs: 50 }));
      assert.match(refused.message, /no answer within 50 ms$/);
    }
  } finally {
    for (const conn of await accepted.promise) conn.close();
    listener.close();
  }
  await assert.rejects(() => openStore("weir://a", { connectMs: 0 }), RangeError);
  await assert.rejects(() => openStore("weir://a", { deadlineMs: 1.5 }), RangeError);
});

Deno.test("openStore weir: names the permission that is missing, and asks for none it can do without", async () => {
  await using node = new LinkNode({ token: "right-token" });
  const url = JSON.stringify(node.url());
  const tell = `await openStore(${url}).catch((error) => console.log(error.message));`;
  const exchange = `127.0.0.1:${node.port}`;
  assert.match(await outputOf(tell, []), new RegExp(`--allow-net=${exchange}`));
  const env = "--allow-env=DENO_KV_ACCESS_TOKEN";
  assert.match(
    await outputOf(tell, [env, `--allow-net=${exchange}`], "right-token"),
    new RegExp(`--allow-net=127.0.0.1:${node.linkPort}`),
  );
  // Neither --unstable-kv nor a call of close: an idle store keeps no process from ending.
  const use = `const store = await openStore(${url});
    await store.atomic().sum(["n"], 2n).commit();
    const { value } = await store.get(["n"]);
    console.log("counted", value.value);`;
  const net = `--allow-net=${exchange},127.0.0.1:${node.linkPort}`;
  assert.match(await outputOf(use, [env, net], "right-token"), /^counted 2n\n$/);
  assert.match(await outputOf(tell, [net], "right-token"), /refused the access token/);
});

Deno.test("openStore weir: outlives a node that is killed in the middle of its commits", async () => {
  const first = await startNode([]);
  const { port } = new URL(first.url.replace("weir:", "http:"));
  const store = await openStore(first.url);
  const counts = { done: 0, unknown: 0, other: 0 };
  const end = Promise.withResolvers<void>();
  let isOver = false;
  const writers = Array.from({ length: 64 }, async (_, writer) => {
    for (let i = 0; !isOver; i++) {
      try {
        await store.set(["w", writer, i % 10], i);
        counts.done++;
      } catch (error) {
        if (error instanceof StoreOperationError && error.kind === "outcome_unknown") {
          counts.unknown++;
        } else counts.other++;
      }
      if (counts.done > 2_000) end.resolve();
    }
  });
  await end.promise;
  first.process.kill("SIGKILL");
  await first.process.status;
  const before = counts.done;
  const second = await startNode([port]);
  while (counts.done < before + 2_000) await new Promise((resolve) => setTimeout(resolve, 1));
  isOver = true;
  await Promise.all(writers);
  store.close();
  second.process.kill("SIGKILL");
  await second.process.status;
  // What was on its way is not known; what waited, or came later, was done.
  assert.ok(counts.unknown > 0 && counts.unknown <= 64, JSON.stringify(counts));
  assert.equal(counts.other, 0);
});

async function startNode(args: readonly string[]) {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--no-check", "--config", CONFIG, "--allow-net=127.0.0.1"],
      ...[NODE_PROGRAM, ...args],
    ],
    stdout: "piped",
  }).spawn();
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return { process, url: new TextDecoder().decode(value).trim() };
}
