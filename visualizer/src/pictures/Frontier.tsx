import { useMemo } from "react";
import type { Amount, ResultsView } from "../api/types";
import { EChartFigure } from "./EChartFigure";
import { frontier } from "./options/frontier";
import type { RowPicture } from "./results";
import { useWords } from "./useWords";

interface Props {
  results: ResultsView;
  /** That of the question, marked. */
  budget: Amount | null;
  /** With a row of the results. */
  onSelect?: (row: number) => void;
}

export function Frontier({ results, budget, onSelect }: Props) {
  const words = useWords();
  const picture = useMemo(() => frontier(results, budget, words), [results, budget, words]);
  return <RowFigure title={words.t("frontier_picture")} picture={picture} onSelect={onSelect} />;
}

interface RowProps {
  title: string;
  picture: RowPicture | null;
  onSelect: ((row: number) => void) | undefined;
}

export function RowFigure({ title, picture, onSelect }: RowProps) {
  const { t } = useWords();
  const choose = onSelect && {
    hint: t("choose_row_hint"),
    onClick: ({ dataIndex, seriesIndex }: { dataIndex: number; seriesIndex: number }) => {
      const row = picture?.rows[seriesIndex]?.[dataIndex];
      if (row !== undefined && row >= 0) onSelect(row);
    },
  };
  return <EChartFigure title={title} picture={picture} {...choose} />;
}
