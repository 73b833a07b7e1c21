import assert from "node:assert/strict";
import { CONFORMANCE } from "./conformance.ts";
import { openStore, type Store, StoreOpenError } from "./mod.ts";

/** A real store of the runtime is one of ours: this line has to compile. */
const FROM_RUNTIME: (store: Deno.Kv) => Store = (store) => store;

for (const { name, run } of CONFORMANCE) {
  Deno.test(`openStore memory: ${name}`, async () => {
    await run(await closing(openStore("memory:"), name));
  });

  Deno.test(`openStore file: ${name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await run(await closing(openStore(`file:${folder}/store.kv`), name));
    } finally {
      release();
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** Stores of the case that runs; each is closed after it, unless the case did that. */
const open: Store[] = [];

async function closing(store: Promise<Store>, name: string): Promise<Store> {
  const opened = await store;
  if (!name.startsWith("ends its watches")) open.push(opened);
  return opened;
}

function release(): void {
  for (const store of open.splice(0)) store.close();
}

Deno.test.afterEach(release);

Deno.test("openStore memory: gives each caller a store of its own", async () => {
  using one = await openStore("memory:");
  using other = await openStore("memory:");
  await one.set(["k"], 1);
  assert.equal((await other.get(["k"])).value, null);
  assert.equal(typeof FROM_RUNTIME, "function");
});

Deno.test("openStore file: gives two connections one store, watches included", async () => {
  const folder = await Deno.makeTempDir();
  try {
    using one = await openStore(`file:${folder}/a b.kv`);
    using other = await openStore(`file://${folder}/a%20b.kv`);
    const reader = other.watch([["k"]]).getReader();
    await reader.read();
    await one.set(["k"], 1);
    assert.equal((await reader.read()).value?.[0]?.value, 1);
    await reader.cancel();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("openStore file: makes processes that write at once wait for one another", async () => {
  const folder = await Deno.makeTempDir();
  const url = `file:${folder}/store.kv`;
  const script = `
    import { openStore } from ${JSON.stringify(import.meta.resolve("./mod.ts"))};
    using store = await openStore(${JSON.stringify(url)});
    for (let done = 0; done < 60;) {
      const { value, versionstamp } = await store.get(["n"]);
      const atomic = store.atomic().check({ key: ["n"], versionstamp }).set(["n"], (value ?? 0) + 1);
      if ((await atomic.commit()).ok) done++;
    }`;
  try {
    const runs = Array.from({ length: 3 }, () =>
      new Deno.Command(Deno.execPath(), {
        args: ["eval", "--unstable-kv", script],
        stderr: "piped",
      }).output());
    for (const { success, stderr } of await Promise.all(runs)) {
      assert.ok(success, new TextDecoder().decode(stderr));
    }
    using store = await openStore(url);
    assert.equal((await store.get(["n"])).value, 180);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("openStore names the addresses it knows and no password", async () => {
  for (const url of ["weir://user:hidden@a,b/db", "redis://hidden@x", "store.kv", "memory:x", ""]) {
    const error = await refusalOf(openStore(url));
    assert.equal(error.kind, "scheme", url);
    assert.match(error.message, /memory:, file:PATH, http:/);
    assert.doesNotMatch(error.message, /hidden/);
  }
  assert.equal((await refusalOf(openStore("file:"))).kind, "scheme");
  assert.equal((await refusalOf(openStore("file://host/store.kv"))).kind, "scheme");
});

Deno.test("openStore tells a missing folder from a file that is no database", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const missing = await refusalOf(openStore(`file:${folder}/no/store.kv`));
    assert.equal(missing.kind, "directory");
    assert.match(missing.message, /no\/store\.kv: its folder does not exist/);
    assert.equal((await refusalOf(openStore(`file:${folder}`))).kind, "directory");

    await Deno.writeTextFile(`${folder}/letter.txt`, "Dear reader, this is a letter.".repeat(50));
    const foreign = await refusalOf(openStore(`file:${folder}/letter.txt`));
    assert.equal(foreign.kind, "foreign");
    assert.match(foreign.message, /letter\.txt: the file is no Deno KV database/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("openStore names the permission that is missing", async () => {
  const cases = [
    ["file:/nowhere/store.kv", [], /--allow-read and --allow-write/],
    ["http://127.0.0.1:1/", [], /--allow-env=DENO_KV_ACCESS_TOKEN/],
    ["http://127.0.0.1:1/", ["--allow-env=DENO_KV_ACCESS_TOKEN"], /--allow-net=127\.0\.0\.1:1/],
  ] as const;
  for (const [url, flags, message] of cases) {
    assert.match(await messageUnder(["--unstable-kv", ...flags], url), message);
  }
  assert.match(await messageUnder([], "memory:"), /--unstable-kv/);
});

/** What `openStore` says in a process with these flags. */
async function messageUnder(flags: readonly string[], url: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/open.ts`,
      `import { openStore } from ${JSON.stringify(import.meta.resolve("./mod.ts"))};
       await openStore(${JSON.stringify(url)}).catch((error) => console.log(error.message));`,
    );
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--no-prompt", "--no-check", ...flags, `${folder}/open.ts`],
      env: { DENO_KV_ACCESS_TOKEN: "" },
    }).output();
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openStore shows its own token to each server and leaves the environment alone", async () => {
  const seen: (string | null)[] = [];
  const answer = (request: Request): Response => {
    seen.push(request.headers.get("authorization"));
    if (seen.at(-1) === "Bearer refused-token") return new Response("", { status: 401 });
    return Response.json({
      version: 3,
      databaseId: "7a4b9a0e-0000-4000-8000-000000000000",
      endpoints: [{ url: `${request.url}data`, consistency: "strong" }],
      token: "data-token",
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    });
  };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const before = Deno.env.get("DENO_KV_ACCESS_TOKEN");
  {
    const [one, other] = await Promise.all([
      openStore(url, { token: "first-token" }),
      openStore(url, { token: "second-token" }),
    ]);
    one.close();
    other.close();
  }
  assert.deepEqual(new Set(seen), new Set(["Bearer first-token", "Bearer second-token"]));
  assert.equal(Deno.env.get("DENO_KV_ACCESS_TOKEN"), before);

  const refused = await refusalOf(openStore(url, { token: "refused-token" }));
  assert.equal(refused.kind, "token");
  assert.doesNotMatch(refused.message, /refused-token/);
});

async function refusalOf(opening: Promise<Store>): Promise<StoreOpenError> {
  const error = await opening.then((store) => store.close(), (error: unknown) => error);
  if (error instanceof StoreOpenError) return error;
  throw new Error("Cannot see a refusal: the store was opened", { cause: error });
}
