/**
 * A calibration as a picture: hits and false hits by threshold.
 *
 * @module
 */
import type { Calibration, CalibrationRow } from "./table.ts";

const HEIGHT = 12;

/** The table, as text. */
export function calibrationTable({ rows, proposed }: Calibration): string {
  const lines = ["threshold    hits   false hits (at most)   without guards"];
  for (const row of rows) {
    if (Math.round(row.threshold * 100) % 5 !== 0 && row !== proposed) continue;
    const mark = row === proposed ? "  <- proposed" : "";
    lines.push(
      `${row.threshold.toFixed(2).padStart(9)} ${percent(row.hits)} ${percent(row.falseHits)} ` +
        `(${percent(row.falseHitsBound).trim()})`.padEnd(14) +
        `${percent(row.falseHitsUnguarded).padStart(17)}${mark}`,
    );
  }
  return lines.join("\n");
}

/** The picture, in characters: `#` hits, `x` false hits without guards, `o` with. */
export function calibrationPlot({ rows }: Calibration): string {
  const lines: string[] = [];
  for (let level = HEIGHT; level >= 0; level--) {
    const label = level % 3 === 0 ? `${Math.round(level / HEIGHT * 100)} %` : "";
    lines.push(`${label.padStart(6)} |${rows.map((row) => sign(row, level)).join("")}`);
  }
  lines.push(`       +${"-".repeat(rows.length)}`);
  lines.push(`        0.50${"0.75".padStart(23)}${"0.99".padStart(23)}`);
  lines.push("        # hits   o false hits   x false hits without guards");
  return lines.join("\n");
}

function sign(row: CalibrationRow, level: number): string {
  const at = (share: number): boolean => Math.round(share * HEIGHT) === level;
  if (at(row.hits)) return "#";
  if (at(row.falseHits)) return "o";
  return at(row.falseHitsUnguarded) ? "x" : " ";
}

/** The picture as SVG, readable in light and dark. */
export function calibrationSvg(calibration: Calibration, title: string): string {
  const width = 720;
  const height = 400;
  const left = 60;
  const bottom = 340;
  const x = (threshold: number): number => left + (threshold - 0.5) / 0.49 * (width - left - 30);
  const y = (share: number): number => bottom - share * 280;
  const line = (of: (row: CalibrationRow) => number, colour: string, dash = ""): string =>
    `<polyline fill="none" stroke="${colour}" stroke-width="2"${dash} points="${
      calibration.rows.map((row) => `${x(row.threshold).toFixed(1)},${y(of(row)).toFixed(1)}`)
        .join(" ")
    }"/>`;
  const { proposed } = calibration;
  const axis = [0, 0.25, 0.5, 0.75, 1].map((share) =>
    `<line x1="${left}" x2="${width - 30}" y1="${y(share)}" y2="${y(share)}" stroke="#8884"/>` +
    `<text x="${left - 8}" y="${y(share) + 4}" text-anchor="end">${share * 100} %</text>`
  );
  const ticks = [0.5, 0.6, 0.7, 0.8, 0.9, 0.99].map((threshold) =>
    `<text x="${x(threshold)}" y="${bottom + 20}" text-anchor="middle">${threshold}</text>`
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `font-family="sans-serif" font-size="12" fill="#777">
<text x="${left}" y="24" font-size="15">${escaped(title)}</text>
${[...axis, ...ticks].join("\n")}
${line((row) => row.hits, "#2a7de1")}
${line((row) => row.falseHits, "#d33")}
${line((row) => row.falseHitsUnguarded, "#d33", ' stroke-dasharray="4 4"')}
${
      proposed === null
        ? ""
        : `<line x1="${x(proposed.threshold)}" x2="${x(proposed.threshold)}" ` +
          `y1="60" y2="${bottom}" stroke="#2a2" stroke-width="2"/>`
    }
<text x="${left}" y="${
      bottom + 45
    }"><tspan fill="#2a7de1">hits</tspan>  <tspan fill="#d33">false hits (dashed: without guards)</tspan>  <tspan fill="#2a2">proposed threshold</tspan></text>
</svg>
`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`.padStart(9);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
