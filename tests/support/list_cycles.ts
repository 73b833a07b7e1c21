/**
 * Finds what cannot be in a history of transactions that read lists and append to
 * them, in a time that grows with its length and not with its concurrency.
 *
 * A list that was read tells in which order everything in it was appended. From
 * that follows which transaction came before which: by writing before another
 * (ww), by being read (wr), by reading before another wrote (rw), and by having
 * ended before another began (time). A circle means that there is no order in
 * which they can have been done one at a time.
 *
 * Source: Kingsbury & Alvaro, "Elle: Inferring Isolation Anomalies from
 * Experimental Observations", VLDB 2020, sections 4 and 5.
 *
 * @module
 */

/** A transaction over lists. */
export interface ListTransaction {
  /** Who did it, for people. */
  readonly client: string;
  /** Place of its call in the order of all calls and returns. */
  readonly calledAt: number;
  /** Place of its return; `Infinity` if it never returned. */
  readonly returnedAt: number;
  /** Lists that it read, by key, all of one moment. */
  readonly reads: Readonly<Record<string, readonly number[]>>;
  /** What it appended, by key; every number is appended once in the whole history. */
  readonly appends: Readonly<Record<string, number>>;
  /** Whether it took effect. */
  readonly outcome: "done" | "failed" | "unknown";
}

type Reason = "ww" | "wr" | "rw" | "time";

/** All edges that leave a transaction or a moment. */
type Graph = Map<number, Map<number, Reason>>;

/** Everything that is wrong with a history, in words; nothing if it is strictly serializable. */
export function listAnomalies(history: readonly ListTransaction[]): readonly string[] {
  const anomalies: string[] = [];
  const writers = writersOf(history, anomalies);
  const orders = ordersOf(history, anomalies);
  for (const [index, { reads, client, outcome }] of history.entries()) {
    if (outcome !== "done") continue;
    for (const [key, list] of Object.entries(reads)) {
      for (const value of list) {
        const writer = writers.get(idOf(key, value));
        const by = writer === undefined ? undefined : history[writer];
        if (by === undefined) {
          anomalies.push(`${client} read ${value} in ${key}, which nobody appended`);
        } else if (by.outcome === "failed") {
          anomalies.push(`${client} read ${value} in ${key}, whose transaction had failed`);
        } else if (writer === index) {
          anomalies.push(`${client} read ${value} in ${key} before it appended it`);
        }
      }
    }
  }
  for (const { appends, client, outcome } of history) {
    if (outcome !== "done") continue;
    for (const [key, value] of Object.entries(appends)) {
      if (orders.get(key)?.includes(value) === false) {
        anomalies.push(`${client} appended ${value} to ${key}, and nobody ever read it`);
      }
    }
  }
  const circle = circleIn(graphOf(history, writers, orders));
  if (circle !== null) anomalies.push(`a circle: ${describe(history, circle)}`);
  return anomalies;
}

function writersOf(
  history: readonly ListTransaction[],
  anomalies: string[],
): ReadonlyMap<string, number> {
  const writers = new Map<string, number>();
  for (const [index, { appends }] of history.entries()) {
    for (const [key, value] of Object.entries(appends)) {
      if (writers.has(idOf(key, value))) anomalies.push(`${value} is appended to ${key} twice`);
      writers.set(idOf(key, value), index);
    }
  }
  return writers;
}

/** The longest list read of each key; all others have to be the beginning of it. */
function ordersOf(
  history: readonly ListTransaction[],
  anomalies: string[],
): ReadonlyMap<string, readonly number[]> {
  const done = history.filter(({ outcome }) => outcome === "done");
  const orders = new Map<string, readonly number[]>();
  for (const { reads } of done) {
    for (const [key, list] of Object.entries(reads)) {
      if (list.length >= (orders.get(key)?.length ?? 0)) orders.set(key, list);
    }
  }
  for (const [key, order] of orders) {
    if (new Set(order).size < order.length) anomalies.push(`${key} holds a number twice`);
  }
  for (const { reads, client } of done) {
    for (const [key, list] of Object.entries(reads)) {
      const order = orders.get(key) ?? [];
      if (list.every((value, at) => value === order[at])) continue;
      anomalies.push(`${client} read [${list}] of ${key}, which is no beginning of [${order}]`);
    }
  }
  return orders;
}

function graphOf(
  history: readonly ListTransaction[],
  writers: ReadonlyMap<string, number>,
  orders: ReadonlyMap<string, readonly number[]>,
): Graph {
  const graph: Graph = new Map();
  const add = (from: number | undefined, to: number | undefined, reason: Reason): void => {
    if (from === undefined || to === undefined || from === to) return;
    const edges = graph.get(from) ?? new Map<number, Reason>();
    if (!edges.has(to)) edges.set(to, reason);
    graph.set(from, edges);
  };
  for (const [key, order] of orders) {
    for (const [at, value] of order.entries()) {
      const next = order[at + 1];
      if (next !== undefined) {
        add(writers.get(idOf(key, value)), writers.get(idOf(key, next)), "ww");
      }
    }
  }
  for (const [index, { reads, outcome }] of history.entries()) {
    if (outcome !== "done") continue;
    for (const [key, list] of Object.entries(reads)) {
      const last = list.at(-1);
      if (last !== undefined) add(writers.get(idOf(key, last)), index, "wr");
      const next = orders.get(key)?.[list.length];
      if (next !== undefined) add(index, writers.get(idOf(key, next)), "rw");
    }
  }
  addTime(history, add);
  return graph;
}

/**
 * Whoever ended before another began comes before it. A chain of moments, one for
 * each end, says that with two edges for each transaction.
 */
function addTime(
  history: readonly ListTransaction[],
  add: (from: number, to: number, reason: Reason) => void,
): void {
  const sorted = [...history.entries()].sort(([, one], [, other]) =>
    one.returnedAt - other.returnedAt
  );
  const ends = sorted.filter(([, { returnedAt, outcome }]) =>
    returnedAt !== Infinity && outcome === "done"
  );
  for (const [at, [index]] of ends.entries()) {
    add(index, moment(at), "time");
    if (at > 0) add(moment(at - 1), moment(at), "time");
  }
  const calls = [...history.entries()].sort(([, one], [, other]) => one.calledAt - other.calledAt);
  let ended = 0;
  for (const [index, { calledAt }] of calls) {
    while ((ends[ended]?.[1].returnedAt ?? Infinity) < calledAt) ended++;
    if (ended > 0) add(moment(ended - 1), index, "time");
  }
}

/** Numbers of moments are negative, those of transactions are not. */
function moment(at: number): number {
  return -1 - at;
}

/** A circle, or `null`: a walk in depth that meets a node which it has not left yet. */
function circleIn(graph: Graph): readonly [number, Reason][] | null {
  const left = new Set<number>();
  const places = new Map<number, number>();
  for (const start of graph.keys()) {
    if (left.has(start)) continue;
    const path: { readonly node: number; readonly edges: Iterator<[number, Reason]> }[] = [];
    const reasons: Reason[] = [];
    const enter = (node: number): void => {
      places.set(node, path.length);
      path.push({ node, edges: (graph.get(node) ?? new Map<number, Reason>()).entries() });
    };
    enter(start);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const edge = top.edges.next();
      if (edge.done) {
        left.add(top.node);
        places.delete(top.node);
        path.pop();
        reasons.pop();
        continue;
      }
      const [to, reason] = edge.value;
      if (left.has(to)) continue;
      reasons[path.length - 1] = reason;
      const place = places.get(to);
      if (place === undefined) {
        enter(to);
        continue;
      }
      return path.slice(place).map(({ node }, at) => [node, reasons[place + at] ?? "time"]);
    }
  }
  return null;
}

function describe(
  history: readonly ListTransaction[],
  circle: readonly (readonly [number, Reason])[],
): string {
  return circle.filter(([node]) => node >= 0).map(([node, reason]) => {
    const { client, reads = {}, appends = {} } = history[node] ?? {};
    return `${client} ${JSON.stringify({ reads, appends })} –${reason}→`;
  }).join(" ");
}

function idOf(key: string, value: number): string {
  return `${key} ${value}`;
}
