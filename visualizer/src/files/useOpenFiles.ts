import { useCallback } from "react";
import { ask, AskError } from "../api/client";
import type { Opened } from "../api/types";
import { describeError } from "../app/describeError";
import { useText } from "../i18n/useText";
import { useSession } from "../state/session";
import { type Dropped, TooLarge } from "./read";

/** Until the server has said its own. */
const someLimit = 16 << 20;

/** Reads files, lets the server say what they are, and takes them into the page; says what it did not. */
export function useOpenFiles() {
  const { dispatch, start, say } = useSession();
  const t = useText();
  const limit = start?.limits.request_bytes ?? someLimit;
  return useCallback(
    async (read: (limit: number) => Promise<Dropped[]>) => {
      try {
        const dropped = await read(limit);
        if (dropped.length === 0) say("bad", t("no_files"));
        for (const one of dropped) {
          const opened = await identify(one);
          dispatch({ do: "open", opened, start });
          say("note", t("opened", { name: one.name, title: opened.title }));
        }
      } catch (error) {
        say("bad", sentenceOf(error, limit, t));
      }
    },
    [dispatch, limit, say, start, t],
  );
}

function identify(dropped: Dropped): Promise<Opened> {
  if (dropped.isFolder) {
    return ask<Opened>("/api/identify", { name: dropped.name, files: dropped.files });
  }
  return ask<Opened>("/api/identify", { name: dropped.name, text: dropped.files[dropped.name] });
}

function sentenceOf(error: unknown, limit: number, t: ReturnType<typeof useText>): string {
  if (error instanceof TooLarge) {
    const megabytes = (bytes: number) => (bytes / (1 << 20)).toFixed(1);
    return t("too_large", {
      name: error.file,
      size: megabytes(error.bytes),
      limit: megabytes(limit),
    });
  }
  if (error instanceof AskError) return describeError(error, t);
  return t("unreadable_file", { reason: String(error) });
}
