import assert from "node:assert/strict";
import { GatewayError } from "../../errors.ts";
import type { CacheControls } from "../types.ts";
import { readControls } from "./controls.ts";

function read(headers: Readonly<Record<string, string>>): CacheControls {
  return readControls((name) => headers[name] ?? null);
}

function refused(headers: Readonly<Record<string, string>>, param: string): void {
  assert.throws(() => read(headers), (error: unknown) => {
    assert.ok(error instanceof GatewayError);
    assert.equal(error.code, "invalid_request");
    assert.equal(error.param, param);
    assert.match(error.message, new RegExp(`^Cannot use header ${param}: .*[^.]$`));
    return true;
  });
}

Deno.test("readControls gives one frozen value where nothing is asked", () => {
  const controls = read({});
  assert.equal(controls, read({ "accept": "*/*" }));
  assert.ok(Object.isFrozen(controls));
  assert.deepEqual(controls, {
    mode: null,
    refresh: false,
    noStore: false,
    onlyIfCached: false,
    maxAgeMs: null,
    ttlMs: null,
    threshold: null,
    namespace: "",
    tags: [],
  });
});

Deno.test("readControls reads directives in any case, quoted or not, beside unknown ones", () => {
  const controls = read({ "cache-control": 'private="a, no-store", Max-Age="60" ,NO-CACHE,x=1' });
  assert.equal(controls.refresh, true);
  assert.equal(controls.noStore, false, "what is quoted is no directive");
  assert.equal(controls.maxAgeMs, 60_000);
  assert.equal(read({ "cache-control": "no-store" }).noStore, true);
  assert.equal(read({ "cache-control": "only-if-cached,no-transform" }).onlyIfCached, true);
});

Deno.test("readControls ignores malformed directives and keeps the others", () => {
  for (
    const broken of ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=x", "=;=", '"']
  ) {
    const controls = read({ "cache-control": `${broken}, no-cache` });
    assert.equal(controls.maxAgeMs, null, broken);
    assert.equal(controls.refresh, true, broken);
  }
  assert.equal(read({ "cache-control": "no-cachet" }).refresh, false);
  assert.equal(read({ "cache-control": 'no-store="' }).noStore, false);
});

Deno.test("readControls takes the lowest of several ages and bounds the highest", () => {
  assert.equal(read({ "cache-control": "max-age=9, max-age=3" }).maxAgeMs, 3_000);
  assert.equal(read({ "cache-control": "max-age=0" }).maxAgeMs, 0);
  assert.equal(read({ "cache-control": `max-age=${"9".repeat(40)}` }).maxAgeMs, 2 ** 31 * 1_000);
});

Deno.test("readControls reads the gateway's own headers", () => {
  const controls = read({
    "weir-cache-mode": "Exact",
    "weir-cache-namespace": " team one ",
    "weir-cache-tags": "faq, ,v2,faq",
    "weir-cache-ttl": "0.25",
    "weir-cache-threshold": "0.97",
  });
  assert.equal(controls.mode, "exact");
  assert.equal(controls.namespace, "team one");
  assert.deepEqual(controls.tags, ["faq", "v2"]);
  assert.equal(controls.ttlMs, 250);
  assert.equal(controls.threshold, 0.97);
});

Deno.test("readControls refuses malformed headers of the gateway by name", () => {
  for (const value of ["", "on", "off, exact"]) {
    refused({ "weir-cache-mode": value }, "weir-cache-mode");
  }
  for (const value of ["", " ", "é", "a\tb", "x".repeat(129)]) {
    refused({ "weir-cache-namespace": value }, "weir-cache-namespace");
  }
  const many = Array.from({ length: 17 }, (_, index) => `t${index}`).join();
  for (const value of ["ü", "x".repeat(129), many]) {
    refused({ "weir-cache-tags": value }, "weir-cache-tags");
  }
  for (const value of ["", "-1", "1e3", "Infinity", "1,5", "60s"]) {
    refused({ "weir-cache-ttl": value }, "weir-cache-ttl");
  }
  for (const value of ["", "1.1", "-0.1", ".9", "NaN", "90%"]) {
    refused({ "weir-cache-threshold": value }, "weir-cache-threshold");
  }
});

Deno.test("readControls accepts names and lists of exactly the greatest size", () => {
  const name = "x".repeat(128);
  const tags = Array.from({ length: 16 }, (_, index) => `t${index}`);
  const controls = read({ "weir-cache-namespace": name, "weir-cache-tags": tags.join() });
  assert.equal(controls.namespace, name);
  assert.deepEqual(controls.tags, tags);
});
