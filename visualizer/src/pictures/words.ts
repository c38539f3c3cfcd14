// The language of a picture: its texts, and the planner's names in it.
import type { Text } from "../i18n/useText";
import type { Language } from "../i18n/texts";

export interface Words {
  t: Text;
  language: Language;
}

export function ranksText(t: Text, [from, to]: [number, number]): string {
  return from === to ? t("rank_of", { rank: from }) : t("ranks_of", { from, to });
}

export function stagesText(t: Text, stages: number[]): string {
  return t(stages.length === 1 ? "stage_of" : "stages_of", { stages: stages.join(", ") });
}

export function layersText(t: Text, [from, to]: [number, number]): string {
  return from === to ? t("layer_of", { layer: from }) : t("layers_of", { from, to });
}

export function percent(share: number | null | undefined): string {
  return share == null || !Number.isFinite(share) ? "" : `${Math.round(100 * share)} %`;
}
