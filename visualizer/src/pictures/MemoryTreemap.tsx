import { useMemo } from "react";
import type { MemoryDetail } from "../api/types";
import { EChartFigure } from "./EChartFigure";
import { memoryTree } from "./options/memoryTree";
import { useWords } from "./useWords";

export function MemoryTreemap({ detail }: { detail: MemoryDetail }) {
  const words = useWords();
  const { t } = words;
  const picture = useMemo(() => memoryTree(detail, words), [detail, words]);
  const title = t("memory_tree", { rank: detail.pp_rank });
  return <EChartFigure title={title} hint={t("memory_tree_hint")} picture={picture} />;
}
