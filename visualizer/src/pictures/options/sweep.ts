// Throughput of the answers of a sweep, along what was swept: as planning/sweep_report draws it.
import type { ResultsView } from "../../api/types";
import { axisLabel, categoryAxis, common, legend, legendHeight, tooltip, valueAxis } from "../base";
import { type Drawing, type Frame, isNarrow } from "../frame";
import { nthColor, nthDash } from "../look";
import { type Result, resultPoints, resultsOf, type RowPicture, resultsTable } from "../results";
import { shortTick } from "../scale";
import { tip } from "../tip";
import type { Words } from "../words";

/** Questions' sides, in the order of the table; those that vary have a title. */
const COORDINATES = [
  "model",
  "cluster",
  "world_size",
  "seq_length",
  "global_batch",
  "memory_bytes",
];

export interface SweepLine {
  name: string;
  points: (Result | null)[]; // one for each name along; null: no answer
}
export interface SweepLines {
  along: string; // title of the column
  names: string[];
  lines: SweepLine[];
}

function distinct(rows: Result[], key: string): string[] {
  return [...new Set(rows.map((row) => row.text(key)).filter((text) => text !== ""))];
}

/** Those that do not follow from the ones before them, as a device's memory follows from the cluster. */
function chosen(rows: Result[], varied: string[]): string[] {
  return varied.filter((key, i) => {
    const known = new Map<string, string>();
    return rows.some((row) => {
      const before = varied
        .slice(0, i)
        .map((other) => row.text(other))
        .join("\n");
      const text = row.text(key);
      if (text === "") return false;
      const first = known.get(before) ?? text;
      known.set(before, first);
      return first !== text;
    });
  });
}

export function sweepLines(view: ResultsView): SweepLines {
  const rows = resultsOf(view);
  const titles = new Map(view.columns.map(({ key, title }) => [key, title]));
  const varied = COORDINATES.filter((key) => titles.get(key));
  const sides = chosen(rows, varied);
  // The one of most values, of equal ones the last.
  const along = sides.reduce<string | undefined>(
    (best, key) =>
      best !== undefined && distinct(rows, best).length > distinct(rows, key).length ? best : key,
    undefined,
  );
  if (along === undefined) return { along: "", names: [], lines: [] };
  const names = distinct(rows, along);
  const others = sides.filter((key) => key !== along);
  const lines = new Map<string, (Result | null)[]>();
  for (const row of rows) {
    const place = names.indexOf(row.text(along));
    if (place < 0) continue;
    const name = others.map((key) => row.text(key)).join(", ");
    const points = lines.get(name) ?? names.map(() => null);
    if (row.number("tokens_per_second") !== null) points[place] = row;
    lines.set(name, points);
  }
  return {
    along: titles.get(along) ?? along,
    names,
    lines: [...lines].map(([name, points]) => ({ name, points })),
  };
}

function draw({ along, names, lines }: SweepLines, frame: Frame): Drawing {
  const { look, t } = frame;
  const legendNames = lines.map(({ name }) => name).filter((name) => name !== "");
  const top = legendHeight(frame, legendNames) + 16;
  const forms = ["circle", "rect", "triangle", "diamond"];
  const series = lines.map(({ name, points }, i) => ({
    type: "line",
    name,
    data: points.map((row) => row?.number("tokens_per_second") ?? null),
    symbol: forms[i % forms.length],
    symbolSize: 9,
    lineStyle: {
      color: nthColor(look, i),
      width: 2,
      type: nthDash(i).length > 0 ? nthDash(i) : "solid",
    },
    itemStyle: { color: nthColor(look, i) },
  }));
  const formatter = ({ seriesIndex, dataIndex }: { seriesIndex: number; dataIndex: number }) => {
    const line = lines[seriesIndex];
    const row = line?.points[dataIndex];
    if (!line || !row) return "";
    const title = [line.name, `${along} ${names[dataIndex]}`].filter(Boolean).join(", ");
    const facts = [
      { name: t("tokens_per_second"), text: row.text("tokens_per_second"), strong: true },
      { name: t("step_time"), text: row.text("step_ms") },
    ];
    return tip(title, facts, row.text("brief"));
  };
  const option = {
    ...common(frame),
    legend: legend(frame, legendNames),
    grid: { left: isNarrow(frame) ? 54 : 66, right: 20, top, bottom: 48 },
    tooltip: { ...tooltip(look), trigger: "item", formatter },
    xAxis: categoryAxis(look, names, {
      name: along,
      nameLocation: "middle",
      nameGap: 28,
      nameTextStyle: { color: look.color("text-soft") },
    }),
    yAxis: valueAxis(look, t("tokens_per_second"), {
      min: 0,
      nameGap: isNarrow(frame) ? 40 : 50,
      axisLabel: axisLabel(look, shortTick),
    }),
    series,
  };
  return { option, height: top + 300 };
}

/** Null: nothing was found at all. */
export function sweep(view: ResultsView, words: Words): RowPicture | null {
  const found = sweepLines(view);
  const answers = found.lines.flatMap(({ points }) => points).filter((row) => row !== null);
  if (answers.length === 0) return null;
  const most = answers.reduce((best, row) =>
    (row.number("tokens_per_second") ?? 0) > (best.number("tokens_per_second") ?? 0) ? row : best,
  );
  const rows = found.lines.map(({ points }) => points.map((row) => row?.index ?? -1));
  return {
    summary: `${words.t("sweep_picture")}: ${found.along} ${found.names.join(", ")}; ${most.text("tokens_per_second")} ${words.t("tokens_per_second")}.`,
    table: resultsTable(view),
    rows,
    points: resultPoints(view, rows),
    draw: (frame) => draw(found, frame),
  };
}
