// A finished or running run: predicted and measured side by side (the report's own view).
import { useEffect, useState } from "react";
import { ask } from "../api/client";
import type { RunView } from "../api/types";
import { RunPage } from "../app/pictures";
import { Section } from "../app/Section";
import { OpenFiles } from "../files/DropArea";
import { useText } from "../i18n/useText";
import { Choice } from "../kit/controls";
import type { OpenRun } from "../state/page";
import { useSession } from "../state/session";

const watchEvery = 2000;

export function RunTab() {
  const t = useText();
  const { page } = useSession();
  const [chosen, setChosen] = useState<number | null>(null);
  const { runs } = page;
  const index = chosen !== null && chosen < runs.length ? chosen : runs.length - 1;
  const open = runs[index];
  if (!open) {
    return (
      <Section title={t("run_title")} help={t("run_help")}>
        <OpenFiles />
      </Section>
    );
  }
  const tools = runs.length > 1 && (
    <Choice
      bare
      label={t("run_title")}
      options={runs.map((one, i) => ({ key: String(i), text: one.run.title }))}
      value={String(index)}
      onChange={(key) => setChosen(Number(key))}
    />
  );
  return (
    <Section title={open.run.title} tools={tools}>
      {open.watch && <Watch open={open} />}
      <RunPage run={open.run} />
    </Section>
  );
}

/** Asks again while the run goes on. One that cannot be read stays as it was. */
function Watch({ open }: { open: OpenRun }) {
  const { dispatch } = useSession();
  const { id, run } = open;
  useEffect(() => {
    if (id === null || run.state === "finished") return;
    const timer = setTimeout(() => {
      ask<RunView>(`/api/run/${id}`).then(
        (next) => dispatch({ do: "run", run: { id, run: next, watch: true } }),
        () => dispatch({ do: "run", run: { id, run: { ...run }, watch: true } }),
      );
    }, watchEvery);
    return () => clearTimeout(timer);
  }, [dispatch, id, run]);
  return null;
}
