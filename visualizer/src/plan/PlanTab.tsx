import { useCallback, useMemo } from "react";
import { Folded } from "../kit/Folded";
import { Section } from "../app/Section";
import { MemoryBars, TimeParts } from "../app/pictures";
import { useText } from "../i18n/useText";
import { useSession } from "../state/session";
import { usePriced } from "../state/usePriced";
import { LayerStrip, StripLegend } from "./LayerStrip";
import { PipelineEditor } from "./PipelineEditor";
import { StrategyEditor } from "./StrategyEditor";

/** Beside the time, which is as tall; the Memory tab has them all. */
const mostBars = 12;

export function PlanTab() {
  const t = useText();
  const { page, dispatch, plan } = useSession();
  const priced = usePriced();
  const view = plan.last?.answer ?? null;
  const select = useCallback(
    (selected: number[]) => dispatch({ do: "view", view: { selected } }),
    [dispatch],
  );
  const selected = useMemo(
    () => page.view.selected.filter((index) => index < (view?.layers.length ?? 0)),
    [page.view.selected, view],
  );
  if (!view) return <p className="waiting">{t("waiting_for_plan")}</p>;
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
