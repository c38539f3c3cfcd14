// Two plans side by side, what differs marked.
import { useContext, useMemo } from "react";
import type { Comparison, NamedPlan, Question } from "../api/types";
import { useAnswer } from "../api/useAnswer";
import { describeError } from "../app/describeError";
import { CompareBars } from "../app/pictures";
import { Section } from "../app/Section";
import { Said } from "../i18n/Said";
import { LanguageContext, useText } from "../i18n/useText";
import { Action, Choice } from "../kit/controls";
import { Folded } from "../kit/Folded";
import { TextTable } from "../kit/TextTable";
import { LayerStrip, StripLegend } from "../plan/LayerStrip";
import { type Candidate, candidates, pick } from "../state/candidates";
import { planTitle } from "../state/planTitle";
import { useSession } from "../state/session";
import { useImpossible } from "./useImpossible";

interface CompareQuestion {
  question: Question;
  one: NamedPlan;
  other: NamedPlan;
}

export function CompareTab() {
  const t = useText();
  const { page, search, question } = useSession();
  const { plan: shown, plans } = page.document;
  const mine = useMemo(() => [...plans, ...(shown ? [shown] : [])], [plans, shown]);
  const impossible = useImpossible(question, mine);
  const all = useMemo(
    () => candidates(page.document, search.last?.answer ?? null, t, impossible),
    [page.document, search.last, t, impossible],
  );
  const [left, right] = page.view.compare;
  const one = pick(all, left, right);
  const other = pick(all, right, one?.key ?? null);
  const request =
    one && other && one.key !== other.key ? { question, one: one.plan, other: other.plan } : null;
  const comparison = useAnswer<CompareQuestion, Comparison>("/api/compare", request);
  return (
    <Section title={t("compare_title")} help={t("compare_help")}>
      <Pair {...{ all, one, other }} />
      {comparison.error && <p className="alert">{describeError(comparison.error, t)}</p>}
      {!request && <p className="waiting">{t("compare_needs_two")}</p>}
      {request && comparison.last && (
        <div className={comparison.pending ? "old" : ""}>
          <Differences comparison={comparison.last.answer} />
        </div>
      )}
    </Section>
  );
}

function Pair(props: { all: Candidate[]; one: Candidate | null; other: Candidate | null }) {
  const t = useText();
  const { dispatch } = useSession();
  const { all, one, other } = props;
  const options = all.map((candidate) => ({ key: candidate.key, text: candidate.title }));
  const set = (left: string | undefined, right: string | undefined) =>
    dispatch({ do: "view", view: { compare: [left ?? "shown", right ?? "searched"] } });
  return (
    <div className="pair">
      <Choice
        label={t("one_plan")}
        options={options}
        value={one?.key ?? null}
        onChange={(key) => set(key, other?.key)}
      />
      <Action onPress={() => set(other?.key, one?.key)} aria-label={t("swap")}>
        ⇄
      </Action>
      <Choice
        label={t("other_plan")}
        options={options}
        value={other?.key ?? null}
        onChange={(key) => set(one?.key, key)}
      />
    </div>
  );
}

function Differences({ comparison }: { comparison: Comparison }) {
  const t = useText();
  const { one, other } = comparison;
  const problems = [one, other].filter((view) => view.problem);
  return (
    <>
      {problems.map((view) => (
        <p className="alert" key={view.name}>
          <b>{planTitle(view.name, t)}:</b> <Said>{view.problem?.sentence}</Said>
        </p>
      ))}
      <Verdict comparison={comparison} />
      {problems.length === 0 && <CompareBars comparison={comparison} />}
      <DifferentLayers comparison={comparison} />
      <div className="two">
        {[one, other].map((view, index) => (
          <div key={index}>
            <h3>{planTitle(view.name, t)}</h3>
            <LayerStrip layers={view.layers} stages={view.stages} />
            <StripLegend layers={view.layers} />
          </div>
        ))}
      </div>
      <Folded title={t("as_command_line")}>
        <pre className="said" lang="en" tabIndex={0}>
          {comparison.text}
        </pre>
      </Folded>
    </>
  );
}

/** The planner's sentence, which is English; in another language what can be said by figures alone. */
function Verdict({ comparison }: { comparison: Comparison }) {
  const t = useText();
  const language = useContext(LanguageContext);
  const { one, other, verdict } = comparison;
  if (!verdict) return null;
  const rates = [one, other].map((view) => view.priced?.fits && view.priced.time.tokens_per_second);
  const [first, second] = rates;
  if (language === "en" || !first || !second || first.value === second.value) {
    return (
      <p className="verdict" lang="en">
        {verdict}
      </p>
    );
  }
  const isFirst = first.value > second.value;
  return (
    <p className="verdict">
      {t("faster_of_two", {
        winner: planTitle((isFirst ? one : other).name, t),
        loser: planTitle((isFirst ? other : one).name, t),
        most: (isFirst ? first : second).text,
        least: (isFirst ? second : first).text,
      })}
    </p>
  );
}

function DifferentLayers({ comparison }: { comparison: Comparison }) {
  const t = useText();
  const { one, other, layers } = comparison;
  if (layers.length === 0) return <p>{t("same_strategies")}</p>;
  return (
    <TextTable
      label={t("where_they_differ")}
      heads={[
        t("where_they_differ"),
        planTitle(one.name, t),
        planTitle(other.name, t),
        t("in_what"),
      ]}
      rows={layers.map((row) => ({
        key: String(row.layers[0]),
        cells: [
          row.name,
          <mark key="one">{row.one}</mark>,
          <mark key="other">{row.other}</mark>,
          row.fields.join(", "),
        ],
      }))}
    />
  );
}
