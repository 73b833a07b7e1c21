import assert from "node:assert/strict";
import type { Figures } from "./measures.ts";
import { median, rowsFrom, tableFrom, verdictsFrom, verdictText } from "./report.ts";

const NOTHING: Figures = {
  requestsPerSecond: 100,
  cpuMsPerRequest: null,
  cpuUsPerEvent: null,
  latencyP50Ms: 1,
  latencyP99Ms: 2,
  firstTokenP50Ms: null,
  firstTokenP99Ms: null,
  gapP99Ms: null,
  residentBytesMax: null,
  requests: 10,
  errors: 0,
  firstError: "",
};

const RUNS = {
  plain_c32: {
    direct: [NOTHING],
    nginx: [0.04, 0.05, 0.9].map((cpuMsPerRequest) => ({ ...NOTHING, cpuMsPerRequest })),
    portkey: [{ ...NOTHING, cpuMsPerRequest: 2 }],
    weir: [{ ...NOTHING, cpuMsPerRequest: 0.16 }],
  },
  stream_c1: {
    direct: [0.2, 5].map((firstTokenP50Ms) => ({ ...NOTHING, firstTokenP50Ms })),
    weir: [0.5, 5.4].map((firstTokenP50Ms) => ({ ...NOTHING, firstTokenP50Ms })),
  },
};

Deno.test("median() is the middle value, and none for none", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1]), 1);
  assert.equal(median([]), null);
});

Deno.test("rowsFrom() takes medians, and what is added within each round", () => {
  const rows = rowsFrom(RUNS, { weir: 61_000_000 });
  assert.deepEqual(rows.get("plain_cpu")?.values, { nginx: 0.05, portkey: 2, weir: 0.16 });
  assert.equal(rows.get("stream_c1_p50")?.values["weir"]?.toFixed(3), "0.300");
  assert.equal(rows.get("stream_c1_p50")?.values["direct"], undefined);
  assert.equal(rows.get("idle_memory")?.values["weir"], 61);
});

Deno.test("rowsFrom() leaves out a round in which nothing was answered", () => {
  const weir = [{ ...NOTHING, cpuMsPerRequest: 0.1 }, {
    ...NOTHING,
    requests: 0,
    cpuMsPerRequest: 0,
  }];
  const rows = rowsFrom({ plain_c32: { weir } }, {});
  assert.equal(rows.get("plain_cpu")?.values["weir"], 0.1);
});

Deno.test("verdictsFrom() compares with the rivals that ran, and says by how much it missed", () => {
  const rows = rowsFrom(RUNS, { weir: 100_000_000 });
  const verdicts = verdictsFrom(rows, "weir");
  const met = Object.fromEntries(verdicts.map((verdict) => [verdict.target, verdict.met]));
  assert.equal(met["CPU ms a plain request: at most 3 times nginx's"], false);
  assert.equal(met["CPU ms a plain request: at most a fifth of Portkey's"], true);
  assert.equal(met["idle RSS, MB"], false);
  assert.equal(met["CPU µs an SSE event: at most 1.5 times nginx's"], undefined);
  assert.match(verdictText(verdicts), /idle RSS, MB \| 80\.0 \| 100 \| missed by 25 %/);
});

Deno.test("tableFrom() has a column a peer and the ratios of the subject", () => {
  const table = tableFrom(rowsFrom(RUNS, {}), ["direct", "nginx", "portkey", "weir"], "weir");
  assert.match(table, /^\| measure \| direct \| nginx \| portkey \| weir \| weir\/nginx \|/);
  assert.match(
    table,
    /CPU ms a request \| – \| 0\.0500 \| 2\.0000 \| 0\.1600 \| 3\.20 \| 0\.08 \|/,
  );
});
