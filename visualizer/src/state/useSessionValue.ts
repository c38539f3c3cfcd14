// Makes the session: the reducer, what is asked because of it, and what is done with the answers.
import { useCallback, useEffect, useMemo, useReducer, useState } from "react";
import type { JsonObject, NamedPlan, PlanView, Question, SearchView, Start } from "../api/types";
import { type Answered, type Asking, useAnswer, useLines } from "../api/useAnswer";
import { text } from "../i18n/texts";
import { useResults } from "../search/useResults";
import { searchedPlan } from "./candidates";
import {
  change,
  type Document,
  newPage,
  questionOf,
  sameJson,
  sweepQuestion,
  type Tab,
} from "./page";
import type { Kept } from "./permalink";
import type { PlanQuestion, SearchProgress, SearchRequest, Session } from "./session";
import { useNotices } from "./useNotices";

/** Milliseconds in which somebody who types is not asked for. */
const typing = 200;

export function useSessionValue(kept: Kept | null, firstNotice: string | null): Session {
  const [page, dispatch] = useReducer(change, kept, (link) => newPage(link?.document, link?.view));
  const notices = useNotices(firstNotice);
  const { document } = page;
  const start = useStart(dispatch);
  const question = useMemo(() => questionOf(document), [document]);
  const request = useSearchRequest(question, page.view.tab);
  const search = useLines<SearchRequest, SearchView, SearchProgress>(
    "/api/search",
    request,
    page.past.length === 0 ? 0 : typing,
  );
  const searchIsCurrent =
    !search.pending && search.last !== null && sameJson(search.last.request.question, question);
  const shown = useMemo(
    () => shownPlan(document, question, search.last),
    [document, question, search.last],
  );
  const plan = useAnswer<PlanQuestion, PlanView>("/api/plan", shown);
  const planIsCurrent = useMemo(
    () => sameJson(shown?.question, question) && sameJson(plan.last?.request, shown),
    [shown, question, plan.last],
  );

  const { view } = page;
  const frontier = useResults("/api/frontier", view.frontier ? question : null);
  const sweep = useResults("/api/sweep", view.sweep ? sweepQuestion(question, view.batches) : null);

  const showPlan = useCallback((next: NamedPlan | null) => {
    dispatch({ do: "edit", document: { plan: next } });
    dispatch({ do: "view", view: { selected: [], ppRank: 0 } });
  }, []);
  const editPlan = useCallback(
    (next: JsonObject, about?: string) =>
      dispatch({
        do: "edit",
        document: { plan: { name: text("en", "plan_edited"), plan: next } },
        about,
      }),
    [],
  );
  return {
    ...{ page, dispatch, start: start.last?.answer ?? null, question, search, searchIsCurrent },
    ...{ shown, plan, planIsCurrent, frontier, sweep, ...notices, showPlan, editPlan },
  };
}

/** Why a plan is the best takes several searches more: asked once somebody looks at it. */
function useSearchRequest(question: Question, tab: Tab): SearchRequest {
  const [explained, setExplained] = useState<Question | null>(null);
  if (tab === "search" && !sameJson(explained, question)) setExplained(question);
  const explain = sameJson(explained, question);
  return useMemo(() => ({ question, explain }), [question, explain]);
}

/** What the searched plan answers is the question of its search, which may have changed since. */
function shownPlan(
  document: Document,
  question: Question,
  search: Answered<SearchRequest, SearchView> | null,
): PlanQuestion | null {
  if (document.plan) return { question, plan: document.plan };
  const plan = searchedPlan(search?.answer ?? null);
  return plan && search ? { question: search.request.question, plan } : null;
}

/** With the files of the command line, which are opened once. */
function useStart(dispatch: Session["dispatch"]): Asking<undefined, Start> {
  const start = useAnswer<undefined, Start>("/api/start", undefined);
  const answer = start.last?.answer ?? null;
  useEffect(() => {
    for (const opened of answer?.opened ?? []) dispatch({ do: "open", opened, start: answer });
  }, [answer, dispatch]);
  return start;
}
