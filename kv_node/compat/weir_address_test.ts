import assert from "node:assert/strict";
import { StoreOpenError } from "./open_error.ts";
import { hostAndPort, parseWeirAddress } from "./weir_address.ts";

Deno.test("parseWeirAddress reads one address or several, with the port and name they have", () => {
  const cases = [
    ["weir://localhost", ["localhost:4512"], "default"],
    ["weir://127.0.0.1:80/", ["127.0.0.1:80"], "default"],
    ["WEIR://a.example:1,b-2:2/Orders_1", ["a.example:1", "b-2:2"], "Orders_1"],
    ["weir://[::1]:9,[fe80::1]/x", ["[::1]:9", "[fe80::1]:4512"], "x"],
  ] as const;
  for (const [url, nodes, database] of cases) {
    assert.deepEqual(parseWeirAddress(url), { nodes: [...nodes], database });
  }
});

Deno.test("parseWeirAddress refuses what it cannot read and shows none of it", () => {
  const refused = [
    "weir:",
    "weir:a",
    "weir://",
    "weir:///x",
    "weir://a,/x",
    "weir://a:0/x",
    "weir://a:65536",
    "weir://a:b",
    "weir://hidden@a/x",
    "weir://user:hidden@a,b/db",
    "weir://a/hidden?x=1",
    "weir://a/x/hidden",
    "weir://a/-x",
    `weir://${"a,".repeat(32)}a`,
    "http://a/x",
  ];
  for (const url of refused) {
    assert.throws(
      () => parseWeirAddress(url),
      (error) =>
        error instanceof StoreOpenError && error.kind === "scheme" &&
        /weir:\/\/HOST:PORT/.test(error.message) && !/hidden/.test(error.message),
      url,
    );
  }
});

Deno.test("hostAndPort takes the brackets off", () => {
  assert.deepEqual(hostAndPort("[::1]:9"), { hostname: "::1", port: 9 });
  assert.deepEqual(hostAndPort("a.example:4512"), { hostname: "a.example", port: 4512 });
});
