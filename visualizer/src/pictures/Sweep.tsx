import { useMemo } from "react";
import type { ResultsView } from "../api/types";
import { RowFigure } from "./Frontier";
import { sweep } from "./options/sweep";
import { useWords } from "./useWords";

interface Props {
  results: ResultsView;
  onSelect?: (row: number) => void;
}

export function Sweep({ results, onSelect }: Props) {
  const words = useWords();
  const picture = useMemo(() => sweep(results, words), [results, words]);
  return <RowFigure title={words.t("sweep_picture")} picture={picture} onSelect={onSelect} />;
}
