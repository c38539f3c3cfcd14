// A run: how it went, its plan, what was measured beside what was predicted, one step of it.
import { type ReactNode, useId } from "react";
import type { JsonObject, RunView } from "../api/types";
import { useText } from "../i18n/useText";
import { Folded } from "../kit/Folded";
import { TextTable } from "../kit/TextTable";
import { Metrics, RunMemory, Timeline, TimeParts } from "../pictures";
import { LayerStrip, StripLegend } from "../plan/LayerStrip";
import { layerRuns } from "./layerRuns";
import "./report.css";

export function RunPage({ run }: { run: RunView }) {
  const t = useText();
  return (
    <div className="run">
      <p className={`run-state run-${run.state}`} lang="en">
        {run.state_text}
      </p>
      {run.notes.map((note) => (
        <p key={note} className="run-note" lang="en">
          {note}
        </p>
      ))}
      <Facts facts={run.facts} />
      <Part title={t("report_training")}>
        <Metrics run={run} />
      </Part>
      <Part title={t("report_plan")}>
        <Plan plan={run.plan} />
      </Part>
      <Part title={t("report_against")}>
        <Against run={run} />
      </Part>
      <Part title={t("timeline_measured")}>
        {run.timeline ? (
          <Timeline timeline={run.timeline} title={t("timeline_measured")} />
        ) : (
          <p className="help">{t("report_no_trace")}</p>
        )}
      </Part>
      <Recorded title={t("report_options")} values={run.options} />
      <Recorded title={t("report_search")} values={run.search} />
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  const id = useId();
  return (
    <section className="run-part" aria-labelledby={id}>
      <h3 id={id}>{title}</h3>
      {children}
    </section>
  );
}

function Facts({ facts }: { facts: RunView["facts"] }) {
  return (
    <dl className="run-facts">
      {facts.map(({ name, text }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

function Plan({ plan }: { plan: RunView["plan"] }) {
  const t = useText();
  if (!plan) return <p className="help">{t("report_no_plan")}</p>;
  return (
    <>
      <LayerStrip layers={plan.layers} stages={plan.stages} />
      <StripLegend layers={plan.layers} />
      <TextTable
        label={t("strip_title")}
        heads={[
          t("stage_word"),
          t("layers_word"),
          t("count_word"),
          t("kinds_word"),
          "dp",
          t("strategy_word"),
        ]}
        rows={layerRuns(plan.layers).map((run) => ({
          key: String(run.layers[0]),
          cells: [
            run.stage,
            run.count === 1 ? run.layers[0] : `${run.layers[0]}–${run.layers[1]}`,
            run.count,
            run.kinds,
            run.dp_degree,
            run.strategy,
          ],
        }))}
      />
      <Folded title={t("report_drawing")}>
        <pre className="said" lang="en" tabIndex={0}>
          {plan.drawing}
        </pre>
      </Folded>
    </>
  );
}

function Against({ run }: { run: RunView }) {
  const t = useText();
  const { measured, predicted, memory } = run;
  if (!measured && !predicted && memory.ranks.length === 0) {
    return <p className="help">{t("report_no_summary")}</p>;
  }
  const figures = [
    { name: t("measured_step"), text: measured?.step.text },
    { name: t("predicted_step"), text: predicted?.step.text },
    { name: t("tokens_per_second"), text: measured?.tokens_per_second.text },
  ].flatMap(({ name, text }) => (text === undefined ? [] : [{ name, text }]));
  return (
    <>
      <Facts facts={figures} />
      {predicted && <TimeParts time={predicted} title={t("predicted_parts")} />}
      {memory.ranks.length > 0 && <RunMemory memory={memory} />}
    </>
  );
}

function valueText(value: JsonObject[string]): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What was written down as it is, folded away. */
function Recorded({ title, values }: { title: string; values: JsonObject | null }) {
  const t = useText();
  if (!values || Object.keys(values).length === 0) return null;
  return (
    <Folded title={title}>
      <TextTable
        label={title}
        heads={[t("name_word"), t("value_word")]}
        rows={Object.entries(values).map(([key, value]) => ({
          key,
          cells: [key, valueText(value ?? null)],
        }))}
      />
    </Folded>
  );
}
