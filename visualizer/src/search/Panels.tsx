// The frontier and the sweep.
import type { ReactNode } from "react";
import type { Question, ResultsView } from "../api/types";
import { describeError } from "../app/describeError";
import { Frontier, Sweep } from "../app/pictures";
import { Section } from "../app/Section";
import { saveText } from "../files/save";
import { useText } from "../i18n/useText";
import { Action, TextInput } from "../kit/controls";
import { TextTable } from "../kit/TextTable";
import { sameJson, sweepQuestion } from "../state/page";
import { useSession } from "../state/session";
import { usePriced } from "../state/usePriced";
import type { AskedResults } from "./useResults";

export function FrontierPanel() {
  const t = useText();
  const { question, frontier, dispatch } = useSession();
  const priced = usePriced();
  const draw = () => {
    frontier.ask(question);
    dispatch({ do: "view", view: { frontier: true } });
  };
  return (
    <Section title={t("frontier_title")} help={t("frontier_help")}>
      <div className="row">
        <Action kind="main" onPress={draw} isDisabled={frontier.asking.pending}>
          {t("draw_frontier")}
        </Action>
      </div>
      <Results asked={frontier} now={question} file="frontier">
        {(results) => <Frontier results={results} budget={priced?.memory.budget ?? null} />}
      </Results>
    </Section>
  );
}

export function SweepPanel() {
  const t = useText();
  const { page, question, sweep, dispatch } = useSession();
  const { batches } = page.view;
  const now = sweepQuestion(question, batches);
  const run = () => {
    sweep.ask(now);
    dispatch({ do: "view", view: { sweep: true } });
  };
  return (
    <Section title={t("sweep_title")} help={t("sweep_help")}>
      <div className="row end">
        <TextInput
          label={t("batches")}
          value={batches}
          onChange={(text) => dispatch({ do: "view", view: { batches: text } })}
        />
        <Action kind="main" onPress={run} isDisabled={sweep.asking.pending}>
          {t("run_sweep")}
        </Action>
      </div>
      <Results asked={sweep} now={now} file="sweep">
        {(results) => <Sweep results={results} />}
      </Results>
    </Section>
  );
}

interface ResultsProps {
  asked: AskedResults;
  /** What would be asked now: the answer to something else is an old one. */
  now: Question;
  file: string;
  children: (results: ResultsView) => ReactNode;
}

function Results({ asked, now, file, children }: ResultsProps) {
  const t = useText();
  const { asking } = asked;
  const results = asking.last?.answer;
  const isOld = !sameJson(asking.last?.request.question, now);
  return (
    <>
      <div role="status">
        {asking.pending && (
          <p className="row">
            <span className="spinner" aria-hidden="true" />
            {asking.progress ? t("done_of", asking.progress) : t("searching")}
            <Action onPress={asking.cancel}>{t("cancel")}</Action>
          </p>
        )}
        {asking.error && <p className="alert">{describeError(asking.error, t)}</p>}
        {results && isOld && <p className="help">{t("of_another_question")}</p>}
      </div>
      {results && (
        <div className={isOld ? "old" : ""}>
          {children(results)}
          <TextTable
            label={results.title}
            heads={results.columns.map((column) => column.title)}
            rows={results.rows.map((row, index) => ({
              key: String(index),
              cells: row.map((cell) => cell.text),
            }))}
          />
          {results.notes && (
            <pre className="said" lang="en" tabIndex={0}>
              {results.notes}
            </pre>
          )}
          <Action onPress={() => saveText(`${file}.csv`, "text/csv", results.csv)}>CSV</Action>
        </div>
      )}
    </>
  );
}
