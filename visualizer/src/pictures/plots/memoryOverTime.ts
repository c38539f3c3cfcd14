// Memory of a pipeline rank from one moment of a step to the next, part upon part.
import type { Amount, MemoryDetail } from "../../api/types";
import { bytesText, timeText } from "../../format";
import { MEMORY_PARTS, partKind } from "../kinds";
import { nameOf } from "../names";
import type { Plot } from "../plot";
import { byteUnit, tick, timeUnit } from "../scale";
import { cell, type Table } from "../table";
import type { Words } from "../words";

/** Null: no moments. `budget`: drawn as a line. */
export function memoryOverTime(
  detail: MemoryDetail,
  budget: Amount | null,
  words: Words,
): Plot | null {
  const { ms, parts } = detail.over_time;
  if (ms.length === 0) return null;
  const { t, language } = words;
  const time = timeUnit(ms.at(-1) ?? 0);
  const size = byteUnit(Math.max(detail.peak.total.value, 1));
  const shown = MEMORY_PARTS.filter((part) => parts[part]?.some((bytes) => bytes > 0));
  return {
    title: t("memory_over_time", { rank: detail.pp_rank }),
    x: ms,
    xName: `${t("time_word")}, ${time.name}`,
    xText: timeText,
    xTick: (value) => tick(value / time.size),
    yTick: (value) => (value === 0 ? "0" : `${tick(value / size.size)} ${size.name}`),
    xUnit: time.size,
    yUnit: size.size,
    series: shown.map((part) => ({
      name: nameOf(language, part),
      color: partKind(part).color,
      values: parts[part] ?? [],
      text: bytesText,
    })),
    stacked: true,
    logarithmic: false,
    limits: budget
      ? [{ value: budget.value, text: t("budget_of", { text: budget.text }), color: "bad" }]
      : [],
    mark: {
      x: detail.peak.ms,
      y: detail.peak.total.value,
      text: t("peak_at", { text: detail.peak.total.text, time: timeText(detail.peak.ms) }),
    },
  };
}

export function memoryOverTimeTable(detail: MemoryDetail, { t, language }: Words): Table {
  const { ms, parts } = detail.over_time;
  const shown = MEMORY_PARTS.filter((part) => parts[part]?.some((bytes) => bytes > 0));
  return {
    columns: [
      { title: t("from_word"), key: "ms", numeric: true },
      ...shown.map((part) => ({
        title: nameOf(language, part),
        key: `${part}_bytes`,
        numeric: true,
      })),
    ],
    rows: ms.map((at, i) => [
      cell(timeText(at), at),
      ...shown.map((part) => cell(bytesText(parts[part]?.[i] ?? 0), parts[part]?.[i] ?? 0)),
    ]),
  };
}
