import { useMemo } from "react";
import type { TimeView } from "../api/types";
import { EChartFigure } from "./EChartFigure";
import { timeParts } from "./options/timeParts";
import { useWords } from "./useWords";

export function TimeParts({ time }: { time: Pick<TimeView, "step" | "parts"> }) {
  const words = useWords();
  const picture = useMemo(() => timeParts(time.step, time.parts, words), [time, words]);
  return <EChartFigure title={words.t("time_parts")} picture={picture} />;
}
