// The frontier and the sweep: many searches, so they run when asked for.
import { useState } from "react";
import type { Question, ResultsLine, ResultsView } from "../api/types";
import { useLines, type Asking } from "../api/useAnswer";
import { describeError } from "../app/describeError";
import { Frontier, Sweep } from "../app/pictures";
import { Section } from "../app/Section";
import { saveText } from "../files/save";
import { useText } from "../i18n/useText";
import { Action, TextInput } from "../kit/controls";
import { TextTable } from "../kit/TextTable";
import { withOption } from "../state/page";
import { useSession } from "../state/session";

type Progress = Extract<ResultsLine, { progress: unknown }>["progress"];
interface ResultsRequest {
  question: Question;
}
type AskingResults = Asking<ResultsRequest, ResultsView, Progress>;

export function FrontierPanel() {
  const t = useText();
  const { question, search } = useSession();
  const [asked, setAsked] = useState<ResultsRequest | null>(null);
  const frontier = useLines<ResultsRequest, ResultsView, Progress>("/api/frontier", asked);
  return (
    <Section title={t("frontier_title")} help={t("frontier_help")}>
      <div className="row">
        <Action kind="main" onPress={() => setAsked({ question })} isDisabled={frontier.pending}>
          {t("draw_frontier")}
        </Action>
      </div>
      <Results asking={frontier} file="frontier">
        {(results) => <Frontier results={results} budget={null} key={search.last?.answer.text} />}
      </Results>
    </Section>
  );
}

export function SweepPanel() {
  const t = useText();
  const { question } = useSession();
  const [batches, setBatches] = useState("16,32,64,128");
  const [asked, setAsked] = useState<ResultsRequest | null>(null);
  const sweep = useLines<ResultsRequest, ResultsView, Progress>("/api/sweep", asked);
  const run = () =>
    setAsked({
      question: { ...question, options: withOption(question.options, "global_batch", batches) },
    });
  return (
    <Section title={t("sweep_title")} help={t("sweep_help")}>
      <div className="row end">
        <TextInput label={t("batches")} value={batches} onChange={setBatches} />
        <Action kind="main" onPress={run} isDisabled={sweep.pending}>
          {t("run_sweep")}
        </Action>
      </div>
      <Results asking={sweep} file="sweep">
        {(results) => <Sweep results={results} />}
      </Results>
    </Section>
  );
}

function Results(props: {
  asking: AskingResults;
  file: string;
  children: (results: ResultsView) => React.ReactNode;
}) {
  const t = useText();
  const { asking, file } = props;
  const results = asking.last?.answer;
  return (
    <>
      <div role="status">
        {asking.pending && (
          <p className="row">
            <span className="spinner" aria-hidden="true" />
            {asking.progress?.text ?? t("searching")}
            <Action onPress={asking.cancel}>{t("cancel")}</Action>
          </p>
        )}
        {asking.error && <p className="alert">{describeError(asking.error, t)}</p>}
      </div>
      {results && (
        <>
          {props.children(results)}
          <TextTable
            label={results.title}
            heads={results.columns.map((column) => column.title)}
            rows={results.rows.map((row, index) => ({
              key: String(index),
              cells: row.map((cell) => cell.text),
            }))}
          />
          {results.notes && <pre className="said">{results.notes}</pre>}
          <Action onPress={() => saveText(`${file}.csv`, "text/csv", results.csv)}>CSV</Action>
        </>
      )}
    </>
  );
}
