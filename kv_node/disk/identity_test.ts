import assert from "node:assert/strict";
import { lockFolder } from "./folder_lock.ts";
import { type Identity, IDENTITY_NAME, IdentityError, openIdentity } from "./identity.ts";

const UUID_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function random16(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}

async function inFolder(run: (path: string) => Promise<void>): Promise<void> {
  const path = Deno.makeTempDirSync({ prefix: "weir_identity_" });
  try {
    await run(path);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

async function isRefused(path: string, reason: RegExp): Promise<void> {
  await assert.rejects(openIdentity(path, random16), (error) => {
    assert.ok(error instanceof IdentityError, String(error));
    assert.match(error.message, reason);
    return true;
  });
}

Deno.test("openIdentity makes one in a new directory and finds it again", async () => {
  await inFolder(async (path) => {
    using _ = lockFolder(path);
    Deno.mkdirSync(`${path}/lost+found`);
    Deno.writeTextFileSync(`${path}/${IDENTITY_NAME}.new`, '{"format": 1, "clus');
    const made = await openIdentity(path, random16);
    assert.equal(made.format, 1);
    assert.match(made.cluster, UUID_4);
    assert.match(made.node, UUID_4);
    assert.notEqual(made.cluster, made.node);
    Deno.writeTextFileSync(`${path}/other`, "");
    assert.deepEqual(await openIdentity(path, () => assert.fail("nothing to make")), made);
    assert.deepEqual(Object.keys(made).sort(), ["cluster", "format", "node"]);
    assert.deepEqual(
      [...Deno.readDirSync(path)].map((entry) => entry.name).sort(),
      ["identity.json", "lock", "lost+found", "other"],
    );
  });
});

Deno.test("openIdentity refuses a directory in use whose identity is gone", async () => {
  await inFolder(async (path) => {
    await openIdentity(path, random16);
    Deno.writeTextFileSync(`${path}/log-1`, "x");
    Deno.removeSync(`${path}/${IDENTITY_NAME}`);
    await isRefused(path, /is not empty and has no identity\.json/);
    assert.ok(![...Deno.readDirSync(path)].some((entry) => entry.name === IDENTITY_NAME));
  });
});

Deno.test("openIdentity refuses a copied directory until the copy is adopted", async (t) => {
  await inFolder(async (first) => {
    const made = await openIdentity(first, random16);
    const isTold = Deno.statSync(`${first}/${IDENTITY_NAME}`).birthtime !== null;
    await t.step({
      name: isTold ? "by its birth" : "skipped: this file system does not tell a file's birth",
      ignore: !isTold,
      fn: () => inFolder((second) => copyAndAdopt(first, second, made)),
    });
  });
});

async function copyAndAdopt(first: string, second: string, made: Identity): Promise<void> {
  const text = Deno.readTextFileSync(`${first}/${IDENTITY_NAME}`);
  const { origin, ...rest } = JSON.parse(text);
  // As if the original were a minute older: here both were made within one tick of the clock.
  const older = { ...rest, origin: { ...origin, bornMs: origin.bornMs - 60_000 } };
  Deno.writeTextFileSync(`${second}/${IDENTITY_NAME}`, JSON.stringify(older));
  await isRefused(second, /is a copy of another one/);

  // What the text says: without its origin it is taken over, and becomes an original.
  Deno.writeTextFileSync(`${second}/${IDENTITY_NAME}`, JSON.stringify(rest));
  assert.deepEqual(await openIdentity(second, random16), made);
  assert.deepEqual(await openIdentity(second, random16), made);
  assert.ok(JSON.parse(Deno.readTextFileSync(`${second}/${IDENTITY_NAME}`)).origin);

  // A directory that was renamed is the same one.
  Deno.renameSync(first, `${first}_moved`);
  assert.deepEqual(await openIdentity(`${first}_moved`, random16), made);
  Deno.renameSync(`${first}_moved`, first);
}

Deno.test("openIdentity refuses what it cannot read, each time with its reason", async () => {
  const uuid = "c1b7f2de-6f0a-4c55-9b0e-0d6a3a1f2b77";
  const cases: [string, RegExp][] = [
    ["", /is not JSON/],
    ['{"format": 1, "cluster": "c1b7', /is not JSON/],
    ["[]", /is not an object/],
    ["{}", /is not one of this program/],
    [`{"format": 2, "cluster": "${uuid}", "node": "${uuid}"}`, /its format is 2, .* 1 only/],
    [`{"format": 1, "cluster": "x", "node": "${uuid}"}`, /"cluster" .* is not a UUID/],
    [`{"format": 1, "cluster": "${uuid}", "node": 5}`, /"node" .* is not a UUID/],
    [
      `{"format": 1, "cluster": "${uuid}", "node": "${uuid}", "origin": 1}`,
      /"origin" .* unreadable/,
    ],
  ];
  for (const [text, reason] of cases) {
    await inFolder(async (path) => {
      Deno.writeTextFileSync(`${path}/${IDENTITY_NAME}`, text);
      await isRefused(path, reason);
      assert.equal(Deno.readTextFileSync(`${path}/${IDENTITY_NAME}`), text, "it is left alone");
    });
  }
});
