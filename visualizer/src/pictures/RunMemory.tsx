import { useMemo } from "react";
import type { RunView } from "../api/types";
import { EChartFigure } from "./EChartFigure";
import { runMemory } from "./options/runMemory";
import { useWords } from "./useWords";

export function RunMemory({ memory }: { memory: RunView["memory"] }) {
  const words = useWords();
  const picture = useMemo(() => runMemory(memory, words), [memory, words]);
  return <EChartFigure heading title={words.t("run_memory")} picture={picture} />;
}
