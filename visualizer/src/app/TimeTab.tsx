import type { ReactNode } from "react";
import { useAnswer } from "../api/useAnswer";
import type { TimelineView } from "../api/types";
import { Said } from "../i18n/Said";
import { useText } from "../i18n/useText";
import { useSession, type PlanQuestion } from "../state/session";
import { usePriced } from "../state/usePriced";
import { describeError } from "./describeError";
import { TimeParts, Timeline } from "./pictures";
import { NoPlan } from "./NoPlan";
import { Section } from "./Section";
import { TimelineRanks } from "./TimelineRanks";
import { shownLanes } from "./shownLanes";

interface TimelineQuestion extends PlanQuestion {
  pp_ranks: [number, number];
}

export function TimeTab() {
  const t = useText();
  const { page, dispatch, shown, plan } = useSession();
  const priced = usePriced();
  const possible = plan.last?.answer.priced && !plan.pending && !plan.error;
  const numRanks = priced?.memory.ranks.length ?? 1;
  const lanes = shownLanes(page.view.lanes, numRanks);
  const ranks: TimelineQuestion["pp_ranks"] = [lanes.from, lanes.from + lanes.count - 1];
  const timeline = useAnswer<TimelineQuestion, TimelineView>(
    "/api/timeline",
    possible && shown ? { ...shown, pp_ranks: ranks } : null,
  );
  if (!priced) return <NoPlan />;
  const { time } = priced;
  return (
    <div className={priced.isOld ? "old" : ""}>
      <Section title={t("time_title")} help={t("time_help")}>
        <TimeParts time={time} />
        <dl className="figures small">
          <Fact name={t("step_formula")} text={time.step.text} />
          <Fact name={t("step_simulated")} text={time.simulated.text} />
          <Fact name={t("hidden_behind_compute")} text={time.hidden_communication.text} />
          {time.mfu && (
            <Fact name={`MFU ${time.mfu.text}`} text={<Said>{time.mfu.convention}</Said>} />
          )}
        </dl>
      </Section>
      {timeline.error && <p className="alert">{describeError(timeline.error, t)}</p>}
      {timeline.last && (
        <Section title={t("timeline_title")} help={t("timeline_help")}>
          {numRanks > 1 && (
            <TimelineRanks
              shown={lanes}
              numRanks={numRanks}
              onChange={(next) => dispatch({ do: "view", view: { lanes: next } })}
            />
          )}
          <Timeline timeline={timeline.last.answer} />
        </Section>
      )}
    </div>
  );
}

function Fact({ name, text }: { name: string; text: ReactNode }) {
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd>{text}</dd>
    </div>
  );
}
