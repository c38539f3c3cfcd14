import { describeError } from "../app/describeError";
import { useText } from "../i18n/useText";
import { type Session, useSession } from "./session";

/** Why the plan shown cannot be, in the planner's words; null: it can, or nobody knows yet. */
export function impossibility({ plan }: Pick<Session, "plan">): string | null {
  // A refusal is of the plan shown; the last answer is of the one before.
  if (plan.pending || plan.error) return null;
  return plan.last?.answer.problem?.sentence ?? null;
}

/** Why there is nothing to show of the plan; null: it is still being asked for. */
export function useTrouble(): string | null {
  const t = useText();
  const session = useSession();
  const error = session.plan.error ?? session.search.error;
  if (error) return describeError(error, t);
  const sentence = impossibility(session);
  return sentence && `${t("impossible")} ${sentence}`;
}
