import { type KeyboardEvent, useMemo, useRef } from "react";
import type { MemoryView } from "../api/types";
import { EChart, type Saver } from "./EChart";
import { Figure } from "./Figure";
import { memoryBars } from "./options/memoryBars";
import { useWords } from "./useWords";

interface Props {
  memory: MemoryView;
  /** A pipeline rank, and what to do when the reader chooses another. */
  selected?: number | undefined;
  onSelect?: (ppRank: number) => void;
  /** Bars that there is room for. */
  most?: number;
}

export function MemoryBars({ memory, selected, onSelect, most }: Props) {
  const words = useWords();
  const saver = useRef<Saver>(null);
  const picture = useMemo(
    () => memoryBars(memory, words, selected, most),
    [memory, words, selected, most],
  );
  const { t } = words;
  const choosable = onSelect && memory.ranks.length > 1;
  function onKeyDown(event: KeyboardEvent) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || !onSelect) return;
    event.preventDefault();
    const ranks = memory.ranks.map(({ pp_rank }) => pp_rank);
    const place = ranks.indexOf(selected ?? -1) + by;
    const next = ranks[Math.min(ranks.length - 1, Math.max(0, place))];
    if (next !== undefined) onSelect(next);
  }
  return (
    <Figure
      title={t("memory_bars")}
      table={picture?.table ?? null}
      saver={saver}
      {...(choosable ? { hint: t("choose_rank_hint") } : {})}
    >
      {picture && (
        <EChart
          draw={picture.draw}
          summary={picture.summary}
          saver={saver}
          onClick={({ dataIndex }) => onSelect?.(picture.ranks[dataIndex] ?? 0)}
          {...(choosable ? { onKeyDown } : {})}
        />
      )}
    </Figure>
  );
}
