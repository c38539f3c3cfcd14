// A step's time as one bar, split by what it goes to.
import type { TimeView } from "../../api/types";
import { common, exactAxis, fill, legend, legendHeight, tooltip } from "../base";
import { type Drawing, type Frame, type Picture, textWidth } from "../frame";
import { stepPartKind } from "../kinds";
import { inkOn } from "../look";
import { stepPartName } from "../names";
import { tick, timeUnit } from "../scale";
import { cell, type Table } from "../table";
import { tip } from "../tip";
import { percent, type Words } from "../words";

type Parts = TimeView["parts"];

function tableOf(parts: Parts, step: string, stepMs: number, { t, language }: Words): Table {
  return {
    columns: [
      { title: t("part_word"), key: "part" },
      { title: t("time_word"), key: "ms", numeric: true },
      { title: t("share_word"), key: "share", numeric: true },
    ],
    rows: [
      ...parts.map((part) => [
        cell(stepPartName(language, part.name), part.name),
        cell(part.text, part.ms),
        cell(percent(part.share), part.share),
      ]),
      [cell(t("total"), "step"), cell(step, stepMs), cell("", null)],
    ],
  };
}

function draw(parts: Parts, total: number, frame: Frame): Drawing {
  const { look, language } = frame;
  const unit = timeUnit(total);
  const names = parts.map((part) => `${stepPartName(language, part.name)}  ${part.text}`);
  const top = legendHeight(frame, names) + 4;
  const plot = frame.width - 16;
  const series = parts.map((part, i) => {
    const kind = stepPartKind(part.part);
    const room = (part.ms / total) * plot;
    const name = stepPartName(language, part.name);
    const text = [`${name} ${percent(part.share)}`, percent(part.share)].find(
      (one) => textWidth(one) + 8 < room,
    );
    return {
      type: "bar",
      stack: "step",
      name: names[i],
      barWidth: 34,
      itemStyle: fill(look, kind),
      label: {
        show: text !== undefined,
        formatter: text ?? "",
        color: inkOn(look.color(kind.color)),
      },
      data: [part.ms / unit.size],
    };
  });
  const formatter = ({ seriesIndex }: { seriesIndex: number }) => {
    const part = parts[seriesIndex];
    if (!part) return "";
    const color = look.color(stepPartKind(part.part).color);
    return tip(stepPartName(language, part.name), [
      { name: percent(part.share), text: part.text, color },
    ]);
  };
  const option = {
    ...common(frame),
    legend: legend(frame, names),
    grid: { left: 8, right: 8, top, bottom: 44 },
    tooltip: { ...tooltip(look), trigger: "item", formatter },
    xAxis: exactAxis(look, unit.name, total / unit.size, tick),
    yAxis: { type: "category", data: [""], show: false },
    series,
  };
  return { option, height: top + 50 + 44 };
}

/** Null: no part takes time. */
export function timeParts(step: TimeView["step"], all: Parts, words: Words): Picture | null {
  const parts = all.filter(({ ms }) => ms > 0);
  if (parts.length === 0) return null;
  const total = parts.reduce((sum, { ms }) => sum + ms, 0);
  const said = parts
    .map((part) => `${stepPartName(words.language, part.name)} ${part.text}`)
    .join(", ");
  return {
    summary: `${words.t("time_parts")}, ${step.text}: ${said}.`,
    table: tableOf(parts, step.text, step.value, words),
    draw: (frame) => draw(parts, total, frame),
  };
}
