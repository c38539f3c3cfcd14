// A picture by ECharts in its frame, where nothing else belongs to it.
import { useRef } from "react";
import { EChart, type Saver } from "./EChart";
import { Figure } from "./Figure";
import type { Picture } from "./frame";

interface Props {
  title: string;
  heading?: boolean;
  hint?: string;
  picture: Picture | null;
  onClick?: (event: { dataIndex: number; seriesIndex: number }) => void;
}

export function EChartFigure({ picture, onClick, ...frame }: Props) {
  const saver = useRef<Saver>(null);
  return (
    <Figure {...frame} table={picture?.table ?? null} saver={saver}>
      {picture && (
        <EChart
          draw={picture.draw}
          summary={picture.summary}
          saver={saver}
          points={picture.points}
          {...(onClick ? { onClick } : {})}
        />
      )}
    </Figure>
  );
}
