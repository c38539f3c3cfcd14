// Changes what the whole plan shares: pipeline ranks, schedule, microbatches, borders of stages.
import { useState } from "react";
import type { PlanView } from "../api/types";
import { useText } from "../i18n/useText";
import { Action, Choice, NumberInput } from "../kit/controls";
import { useSession } from "../state/session";
import { divisors, moveBorder, pipelineOf, withDegree, withPipeline } from "./edit";

export function PipelineEditor({ view }: { view: PlanView }) {
  const t = useText();
  const { page, start, editPlan } = useSession();
  const { plan } = view;
  const good = usePossible(view);
  // As it was set, be it refused: the planner's sentence speaks of it.
  const microbatches = page.document.plan?.plan.num_microbatches ?? plan.num_microbatches ?? 1;
  const { degree, schedule } = pipelineOf(plan);
  const degrees = divisors(view.ranks.world_size).filter((one) => one <= view.layers.length);
  const changesStages = (next: string) => (next === "interleaved") !== (schedule === "interleaved");
  const setSchedule = (next: string) =>
    editPlan(
      changesStages(next) ? withDegree(plan, degree, next) : withPipeline(plan, { schedule: next }),
    );
  return (
    <div className="editor">
      <Choice
        label="pp_degree"
        description={t("pp_degree_help")}
        options={degrees.map((one) => ({ key: String(one), text: String(one) }))}
        value={String(degree)}
        onChange={(key) => editPlan(withDegree(plan, Number(key), schedule))}
      />
      <Choice
        label="schedule"
        description={t("schedule_help")}
        options={(start?.schedules ?? []).map((one) => ({
          key: one.name,
          text: one.name,
          help: one.help,
        }))}
        value={schedule}
        onChange={setSchedule}
      />
      <NumberInput
        label="num_microbatches"
        description={t("microbatches_help")}
        value={Number(microbatches)}
        good={good}
        onChange={(value) => editPlan({ ...plan, num_microbatches: value }, "microbatches")}
      />
      <Borders view={view} />
      <PlaceOfProblem view={view} />
    </div>
  );
}

/** Microbatches of the last plan that could be; one, until there is one. */
function usePossible(view: PlanView): number {
  const now = view.priced ? Number(view.plan.num_microbatches ?? 1) : null;
  const [last, setLast] = useState(now ?? 1);
  if (now !== null && now !== last) setLast(now);
  return now ?? last;
}

/** Of a problem that no layer's field is to blame for. */
function PlaceOfProblem({ view }: { view: PlanView }) {
  const { start } = useSession();
  const fields = start?.strategy_fields.map((field) => field.name) ?? [];
  if (!view.problem || fields.includes(view.problem.field ?? "")) return null;
  return (
    <p className="problem wide" lang="en">
      {view.problem.sentence}
    </p>
  );
}

function Borders({ view }: { view: PlanView }) {
  const t = useText();
  const { editPlan } = useSession();
  if (view.stages.length < 2) return null;
  const move = (stage: number, count: number) =>
    editPlan(moveBorder(view.plan, stage, count), `border ${stage}`);
  return (
    <div className="borders in-sight" role="group" aria-label={t("stage_borders")}>
      {view.stages.slice(0, -1).map(({ stage, layers: [, last] }) => (
        <div key={stage} className="border-row">
          <span>{t("border_after", { stage, layer: last })}</span>
          <Action aria-label={t("border_back", { stage })} onPress={() => move(stage, -1)}>
            ◂
          </Action>
          <Action aria-label={t("border_on", { stage })} onPress={() => move(stage, 1)}>
            ▸
          </Action>
        </div>
      ))}
    </div>
  );
}
