import assert from "node:assert/strict";
import { openMemoryGroup } from "../../tests/support/kv_group.ts";
import { Registry } from "../registry/registry.ts";
import { createKvAdmin } from "./admin.ts";
import type { NodeStatus } from "./status.ts";

const STATUS: NodeStatus = {
  phase: "serving",
  version: "1.2.3",
  cluster: "c-1",
  node: "n-1",
  uptimeSeconds: 7_300,
  url: "http://127.0.0.1:4512",
  replayed: 1,
  writesRefused: null,
  diskFull: false,
  damagedFiles: [],
  waitingCommits: 2,
  waitingBytes: 2_048,
  logSegments: 3,
  logBytes: 5_000_000,
  watches: 4,
  linkConnections: 5,
  databases: 1,
  groups: [{ group: 1, appliedIndex: 90, durableIndex: 60, rows: 12, bytes: 40_960 }],
};

let asked = 0;

async function stage(status: Partial<NodeStatus> = {}, isServing = true) {
  const store = openMemoryGroup(0).engine;
  const randomBytes = (count: number) => new Uint8Array(count).fill(++asked);
  const registry = new Registry({ store, randomBytes, databasesMax: 10 });
  await registry.prepare();
  const app = createKvAdmin({
    metrics: () => Promise.resolve({ body: "a_metric 1\n", contentType: "text/plain" }),
    status: () => ({ ...STATUS, ...status }),
    registry: () => isServing ? registry : null,
    backup: () => null,
    authorized: (bearer) => bearer === "the-token",
  });
  const call = async (method: string, path: string, body?: unknown, token = "the-token") => {
    const init = {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    const response = await app.request(path, init);
    const text = await response.text();
    return { status: response.status, text, json: text.startsWith("{") ? JSON.parse(text) : null };
  };
  return { registry, call };
}

Deno.test("createKvAdmin() is ready only while it serves, and unhealthy only when it has failed", async () => {
  const cases = [
    ["starting", 200, 503],
    ["replaying", 200, 503],
    ["serving", 200, 200],
    ["stopping", 200, 503],
    ["failed", 503, 503],
  ] as const;
  for (const [phase, health, ready] of cases) {
    const { call } = await stage({ phase, replayed: 0.25 });
    assert.equal((await call("GET", "/healthz")).status, health, phase);
    const answer = await call("GET", "/readyz");
    assert.equal(answer.status, ready, phase);
    assert.equal(answer.json.replayed, 0.25);
  }
});

Deno.test("createKvAdmin() shows how the node is, as a page and as JSON", async () => {
  const { call } = await stage({ writesRefused: "Cannot commit: <full>" });
  const page = (await call("GET", "/")).text;
  for (const text of ["serving, reads only", "4.8 MiB", "2 h 1 min", "&lt;full&gt;", "n-1"]) {
    assert.ok(page.includes(text), text);
  }
  assert.ok(!page.includes("<full>"));
  assert.ok(!page.includes("Damaged"));
  const hurt = (await (await stage({ damagedFiles: ["state/1.db"] })).call("GET", "/")).text;
  assert.match(hurt, /class="state bad".*[^]*Damaged: state\/1\.db\. What is damaged there is not/);
  assert.equal((await call("GET", "/status")).json.groups[0].rows, 12);
  assert.equal((await call("GET", "/metrics")).text, "a_metric 1\n");
});

Deno.test("createKvAdmin() makes databases, limits and closes them, and shows no token", async () => {
  const { call } = await stage();
  const made = await call("PUT", "/databases/orders", {
    limits: { valueBytesMax: 100 },
    writeDisabled: true,
  });
  assert.equal(made.status, 200);
  assert.equal(made.json.limits.valueBytesMax, 100);
  assert.equal(made.json.limits.keyBytesMax, 2_048);
  const { json: { id, token } } = await call("POST", "/databases/orders/tokens");
  const listed = await call("GET", "/databases");
  assert.ok(!listed.text.includes(token));
  const [orders] = listed.json.databases.filter((one: { name: string }) => one.name === "orders");
  assert.deepEqual([orders.writeDisabled, orders.tokens], [true, [id]]);
  assert.equal((await call("DELETE", `/databases/orders/tokens/${id}`)).status, 200);
  assert.equal((await call("DELETE", `/databases/orders/tokens/${id}`)).status, 404);
});

Deno.test("createKvAdmin() changes nothing without the node's token", async () => {
  const { registry, call } = await stage();
  const before = JSON.stringify(registry.list());
  const keys = registry.signingKeys;
  for (
    const [method, path] of [
      ["PUT", "/databases/other"],
      ["POST", "/databases/default/tokens"],
      ["DELETE", "/databases/default/tokens/1"],
      ["POST", "/signing-keys/rotate"],
      ["GET", "/backup"],
    ] as const
  ) {
    assert.equal((await call(method, path, undefined, "another")).status, 401, path);
  }
  assert.equal(JSON.stringify(registry.list()), before);
  assert.deepEqual(registry.signingKeys, keys);
  assert.equal((await call("POST", "/signing-keys/rotate")).status, 200);
  assert.equal(registry.signingKeys.length, 2);
});

Deno.test("createKvAdmin() says what is wrong with a request", async () => {
  const { call } = await stage();
  const cases = [
    ["PUT", "/databases/a", { limits: { unknown: 1 } }, 400],
    ["PUT", "/databases/a", { limits: { checksMax: -1 } }, 400],
    ["PUT", "/databases/a", { limits: [1] }, 400],
    ["PUT", "/databases/a", { writeDisabled: "yes" }, 400],
    ["PUT", "/databases/a", [1], 400],
    ["PUT", "/databases/a%2Fb", {}, 400],
    ["PUT", "/databases/a", { x: "y".repeat(70_000) }, 413],
    ["POST", "/databases/none/tokens", undefined, 404],
    ["GET", "/nowhere", undefined, 404],
  ] as const;
  for (const [method, path, body, status] of cases) {
    const answer = await call(method, path, body);
    assert.equal(answer.status, status, `${path} ${answer.text}`);
    assert.match(answer.json.error.message, /^Cannot .+/);
  }
  const starting = await stage({ phase: "replaying" }, false);
  assert.equal((await starting.call("GET", "/databases")).status, 503);
  assert.equal((await starting.call("GET", "/backup")).status, 503);
});
