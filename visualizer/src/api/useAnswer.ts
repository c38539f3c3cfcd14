// Answers that follow what is asked: while a new one is awaited the old one stays, and one that comes
// too late is dropped.
import { useCallback, useEffect, useRef, useState } from "react";
import { AskError, ask, askLines, isAbort } from "./client";

export interface Answered<Request, Answer> {
  request: Request;
  answer: Answer;
}

export interface Asking<Request, Answer, Progress = never> {
  /** The last answer, with what it is the answer to. */
  last: Answered<Request, Answer> | null;
  error: AskError | null;
  pending: boolean;
  progress: Progress | null;
  cancel: () => void;
  again: () => void;
}

interface Running<Request, Answer, Progress> {
  last: Answered<Request, Answer> | null;
  error: AskError | null;
  /** Text of the request that `error` and the end of waiting belong to. */
  ended: string | null;
  progress: Progress | null;
}

type Send<Request, Answer, Progress> = (
  request: Request,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
) => Promise<Answer>;

const nothing = { last: null, error: null, ended: null, progress: null };

/** Asks whenever `request` differs, after `delay` ms in which it stays the same. null: asks nothing. */
export function useAsking<Request, Answer, Progress = never>(
  request: Request | null,
  send: Send<Request, Answer, Progress>,
  delay: number,
): Asking<Request, Answer, Progress> {
  const [state, setState] = useState<Running<Request, Answer, Progress>>(nothing);
  const [round, setRound] = useState(0);
  const stop = useRef<() => void>(() => undefined);
  const key = request === null ? null : `${round} ${JSON.stringify(request)}`;

  useEffect(() => {
    if (key === null || request === null) return;
    const abort = new AbortController();
    const end = (part: Partial<Running<Request, Answer, Progress>>) => {
      if (!abort.signal.aborted) {
        setState((old) => ({ ...old, error: null, progress: null, ended: key, ...part }));
      }
    };
    const onProgress = (progress: Progress) => {
      if (!abort.signal.aborted) setState((old) => ({ ...old, progress }));
    };
    const timer = setTimeout(() => {
      send(request, abort.signal, onProgress).then(
        (answer) => end({ last: { request, answer } }),
        (error: unknown) => {
          if (!isAbort(error)) end({ error: asAskError(error) });
        },
      );
    }, delay);
    stop.current = () => {
      end({});
      abort.abort();
    };
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
    // `key` stands for the request: the same content is not asked twice.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key]);

  return {
    last: state.last,
    error: state.ended === key ? state.error : null,
    pending: key !== null && state.ended !== key,
    progress: state.progress,
    cancel: useCallback(() => stop.current(), []),
    again: useCallback(() => setRound((old) => old + 1), []),
  };
}

function asAskError(error: unknown): AskError {
  return error instanceof AskError ? error : new AskError("unreadable", String(error));
}

/** Of one path: the body of the request is what is asked. */
export function useAnswer<Request, Answer>(path: string, request: Request | null, delay = 0) {
  const send: Send<Request, Answer, never> = (body, signal) => ask<Answer>(path, body, signal);
  return useAsking<Request, Answer>(request, send, delay);
}

export function useLines<Request, Answer, Progress>(
  path: string,
  request: Request | null,
  delay = 0,
) {
  const send: Send<Request, Answer, Progress> = (body, signal, onProgress) =>
    askLines<Progress, Answer>(path, body, onProgress, signal);
  return useAsking<Request, Answer, Progress>(request, send, delay);
}
