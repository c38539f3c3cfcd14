import { useMemo } from "react";
import type { TimeView } from "../api/types";
import { EChartFigure } from "./EChartFigure";
import { timeParts } from "./options/timeParts";
import { useWords } from "./useWords";

interface Props {
  time: Pick<TimeView, "step" | "parts">;
  /** Seen, in place of the page's own. */
  title?: string;
}

export function TimeParts({ time, title }: Props) {
  const words = useWords();
  const picture = useMemo(() => timeParts(time.step, time.parts, words), [time, words]);
  return (
    <EChartFigure
      heading={title !== undefined}
      title={title ?? words.t("time_parts")}
      picture={picture}
    />
  );
}
