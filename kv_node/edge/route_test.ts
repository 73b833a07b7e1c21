/**
 * Paths, and what they mean.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hostOf, type Route, routeOf } from "./route.ts";

const BASE = "http://127.0.0.1:4512";

function operation(name: string, route: string, operation: string): Route {
  return { type: "operation", name, route, operation };
}

Deno.test("routeOf tells metadata, operations and what is neither apart", () => {
  const cases: ReadonlyArray<readonly [string, Route]> = [
    ["", { type: "metadata", name: null }],
    ["/", { type: "metadata", name: null }],
    ["/?a=/b", { type: "metadata", name: null }],
    ["/orders", { type: "metadata", name: "orders" }],
    ["/orders?x=/data/watch", { type: "metadata", name: "orders" }],
    ["/data", { type: "metadata", name: "data" }],
    ["/data/data/watch", operation("data", "data", "watch")],
    ["/orders/data/snapshot_read", operation("orders", "data", "snapshot_read")],
    ["/orders/data/snapshot_read?a=b", operation("orders", "data", "snapshot_read")],
    ["/orders/queue/a/b", operation("orders", "queue", "a/b")],
    ["/orders/data/", operation("orders", "data", "")],
    ["/orders/", { type: "none" }],
    ["/orders/data", { type: "none" }],
    ["//data/watch", { type: "none" }],
    ["/or%20ders", { type: "none" }],
    ["/../data/watch", { type: "none" }],
    [`/${"a".repeat(64)}`, { type: "metadata", name: "a".repeat(64) }],
    [`/${"a".repeat(65)}`, { type: "none" }],
  ];
  for (const [path, route] of cases) assert.deepEqual(routeOf(BASE + path), route, path);
});

Deno.test("hostOf finds host and port", () => {
  assert.equal(hostOf(`${BASE}/a/b`), "127.0.0.1:4512");
  assert.equal(hostOf("http://[::1]:80/"), "[::1]:80");
  assert.equal(hostOf("http://kv.example/x?http://other/"), "kv.example");
});
