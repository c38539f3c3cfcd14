import { text } from "../i18n/texts";
import type { Text } from "../i18n/useText";

const ours = ["plan_searched", "plan_closest", "plan_edited"] as const;

/** Names that we give to plans are English where the planner puts them into its sentences: here for people. */
export function planTitle(name: string, t: Text): string {
  const key = ours.find((one) => text("en", one) === name);
  if (key) return t(key);
  const place = /^runner-up (\d+)$/.exec(name)?.[1];
  if (place) return t("runner_up", { place });
  const plain = /^(.+), recompute$/.exec(name)?.[1];
  return plain ? t("with_recompute", { name: plain }) : name;
}
