import { useState } from "react";
import type { Priced } from "../api/types";
import { useSession } from "./session";

/** What the plan costs; of one that has a problem what the last possible one did, which `isOld` says. */
export function usePriced(): (Priced & { isOld: boolean }) | null {
  const { plan } = useSession();
  const now = plan.last?.answer.priced ?? null;
  const [last, setLast] = useState(now);
  if (now && now !== last) setLast(now);
  const shown = now ?? last;
  return shown && { ...shown, isOld: now === null };
}
