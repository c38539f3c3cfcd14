import { useCallback, useState } from "react";
import type { Question, ResultsLine, ResultsView } from "../api/types";
import { type Asking, useLines } from "../api/useAnswer";

type Progress = Extract<ResultsLine, { progress: unknown }>["progress"];

export interface ResultsRequest {
  question: Question;
}

/** Many searches, which run when they are asked for; their answer stays while other tabs are looked at. */
export interface AskedResults {
  asking: Asking<ResultsRequest, ResultsView, Progress>;
  ask: (question: Question) => void;
}

export function useResults(path: string, first: Question | null): AskedResults {
  const [asked, setAsked] = useState<ResultsRequest | null>(first && { question: first });
  const asking = useLines<ResultsRequest, ResultsView, Progress>(path, asked);
  const { again } = asking;
  const ask = useCallback(
    (question: Question) => {
      setAsked({ question });
      again();
    },
    [again],
  );
  return { asking, ask };
}
