import type { ReactNode } from "react";
import { useAnswer } from "../api/useAnswer";
import type { TimelineView } from "../api/types";
import { Said } from "../i18n/Said";
import { useText } from "../i18n/useText";
import { useSession, type PlanQuestion } from "../state/session";
import { usePriced } from "../state/usePriced";
import { describeError } from "./describeError";
import { TimeParts, Timeline } from "./pictures";
import { Section } from "./Section";

export function TimeTab() {
  const t = useText();
  const { shown, plan } = useSession();
  const priced = usePriced();
  const possible = plan.last?.answer.priced && !plan.pending;
  const timeline = useAnswer<PlanQuestion, TimelineView>("/api/timeline", possible ? shown : null);
  if (!priced) return <p className="waiting">{t("waiting_for_plan")}</p>;
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
