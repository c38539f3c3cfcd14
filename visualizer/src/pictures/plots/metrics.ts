// What a run wrote of each step, and of its evaluations.
import type { RunView } from "../../api/types";
import { bytesText, countText } from "../../format";
import { nameOf } from "../names";
import type { Plot, PlotSeries } from "../plot";
import { byteUnit, shortTick, tick, type Unit } from "../scale";
import { cell, type Table } from "../table";
import type { Words } from "../words";
import { smoothed } from "./smooth";

type Column = (number | null)[];

/** JSON has no NaN, but a file that was made elsewhere may hold what is no number. */
function finite(column: Column | undefined): Column {
  return (column ?? []).map((value) =>
    typeof value === "number" && Number.isFinite(value) ? value : null,
  );
}

function hasValues(column: Column | undefined): boolean {
  return (column ?? []).some((value) => typeof value === "number" && Number.isFinite(value));
}

/** Of one axis: how its values are written. */
function textOf(metric: string): (value: number) => string {
  if (metric.endsWith("_bytes")) return bytesText;
  if (metric.startsWith("tokens")) return (value) => countText(Math.round(value));
  return (value) => String(Number(value.toPrecision(5)));
}

function unitOf(metric: string, column: Column): Unit {
  if (!metric.endsWith("_bytes")) return { name: "", size: 1 };
  return byteUnit(column.reduce<number>((most, value) => Math.max(most, value ?? 0), 1));
}

/** Both columns of steps as one, each step once; and a column's values at them. */
function joined(
  steps: number[],
  others: number[],
): { x: number[]; at: (of: number[], column: Column) => Column } {
  const x = [...new Set([...steps, ...others])].sort((one, other) => one - other);
  return {
    x,
    at: (of, column) => {
      const known = new Map(of.map((step, i) => [step, column[i] ?? null]));
      return x.map((step) => known.get(step) ?? null);
    },
  };
}

function stepsOf(columns: Record<string, Column>): number[] {
  return finite(columns.step).map((step, i) => step ?? i + 1);
}

/** Of evaluations: their losses, or all else but the step. */
function evaluated(run: RunView, losses: boolean): string[] {
  return Object.keys(run.evaluations).filter(
    (name) =>
      name !== "step" && name.endsWith("_loss") === losses && hasValues(run.evaluations[name]),
  );
}

/** Metrics that have a picture of their own, in the order of the file; then those of evaluations. */
export function otherMetrics(run: RunView): string[] {
  const ofSteps = Object.keys(run.metrics).filter(
    (name) => !["step", "loss", "seconds", "tokens"].includes(name) && hasValues(run.metrics[name]),
  );
  return [...ofSteps, ...evaluated(run, false)];
}

function plotOf(
  title: string,
  metric: string,
  x: number[],
  series: PlotSeries[],
  logarithmic: boolean,
  words: Words,
): Plot {
  const unit = unitOf(metric, series[0]?.values ?? []);
  return {
    title,
    x,
    xName: words.t("step_word"),
    xText: (step) => `${words.t("step_word")} ${step}`,
    xTick: tick,
    yTick: (value) => (unit.name ? `${tick(value / unit.size)} ${unit.name}` : shortTick(value)),
    xUnit: 1,
    xWhole: true,
    yUnit: unit.size,
    series,
    stacked: false,
    logarithmic,
    limits: [],
  };
}

/** Loss, smoothed too, with the evaluations as points. Null: none is known. */
export function lossPlot(
  run: RunView,
  keep: number,
  logarithmic: boolean,
  words: Words,
): Plot | null {
  const text = textOf("loss");
  const steps = stepsOf(run.metrics);
  const evaluationSteps = stepsOf(run.evaluations);
  const { x, at } = joined(steps, evaluationSteps);
  const loss = finite(run.metrics.loss);
  const name = nameOf(words.language, "loss");
  const series: PlotSeries[] = [];
  if (hasValues(loss)) {
    const raw = { name, color: "part-parameters", text, values: at(steps, loss) };
    series.push(keep > 0 ? { ...raw, width: 1, opacity: 0.45 } : raw);
    if (keep > 0) {
      const values = at(steps, smoothed(loss, keep));
      series.push({ ...raw, name: words.t("smoothed_of", { name }), values, width: 2.5 });
    }
  }
  evaluated(run, true).forEach((metric, i) => {
    const values = at(evaluationSteps, finite(run.evaluations[metric]));
    const color = i === 0 ? "part-activations" : "part-gradients";
    series.push({ name: nameOf(words.language, metric), color, text, values, points: true });
  });
  if (series.length === 0) return null;
  return plotOf(words.t("loss_picture"), "loss", x, series, logarithmic, words);
}

/** Null: the metric has no value. */
export function metricPlot(run: RunView, metric: string, words: Words): Plot | null {
  const points = !(metric in run.metrics);
  const columns = points ? run.evaluations : run.metrics;
  const values = finite(columns[metric]);
  if (!hasValues(values)) return null;
  const title = nameOf(words.language, metric);
  const series = { name: title, color: "part-parameters", values, text: textOf(metric), points };
  return plotOf(title, metric, stepsOf(columns), [series], false, words);
}

/** Columns that a plot draws, a row for each x. */
export function plotTable(plot: Plot): Table {
  return {
    columns: [
      { title: plot.xName, key: "x", numeric: true },
      ...plot.series.map(({ name }) => ({ title: name, numeric: true })),
    ],
    rows: plot.x.map((x, i) => [
      cell(plot.xText(x), x),
      ...plot.series.map(({ values, text }) => {
        const value = values[i] ?? null;
        return cell(value === null ? "" : text(value), value);
      }),
    ]),
  };
}
