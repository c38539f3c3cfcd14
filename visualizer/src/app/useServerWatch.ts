import { useEffect } from "react";
import { ask } from "../api/client";
import type { Session } from "../state/session";

const askEvery = 3000;

/** true: the server does not answer. Once it does again, what was left open is asked anew. */
export function useServerWatch({ search, plan }: Session): boolean {
  const isGone = search.error?.kind === "gone" || plan.error?.kind === "gone";
  const { again: searchAgain } = search;
  const { again: planAgain } = plan;
  useEffect(() => {
    if (!isGone) return;
    const timer = setInterval(() => {
      ask("/api/start").then(
        () => {
          searchAgain();
          planAgain();
        },
        () => undefined,
      );
    }, askEvery);
    return () => clearInterval(timer);
  }, [isGone, searchAgain, planAgain]);
  return isGone;
}
