import { useText } from "../i18n/useText";
import { Said } from "../i18n/Said";
import { useTrouble } from "../state/useTrouble";

/** In the place of what a plan would show. */
export function NoPlan() {
  const t = useText();
  const trouble = useTrouble();
  return <p className="waiting">{trouble ? <Said>{trouble}</Said> : t("waiting_for_plan")}</p>;
}
