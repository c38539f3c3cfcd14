// The step curve of a frontier: the fastest plan's time over the memory of one device.
import type { Amount, JsonObject, ResultsView } from "../../api/types";
import { axisLabel, common, tooltip, valueAxis } from "../base";
import { type Drawing, type Frame, isNarrow } from "../frame";
import { nthColor } from "../look";
import { type Result, resultPoints, resultsOf, type RowPicture, resultsTable } from "../results";
import { byteUnit, tick, timeUnit } from "../scale";
import { tip } from "../tip";
import type { Words } from "../words";

interface Curve {
  steps: { from: number; ms: number; row: Result }[];
  end: number; // bytes
  perSample: boolean;
}

function jsonNumber(json: ResultsView["json"], key: string): number | null {
  const value =
    json !== null && typeof json === "object" && !Array.isArray(json)
      ? (json as JsonObject)[key]
      : null;
  return typeof value === "number" ? value : null;
}

function curveOf(view: ResultsView): Curve {
  const rows = resultsOf(view);
  const perSample = new Set(rows.map((row) => row.number("global_batch"))).size > 1;
  const steps = rows.flatMap((row) => {
    const from = row.number("from_bytes");
    const ms = row.number(perSample ? "ms_per_sample" : "step_ms");
    return from === null || ms === null ? [] : [{ from, ms, row }];
  });
  const last = steps.at(-1);
  const end = jsonNumber(view.json, "end_bytes") ?? last?.row.number("to_bytes") ?? last?.from ?? 0;
  return { steps, end, perSample };
}

function askedLine(asked: Amount, unit: number, { look, t }: Frame): object {
  return {
    silent: true,
    symbol: "none",
    data: [
      {
        xAxis: asked.value / unit,
        lineStyle: { color: look.color("accent"), width: 2, type: "dashed" },
        label: {
          formatter: t("asked_of", { text: asked.text }),
          color: look.color("accent"),
          position: "end",
        },
      },
    ],
  };
}

type Point = [number, number];

/** Each plan stays the fastest up to the next one's memory, the last up to the end. */
export function staircase(points: Point[], end: number): Point[] {
  return points.flatMap(([x, y], i) => {
    const until = points[i + 1]?.[0] ?? Math.max(x, end);
    return [
      [x, y],
      [until, y],
    ] satisfies Point[];
  });
}

/** Below all of them: a round number, so that the curve fills its picture; 0 where that is near. */
export function axisStart(values: number[]): number {
  const least = Math.min(...values);
  const round = 10 ** Math.floor(Math.log10(Math.max(...values, 1e-9)));
  const start = Math.floor((0.95 * least) / round) * round;
  return start > 0.25 * Math.max(...values) ? start : 0;
}

function draw(curve: Curve, asked: Amount | null, frame: Frame): Drawing {
  const { look, t } = frame;
  const { steps, end } = curve;
  const size = byteUnit(Math.max(end, 1));
  const time = timeUnit(Math.max(...steps.map(({ ms }) => ms)));
  const points = steps.map(({ from, ms }): Point => [from / size.size, ms / time.size]);
  const yName = `${t(curve.perSample ? "time_per_sample" : "step_time")}, ${time.name}`;
  const color = nthColor(look, 0);
  const line = {
    type: "line",
    silent: true,
    data: staircase(points, end / size.size),
    symbol: "none",
    lineStyle: { color, width: 2.5 },
    ...(asked ? { markLine: askedLine(asked, size.size, frame) } : {}),
  };
  const dots = {
    type: "line",
    data: points,
    symbol: "circle",
    symbolSize: 9,
    lineStyle: { opacity: 0 },
    itemStyle: { color, borderColor: look.color("ground"), borderWidth: 1.5 },
  };
  const formatter = ({ dataIndex }: { dataIndex: number }) => {
    const step = steps[dataIndex];
    return step ? tip(step.row.text("brief"), rowTip(step.row, curve.perSample, frame)) : "";
  };
  const option = {
    ...common(frame),
    grid: { left: isNarrow(frame) ? 52 : 64, right: 20, top: 26, bottom: 48 },
    tooltip: { ...tooltip(look), trigger: "item", formatter },
    xAxis: valueAxis(look, `${t("memory_of_device")}, ${size.name}`, {
      min: axisStart([...points.map(([x]) => x), ...(asked ? [asked.value / size.size] : [])]),
      axisLabel: axisLabel(look, tick),
    }),
    yAxis: valueAxis(look, yName, {
      scale: true,
      nameGap: isNarrow(frame) ? 36 : 46,
      axisLabel: axisLabel(look, tick),
    }),
    series: [dots, line],
  };
  return { option, height: 320 };
}

function rowTip(row: Result, perSample: boolean, { t }: Frame) {
  const time = perSample ? ["time_per_sample", "ms_per_sample"] : ["step_time", "step_ms"];
  return [
    { name: t("memory_of_device"), text: `≥ ${row.text("from_bytes")}` },
    {
      name: t(time[0] === "step_time" ? "step_time" : "time_per_sample"),
      text: row.text(time[1] ?? ""),
      strong: true,
    },
    { name: t("tokens_per_second"), text: row.text("tokens_per_second") },
  ];
}

/** `asked`: the budget of the question, marked. Null: nothing fits anywhere. */
export function frontier(view: ResultsView, asked: Amount | null, words: Words): RowPicture | null {
  const curve = curveOf(view);
  if (curve.steps.length === 0) return null;
  const time = (row: Result) => row.text(curve.perSample ? "ms_per_sample" : "step_ms");
  const said = curve.steps.slice(0, 12).map(({ row }) => `${row.text("from_bytes")}: ${time(row)}`);
  const rows = [curve.steps.map(({ row }) => row.index)];
  return {
    summary: `${words.t("frontier_picture")}. ${said.join("; ")}.`,
    table: resultsTable(view),
    rows,
    points: resultPoints(view, rows),
    draw: (frame) => draw(curve, asked, frame),
  };
}
