import { useEffect, useState } from "react";
import { ask, AskError } from "../api/client";
import type { RunView } from "../api/types";
import { useText } from "../i18n/useText";
import type { OpenRun } from "../state/page";
import { useSession } from "../state/session";

const watchEvery = 2000;

/** Asks again until the run has finished. Why it cannot be read now: it stays as it was read last. */
export function useWatch({ id, name, run, watch }: OpenRun): AskError | null {
  const t = useText();
  const { dispatch } = useSession();
  const [error, setError] = useState<AskError | null>(null);
  const isAsked = watch && id !== null && run?.state !== "finished";
  const hasBegun = run !== null;
  useEffect(() => {
    if (!isAsked) return;
    const abort = new AbortController();
    let timer = 0;
    const end = (next: RunView | null | AskError) => {
      if (abort.signal.aborted) return;
      const isLost = next === null && hasBegun;
      if (isLost) setError(new AskError("refused", t("run_lost")));
      else if (next instanceof AskError) setError(next);
      else {
        setError(null);
        dispatch({ do: "run", run: { id, name, run: next, watch } });
      }
      timer = window.setTimeout(look, watchEvery);
    };
    const look = () => {
      ask<RunView | null>(`/api/run/${id}`, undefined, abort.signal).then(end, (reason: unknown) =>
        end(reason instanceof AskError ? reason : new AskError("unreadable", String(reason))),
      );
    };
    timer = window.setTimeout(look, watchEvery);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [dispatch, t, id, name, watch, isAsked, hasBegun]);
  return error;
}
