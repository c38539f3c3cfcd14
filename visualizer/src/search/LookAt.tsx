import type { NamedPlan } from "../api/types";
import { useText } from "../i18n/useText";
import { Action } from "../kit/controls";
import { planTitle } from "../state/planTitle";
import { useSession } from "../state/session";

/** Shows a plan that the search knows, or holds it against the searched one. */
export function LookAt({ plan, candidate }: { plan: NamedPlan; candidate: string }) {
  const t = useText();
  const { dispatch, showPlan } = useSession();
  const show = () => {
    showPlan(plan);
    dispatch({ do: "view", view: { tab: "plan" } });
  };
  const compare = () =>
    dispatch({ do: "view", view: { tab: "compare", compare: [candidate, "searched"] } });
  return (
    <span className="row tight">
      <Action onPress={show} aria-label={t("show_named", { name: planTitle(plan.name, t) })}>
        {t("show")}
      </Action>
      <Action onPress={compare} aria-label={t("compare_named", { name: planTitle(plan.name, t) })}>
        {t("compare")}
      </Action>
    </span>
  );
}
