import { useCallback, useMemo } from "react";
import type { PlanView } from "../api/types";
import { Folded } from "../kit/Folded";
import { NoPlan } from "../app/NoPlan";
import { Section } from "../app/Section";
import { MemoryBars, TimeParts } from "../app/pictures";
import { text } from "../i18n/texts";
import { useText } from "../i18n/useText";
import { useSession } from "../state/session";
import { usePriced } from "../state/usePriced";
import { LayerStrip, StripLegend } from "./LayerStrip";
import { PipelineEditor } from "./PipelineEditor";
import { StrategyEditor } from "./StrategyEditor";

/** The plan that is edited. One that the planner refuses leaves the one before, to be mended from there. */
function useView(): PlanView | null {
  const { page, plan } = useSession();
  const view = plan.last?.answer ?? null;
  return useMemo(() => {
    if (!view || !plan.error) return view;
    const name = page.document.plan?.name ?? view.name;
    const isOther = name !== view.name && name !== text("en", "plan_edited");
    return isOther ? null : { ...view, problem: null };
  }, [view, plan.error, page.document.plan]);
}

/** Beside the time, which is as tall; the Memory tab has them all. */
const mostBars = 12;

export function PlanTab() {
  const t = useText();
  const { page, dispatch } = useSession();
  const priced = usePriced();
  const view = useView();
  const select = useCallback(
    (selected: number[]) => dispatch({ do: "view", view: { selected } }),
    [dispatch],
  );
  const selected = useMemo(
    () => page.view.selected.filter((index) => index < (view?.layers.length ?? 0)),
    [page.view.selected, view],
  );
  if (!view) return <NoPlan />;
  return (
    <>
      <Section title={t("strip_title")} help={t("strip_help")}>
        <LayerStrip
          layers={view.layers}
          stages={view.stages}
          selected={selected}
          onSelect={select}
          problemLayer={view.problem?.layer}
        />
        <StripLegend layers={view.layers} onSelect={select} />
        <StrategyEditor view={view} layers={selected} />
      </Section>
      {priced && (
        <div className={`two ${priced.isOld ? "old" : ""}`}>
          <Section title={t("memory_title")}>
            <MemoryBars memory={priced.memory} most={mostBars} />
          </Section>
          <Section title={t("time_title")}>
            <TimeParts time={priced.time} />
          </Section>
        </div>
      )}
      <Section title={t("whole_plan")}>
        <PipelineEditor view={view} />
      </Section>
      <Folded title={t("in_words")}>
        <pre className="said" lang="en" tabIndex={0}>
          {view.priced?.question_text}
        </pre>
        <pre className="said" lang="en" tabIndex={0}>
          {view.priced?.table_text}
        </pre>
        <pre className="said" lang="en" tabIndex={0}>
          {view.drawing}
        </pre>
      </Folded>
    </>
  );
}
