// The answer in one line of figures: which plan is shown, what it gives, and whether it fits.
import type { ReactNode } from "react";
import type { AskError } from "../api/client";
import type { MemoryView, Priced } from "../api/types";
import { Said } from "../i18n/Said";
import { useText } from "../i18n/useText";
import { Action } from "../kit/controls";
import { ExportPlan } from "../search/ExportPlan";
import { bytesMore, percentMore } from "../format";
import { progressText } from "../search/progress";
import { sameJson } from "../state/page";
import { planTitle } from "../state/planTitle";
import { useSession } from "../state/session";
import { usePriced } from "../state/usePriced";
import { describeError } from "./describeError";

export function Summary() {
  const t = useText();
  const { page, dispatch, search, plan, planIsCurrent, shown: answers, showPlan } = useSession();
  const priced = usePriced();
  const title = useTitle();
  // Nothing is on its way: these figures stay, and are of the last plan or question that could be.
  const isEarlier = Boolean(
    plan.error ?? search.error ?? (!plan.pending && plan.last?.answer.problem),
  );
  const shown = page.document.plan;
  return (
    <section className="summary" aria-label={t("answer")} aria-busy={plan.pending}>
      <div className="row spread">
        <h2>{title}</h2>
        <div className="row">
          <Action isDisabled={page.past.length === 0} onPress={() => dispatch({ do: "undo" })}>
            ↶ {t("undo")}
          </Action>
          <Action isDisabled={page.future.length === 0} onPress={() => dispatch({ do: "redo" })}>
            ↷ {t("redo")}
          </Action>
          {plan.last?.answer.priced && answers && planIsCurrent && <ExportPlan {...answers} />}
          {shown && <Action onPress={() => showPlan(null)}>{t("show_searched")}</Action>}
        </div>
      </div>
      <SearchState />
      <PlanProblem />
      {priced?.isOld && isEarlier && <p className="help">{t("figures_before")}</p>}
      {priced && <Figures priced={priced} isOld={priced.isOld} isAnswer={!isEarlier} />}
      {priced && !priced.isOld && <AgainstSearched priced={priced} />}
      <ByHand />
    </section>
  );
}

/** Of the plan whose figures are seen: an earlier question's are not called this one's. */
function useTitle(): string {
  const t = useText();
  const { page, search, plan, planIsCurrent } = useSession();
  if (page.document.plan) {
    return t("shown_plan", { name: planTitle(page.document.plan.name, t) });
  }
  if (plan.last && !planIsCurrent) return t("earlier_plan");
  return search.last?.answer.miss ? t("plan_closest") : t("searched_plan");
}

function PlanProblem() {
  const t = useText();
  const { page, question, plan, search, searchIsCurrent } = useSession();
  // Of a plan that is refused whole the last answer is not: it was the one before.
  const problem = plan.error ? null : plan.last?.answer.problem;
  // Of the closest miss the search says it already.
  const isSaid = !page.document.plan && searchIsCurrent && search.last?.answer.miss;
  const isEarlier = !sameJson(plan.last?.request.question, question);
  const misfit = isSaid || isEarlier ? null : plan.last?.answer.priced?.misfit;
  return (
    <div role="status">
      {plan.error && <p className="alert">{describeError(plan.error, t)}</p>}
      {problem && (
        <p className="alert">
          <b>{t("impossible")}</b> <Said>{problem.sentence}</Said>
        </p>
      )}
      {misfit && (
        <p className="alert warn">
          <Said>{misfit}</Said>
        </p>
      )}
    </div>
  );
}

interface FiguresProps {
  priced: Priced;
  isOld: boolean;
  /** Of what is asked; else whether they fit is no answer. */
  isAnswer: boolean;
}

function Figures({ priced, isOld, isAnswer }: FiguresProps) {
  const t = useText();
  const { time, memory, fits } = priced;
  const fullest = fullestOf(memory);
  return (
    <dl className={`figures ${isOld ? "old" : ""}`}>
      <Figure name={t("step")} text={time.step.text} />
      <Figure name={t("tokens_per_second")} text={time.tokens_per_second.text} />
      <Figure name={t("tokens_per_device")} text={time.tokens_per_second_per_device.text} />
      {time.mfu && <Figure name="MFU" text={time.mfu.text} />}
      {time.days && (
        <Figure name={t("days")} text={time.days.text}>
          <span className="help">{time.device_hours?.text}</span>
        </Figure>
      )}
      {fullest && (
        <Figure name={t("fullest_rank")} text={fullest.total.text}>
          {(isAnswer || !isOld) && (
            <b className={fits ? "good" : "bad"}>
              {fits ? `✓ ${t("fits")}` : `✗ ${t("fits_not")}`}
            </b>
          )}
          {memory.budget && (
            <span className="help">{t("of_budget", { budget: memory.budget.text })}</span>
          )}
        </Figure>
      )}
    </dl>
  );
}

/** What a plan of one's own costs, or saves, where the search has found one for the same question. */
function AgainstSearched({ priced }: { priced: Priced }) {
  const t = useText();
  const { page, search, searchIsCurrent } = useSession();
  const best = search.last?.answer.best;
  const fullest = fullestOf(priced.memory);
  if (!page.document.plan || !best || !searchIsCurrent || !fullest) return null;
  const time = percentMore(priced.time.step.value, best.step.value);
  const memory = bytesMore(fullest.total.value, best.memory.value);
  return <p className="help">{t("against_searched", { time, memory })}</p>;
}

/** What the best of them do that people set by hand. */
function ByHand() {
  const t = useText();
  const { search, searchIsCurrent, dispatch } = useSession();
  const rows = search.last?.answer.baselines ?? [];
  if (rows.length === 0 || !searchIsCurrent) return null;
  const fitting = rows
    .filter((row) => row.fits)
    .map((row) => `${planTitle(row.name, t)} ${row.step.text}`);
  const others = rows
    .filter((row) => !row.fits)
    .map((row) => `${planTitle(row.name, t)} (${t("missing", { amount: row.missing?.text })})`);
  return (
    <p className="row by-hand">
      {fitting.length > 0 && <span>{t("by_hand_line", { steps: fitting.join(" · ") })}</span>}
      {others.length > 0 && <span>{t("by_hand_misses", { names: others.join(" · ") })}</span>}
      <Action kind="quiet" onPress={() => dispatch({ do: "view", view: { tab: "search" } })}>
        {t(search.last?.answer.miss ? "why_nothing" : "why")} ›
      </Action>
    </p>
  );
}

function fullestOf(memory: MemoryView) {
  const [first, ...rest] = memory.ranks;
  return rest.reduce(
    (most, rank) => (most && rank.total.value <= most.total.value ? most : rank),
    first,
  );
}

function Figure(props: { name: string; text: string; children?: ReactNode }) {
  return (
    <div className="figure">
      <dt>{props.name}</dt>
      <dd>
        <b>{props.text}</b> {props.children}
      </dd>
    </div>
  );
}

/** Progress of the search, what stopped it, and how nearly nothing fitted. */
export function SearchState() {
  const t = useText();
  const { search, searchIsCurrent } = useSession();
  return (
    <div className="search-state" role="status">
      {search.pending && (
        <p className="row">
          <span className="spinner" aria-hidden="true" />
          <span>{progressText(search.progress, t)}</span>
          {search.progress && <Action onPress={search.cancel}>{t("cancel")}</Action>}
        </p>
      )}
      {search.error && <SearchError error={search.error} />}
      {!search.pending && !search.error && !searchIsCurrent && (
        <p className="row">
          {t("search_cancelled")} <Action onPress={search.again}>{t("search_again")}</Action>
        </p>
      )}
      {searchIsCurrent && <Miss />}
    </div>
  );
}

function SearchError({ error }: { error: AskError }) {
  const t = useText();
  const { search } = useSession();
  return (
    <p className="alert row">
      <span>{describeError(error, t)}</span>
      {error.kind !== "refused" && <Action onPress={search.again}>{t("try_again")}</Action>}
    </p>
  );
}

function Miss() {
  const t = useText();
  const { page, dispatch, search } = useSession();
  const miss = search.last?.answer.miss;
  if (!miss) return null;
  const options = { ...page.document.options, memory: miss.memory_option };
  return (
    <p className="alert warn row">
      <Said>{miss.sentence}</Said>
      {miss.beyond_device === null ? (
        <Action kind="main" onPress={() => dispatch({ do: "edit", document: { options } })}>
          {t("use_budget", { memory: miss.memory_option })}
        </Action>
      ) : (
        <span>{t("beyond_device", { memory: miss.beyond_device })}</span>
      )}
    </p>
  );
}
