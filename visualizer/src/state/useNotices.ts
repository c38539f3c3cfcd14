import { useCallback, useRef, useState } from "react";
import type { Notice } from "./session";

export interface Notices {
  notices: Notice[];
  say: (kind: Notice["kind"], text: string) => void;
  dismiss: (id: number) => void;
}

/** What the page has to say, until it is read and put away. The same is not said twice. */
export function useNotices(first: string | null): Notices {
  const [notices, setNotices] = useState<Notice[]>(() =>
    first === null ? [] : [{ id: 0, kind: "bad", text: first }],
  );
  const nextId = useRef(1);
  const say = useCallback((kind: Notice["kind"], text: string) => {
    const notice = { id: nextId.current++, kind, text };
    setNotices((old) => [...old.filter((other) => other.text !== text), notice].slice(-4));
  }, []);
  const dismiss = useCallback((id: number) => {
    setNotices((old) => old.filter((notice) => notice.id !== id));
  }, []);
  return { notices, say, dismiss };
}
