import { ask } from "../api/client";
import type { NamedPlan, PlanView, Question } from "../api/types";
import { useAsking } from "../api/useAnswer";

interface FilesQuestion {
  question: Question;
  plans: NamedPlan[];
}

/** Names of those plans that cannot be for the question that is asked, or are no plans at all. */
export function useImpossible(question: Question, plans: NamedPlan[]): string[] {
  const asking = useAsking<FilesQuestion, string[]>(
    plans.length > 0 ? { question, plans } : null,
    async (request, signal) => {
      const views = await Promise.allSettled(
        request.plans.map((plan) => ask<PlanView>("/api/plan", { question, plan }, signal)),
      );
      return request.plans
        .filter((_, index) => isImpossible(views[index]))
        .map((plan) => plan.name);
    },
    0,
  );
  return asking.last?.answer ?? none;
}

const none: string[] = [];

function isImpossible(view: PromiseSettledResult<PlanView> | undefined): boolean {
  return view?.status === "rejected" || Boolean(view?.value.problem);
}
