// How far a search is, in the language of the page.
import { timeText } from "../format";
import type { Text } from "../i18n/useText";
import type { SearchProgress } from "../state/session";

export function progressText(progress: SearchProgress | null, t: Text): string {
  if (!progress) return t("searching");
  const { best_ms: best, bound_ms: bound } = progress;
  const parts = [
    best === null ? t("no_plan_yet") : t("best_so_far", { time: timeText(best) }),
    bound ? t("none_below", { time: timeText(bound) }) : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}
