/**
 * What does routing cost a request?
 *
 * Budget: a pick among 16 backends in under 5 µs. Also measured: the same with
 * affinity, over 64 backends, and a whole request (start, first token, end),
 * which is all that the balancer does for it.
 *
 *     deno bench bench/pick_bench.ts
 *
 * @module
 */
import { hashText } from "../src/balance/affinity.ts";
import type { Seeker } from "../src/balance/member.ts";
import { busyPool, DEMAND, walk } from "./balancing_stage.ts";

const NOW_SECONDS = 2;
const seeker: Seeker = { demand: DEMAND, keyHash: null, excludes: () => false };
const affine: Seeker = { ...seeker, keyHash: hashText("session") };
const few = busyPool(4);
const pool = busyPool(16);
const many = busyPool(64);

Deno.bench("pick of 4", { group: "pick" }, () => {
  few.pick(seeker, few.ranks, NOW_SECONDS);
});
Deno.bench("pick of 16", { group: "pick", baseline: true }, () => {
  pool.pick(seeker, pool.ranks, NOW_SECONDS);
});
Deno.bench("pick of 16, affine", { group: "pick" }, () => {
  pool.pick(affine, pool.ranks, NOW_SECONDS);
});
Deno.bench("pick of 64", { group: "pick" }, () => {
  many.pick(seeker, many.ranks, NOW_SECONDS);
});

let nowSeconds = NOW_SECONDS;
Deno.bench("whole request over 16", { group: "request" }, () => {
  nowSeconds += 0.001;
  walk(pool, DEMAND, nowSeconds);
});
