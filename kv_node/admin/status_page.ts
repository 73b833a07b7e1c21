/**
 * The status page: one look tells whether a node is well.
 *
 * Plain HTML without a script; it loads itself anew every two seconds.
 *
 * @module
 */
import { sizeText } from "./size_text.ts";
import type { NodeStatus } from "./status.ts";

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem;
  color: #1c2330; background: #f7f8fa }
h1 { font-size: 1.3rem } h2 { font-size: 1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; background: #fff }
th, td { text-align: left; padding: .35rem .7rem; border-bottom: 1px solid #e3e6ec }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.state { display: inline-block; padding: .1rem .6rem; border-radius: 1rem; color: #fff }
.good { background: #1d7a46 } .busy { background: #9a6700 } .bad { background: #b3261e }
@media (prefers-color-scheme: dark) {
  body { color: #dde3ee; background: #12161d } table { background: #1a2029 }
  th, td { border-color: #2b3340 }
}`;

/** The page of a node. */
export function statusPage(status: NodeStatus): string {
  const { phase, writesRefused, damagedFiles } = status;
  const isHurt = writesRefused !== null || damagedFiles.length > 0;
  const isWell = phase === "serving" && !isHurt;
  const tone = isWell ? "good" : phase === "failed" || isHurt ? "bad" : "busy";
  const says = writesRefused === null ? phase : `${phase}, reads only`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Weir KV: ${escaped(says)}</title><style>${STYLE}</style></head><body>
<h1>Weir KV <span class="state ${tone}" role="status">${escaped(says)}</span></h1>
${writesRefused === null ? "" : `<p><strong>${escaped(writesRefused)}</strong></p>`}
${damagedFiles.length === 0 ? "" : `<p><strong>${escaped(damageText(status))}</strong></p>`}
${table(factsOf(status))}
<h2>Groups</h2>
${groupTable(status)}
<h2>More</h2>
<p><a href="/metrics">metrics</a> · <a href="/status">this page as JSON</a> ·
<a href="/databases">databases</a> · <a href="/readyz">readiness</a></p>
</body></html>
`;
}

function damageText({ damagedFiles }: NodeStatus): string {
  return `Damaged: ${damagedFiles.join(", ")}. What is damaged there is not served; restore a ` +
    "backup, or use kv salvage.";
}

function factsOf(status: NodeStatus): ReadonlyArray<readonly [string, string]> {
  return [
    ["Clients connect to", status.url ?? "not yet"],
    ["Replay of the log", `${Math.floor(status.replayed * 100)} %`],
    ["Databases", String(status.databases)],
    ["weir:// connections", String(status.linkConnections)],
    ["Watches", String(status.watches)],
    ["Commits that wait", `${status.waitingCommits} (${sizeText(status.waitingBytes)})`],
    ["Log", `${status.logSegments} segments, ${sizeText(status.logBytes)}`],
    ["Up for", durationText(status.uptimeSeconds)],
    ["Version", status.version],
    ["Cluster", status.cluster],
    ["Node", status.node],
  ];
}

function table(rows: ReadonlyArray<readonly [string, string]>): string {
  const lines = rows.map(([name, value]) =>
    `<tr><th scope="row">${escaped(name)}</th><td>${escaped(value)}</td></tr>`
  );
  return `<table>${lines.join("\n")}</table>`;
}

function groupTable({ groups }: NodeStatus): string {
  const lines = groups.map(({ group, appliedIndex, durableIndex, rows, bytes }) =>
    `<tr><td>${group === 0 ? "0 (databases, tokens)" : `${group} (data)`}</td>` +
    [rows, sizeText(bytes), appliedIndex, appliedIndex - durableIndex]
      .map((value) => `<td class="n">${escaped(String(value))}</td>`).join("") +
    "</tr>"
  );
  const heads = ["rows", "on disk", "applied entry", "entries the log still guards"]
    .map((head) => `<th class="n">${head}</th>`).join("");
  return `<table><tr><th>group</th>${heads}</tr>${lines.join("\n")}</table>`;
}

function durationText(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.floor(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
