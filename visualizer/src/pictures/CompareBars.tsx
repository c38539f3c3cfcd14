import { useMemo } from "react";
import type { Comparison } from "../api/types";
import { EChartFigure } from "./EChartFigure";
import { compareMemory, compareTime } from "./options/pairBars";
import { useWords } from "./useWords";

/** Where time and memory of two plans go, side by side. */
export function CompareBars({ comparison }: { comparison: Comparison }) {
  const words = useWords();
  const time = useMemo(() => compareTime(comparison, words), [comparison, words]);
  const memory = useMemo(() => compareMemory(comparison, words), [comparison, words]);
  return (
    <>
      <EChartFigure heading title={words.t("compare_time")} picture={time} />
      <EChartFigure heading title={words.t("compare_memory")} picture={memory} />
    </>
  );
}
