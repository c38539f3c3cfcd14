// What every part of the page reaches: its state, what may change it, and the planner's answers.
import { createContext, type Dispatch, useContext } from "react";
import type { Asking } from "../api/useAnswer";
import type {
  JsonObject,
  NamedPlan,
  PlanView,
  Question,
  SearchLine,
  SearchView,
  Start,
} from "../api/types";
import type { AskedResults } from "../search/useResults";
import type { Change, Page } from "./page";

export interface PlanQuestion {
  question: Question;
  plan: NamedPlan;
}
export interface SearchRequest {
  question: Question;
  /** With what binds, shadow prices, what is left out. */
  explain: boolean;
}
export type SearchProgress = Extract<SearchLine, { progress: unknown }>["progress"];

export interface Notice {
  id: number;
  kind: "bad" | "note";
  text: string;
}

export interface Session {
  page: Page;
  dispatch: Dispatch<Change>;
  start: Start | null;
  question: Question;
  search: Asking<SearchRequest, SearchView, SearchProgress>;
  /** The search's answer belongs to the question that is asked now. */
  searchIsCurrent: boolean;
  /** The plan shown, with the question that it answers. */
  shown: PlanQuestion | null;
  plan: Asking<PlanQuestion, PlanView>;
  /** The plan's answer belongs to the question that is asked now. */
  planIsCurrent: boolean;
  frontier: AskedResults;
  sweep: AskedResults;
  notices: Notice[];
  say: (kind: Notice["kind"], text: string) => void;
  dismiss: (id: number) => void;
  /** Shows a plan in place of the searched one. null: the searched one again. */
  showPlan: (plan: NamedPlan | null) => void;
  /** A change of the plan that is shown. `about`: changes that belong together. */
  editPlan: (plan: JsonObject, about?: string) => void;
}

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("a part of the page outside of it");
  return session;
}
