import { useState } from "react";
import type { Priced } from "../api/types";
import { useSession } from "./session";

/**
 * What the plan costs. `isOld`: that was an answer to another question, or of the last plan that could be, where the
 * one shown cannot.
 */
export function usePriced(): (Priced & { isOld: boolean }) | null {
  const { plan, planIsCurrent } = useSession();
  const now = plan.last?.answer.priced ?? null;
  const [last, setLast] = useState(now);
  if (now && now !== last) setLast(now);
  const shown = now ?? last;
  return shown && { ...shown, isOld: now === null || !planIsCurrent };
}
