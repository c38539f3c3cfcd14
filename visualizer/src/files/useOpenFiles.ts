import { useCallback } from "react";
import { ask, AskError } from "../api/client";
import type { Opened, PlanView } from "../api/types";
import { describeError } from "../app/describeError";
import { type Text, useText } from "../i18n/useText";
import { type Document, isPlan, questionOf } from "../state/page";
import { type PlanQuestion, useSession } from "../state/session";
import { accept } from "./accept";
import { type Dropped, TooLarge } from "./read";

/** Until the server has said its own. */
const someLimit = 16 << 20;

/** Reads files, lets the server say what they are, and takes them into the page; says what it did not. */
export function useOpenFiles() {
  const { page, dispatch, start, say } = useSession();
  const t = useText();
  const limit = start?.limits.request_bytes ?? someLimit;
  return useCallback(
    async (read: (limit: number) => Promise<Dropped[]>) => {
      try {
        const dropped = await read(limit);
        if (dropped.length === 0) say("bad", t("no_files"));
        let document = page.document;
        for (const one of dropped) {
          const opened = await identify(one);
          const next = { ...document, ...accept(document, opened, start) };
          const reason = isPlan(opened) ? await whyNot(next, opened) : null;
          dispatch({ do: "open", opened, start });
          if (reason) say("bad", t("opened_impossible", { name: one.name, reason }));
          else say("note", t("opened", { name: one.name, title: opened.title }));
          const changes = isPlan(opened) ? changesOf(document, next, t) : "";
          if (changes) say("note", changes);
          document = next;
        }
      } catch (error) {
        say("bad", sentenceOf(error, limit, t));
      }
    },
    [page.document, dispatch, limit, say, start, t],
  );
}

/** The planner's sentence where the plan cannot be for this question. Throws where its file is no plan at all. */
async function whyNot(document: Document, { name, content }: Opened): Promise<string | null> {
  try {
    const body: PlanQuestion = { question: questionOf(document), plan: { name, plan: content } };
    return (await ask<PlanView>("/api/plan", body)).problem?.sentence ?? null;
  } catch (error) {
    // A sentence that does not name the file is about the question, for which the file is not to blame.
    if (error instanceof AskError && !error.sentence.includes(name)) return null;
    throw error;
  }
}

/** What of the question a plan has changed: its model and its batch. */
export function changesOf(before: Document, after: Document, t: Text): string {
  const batch = after.options.global_batch;
  return [
    before.model.name !== after.model.name && t("model_of_plan", { model: after.model.name }),
    before.options.global_batch !== batch && t("batch_of_plan", { batch }),
  ]
    .filter(Boolean)
    .join(" ");
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
